"""The ``kexpert`` command as a shell user meets it: a small tree, the real index, output and exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kexpert import __version__
from kexpert.__main__ import main
from tests.support.toy_embedder import make_embedder
from tests.support.toy_tree import write_tree

README = Path(__file__).resolve().parents[2] / "README.md"
FILES = {
    "Kconfig": "",
    "Makefile": "",
    "MAINTAINERS": "",
    "include/linux/frob.h": """\
struct frob { int size; };
int frob_start(struct frob *f);
""",
    "drivers/frob/core.c": """\
#include <linux/frob.h>

/**
 * frob_start - start a frob
 * @f: the frob
 */
int frob_start(struct frob *f)
{
	return f->size;
}
""",
    "drivers/frob/user.c": """\
#include <linux/frob.h>

static int /*é*/ user_probe(struct frob *f)
{
	return frob_start(f);
}
""",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("tree"), FILES)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Shell:
    """Runs commands in a directory; keeps what they printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path) -> int:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else 0
        self.out, self.err = self._capsys.readouterr()
        return code


@pytest.fixture
def kexpert(tree: Path, caches: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """In the tree's top directory, with an index of the tree."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    monkeypatch.chdir(tree)
    shell = Shell(capsys)
    assert shell("index", "--no-vectors") == 0
    return shell


def at(tree: Path, path: str, text: str) -> str:
    """FILE:LINE:COL of a text in a file, as editors count."""
    before = (tree / path).read_text(encoding="utf-8").partition(text)[0]
    return f"{path}:{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1}"


def test_the_readme_describes_every_command(kexpert: Shell) -> None:
    kexpert("--help")
    commands = re.findall(r"^    ([a-z]+)(?: |$)", kexpert.out, re.MULTILINE)
    assert "serve" in commands
    described = re.findall(r"^\| `kexpert (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(commands) == set(described)


def test_version(kexpert: Shell) -> None:
    assert kexpert("--version") == 0
    assert kexpert.out == f"kexpert {__version__}\n"


def test_index_reports_what_it_holds(kexpert: Shell, tree: Path) -> None:
    assert kexpert("index", "--tree", tree, "--json", "--no-vectors", "--jobs", "1") == 0
    report = json.loads(kexpert.out)
    times = {"seconds", "places_seconds", "trigrams_seconds"}
    assert report.keys() == {"files", "symbols", "peak_rss_mb", "db_mb"} | times
    assert report["files"] == len([name for name in FILES if name != "MAINTAINERS"])
    assert report["symbols"] >= 4


def test_index_leaves_the_tree_alone(kexpert: Shell, tree: Path) -> None:
    there = {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()}
    assert there == FILES.keys()


def test_definition_prints_path_line_and_column(kexpert: Shell, tree: Path) -> None:
    assert kexpert("definition", at(tree, "drivers/frob/user.c", "frob_start")) == 0
    first = kexpert.out.splitlines()[0]
    assert first == f"{at(tree, 'drivers/frob/core.c', 'frob_start(struct')}: int frob_start(struct frob *f)"


def test_places_are_relative_to_the_current_directory(
    kexpert: Shell, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree / "drivers" / "frob")
    assert kexpert("definition", at(tree, "drivers/frob/user.c", "frob_start").removeprefix("drivers/frob/")) == 0
    assert kexpert.out.startswith("core.c:")
    monkeypatch.chdir(tree.parent)
    assert kexpert("definition", at(tree, "drivers/frob/user.c", "frob_start"), "--tree", tree) == 0
    assert kexpert.out.startswith(f"{tree}/drivers/frob/core.c:")


def test_columns_count_characters(kexpert: Shell, tree: Path) -> None:
    assert kexpert("references", at(tree, "drivers/frob/user.c", "user_probe")) == 0
    assert kexpert.out.startswith(at(tree, "drivers/frob/user.c", "user_probe") + ": static int /*é*/ user_probe")


def test_references_are_lines_like_those_of_grep(kexpert: Shell, tree: Path) -> None:
    assert kexpert("references", at(tree, "drivers/frob/core.c", "frob_start(struct")) == 0
    assert sorted(kexpert.out.splitlines()) == sorted(
        [
            f"{at(tree, 'include/linux/frob.h', 'frob_start')}: int frob_start(struct frob *f);",
            f"{at(tree, 'drivers/frob/core.c', 'frob_start(struct')}: int frob_start(struct frob *f)",
            f"{at(tree, 'drivers/frob/user.c', 'frob_start')}: return frob_start(f);",
        ]
    )


def test_references_as_json(kexpert: Shell, tree: Path) -> None:
    assert kexpert("references", at(tree, "drivers/frob/core.c", "frob_start(struct"), "--json") == 0
    places = json.loads(kexpert.out)
    assert {place["path"] for place in places} == {
        "include/linux/frob.h",
        "drivers/frob/core.c",
        "drivers/frob/user.c",
    }


def test_references_of_a_member_tell_what_is_done_there(kexpert: Shell, tree: Path) -> None:
    where = at(tree, "drivers/frob/core.c", "size;")
    assert kexpert("references", where, "--json") == 0
    assert [(place["path"], place["access"], place["certain"]) for place in json.loads(kexpert.out)] == [
        ("include/linux/frob.h", "declaration", True), ("drivers/frob/core.c", "read", True),
    ]  # fmt: skip
    assert kexpert("references", where, "--writes") == 1
    assert "no writes of the name there are known" in kexpert.err


def test_hover_shows_the_card(kexpert: Shell, tree: Path) -> None:
    assert kexpert("hover", at(tree, "drivers/frob/user.c", "frob_start")) == 0
    assert "int frob_start(struct frob *f)" in kexpert.out
    assert "start a frob" in kexpert.out


def test_hover_as_json(kexpert: Shell, tree: Path) -> None:
    assert kexpert("hover", at(tree, "drivers/frob/user.c", "frob_start"), "--json") == 0
    card = json.loads(kexpert.out)
    assert card["name"] == "frob_start"
    assert "start a frob" in card["markdown"]


def test_search_puts_the_exact_name_first(kexpert: Shell) -> None:
    assert kexpert("search", "frob") == 0
    first, *others = kexpert.out.splitlines()
    assert first.startswith("include/linux/frob.h:1:8: struct frob")
    assert any("frob_start" in line for line in others)


def test_search_by_a_part_of_a_word(kexpert: Shell) -> None:
    assert kexpert("search", "start", "--json") == 0
    assert {hit["name"] for hit in json.loads(kexpert.out)["results"]} == {"frob_start"}


def test_search_keeps_the_limit(kexpert: Shell) -> None:
    assert kexpert("search", "frob", "--limit", "1", "--json") == 0
    assert len(json.loads(kexpert.out)["results"]) == 1


def test_batch_search_answers_every_line(kexpert: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    queries.write_text("frob_start\n\nno_such_name\n")
    assert kexpert("search", "--batch", queries) == 0
    found, nothing = map(json.loads, kexpert.out.splitlines())
    assert found["query"] == "frob_start"
    assert found["results"][0]["name"] == "frob_start"
    assert nothing == {"query": "no_such_name", "results": []}


@pytest.fixture
def by_meaning(kexpert: Shell, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """With vectors too, by an embedder that knows a few words."""
    (tmp_path / "kexpert").mkdir()
    embedder = make_embedder(tmp_path / "embedder")
    (tmp_path / "kexpert" / "config.toml").write_text(f'vectors.embedder = "{embedder}"')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert kexpert("index", "--json") == 0
    report = json.loads(kexpert.out)
    assert report["vectors"] == report["chunks"] > 0
    return kexpert


def test_search_by_meaning_shows_the_lines_that_match(by_meaning: Shell, tree: Path) -> None:
    assert by_meaning("search", "start the frob size") == 0
    place, line = at(tree, "drivers/frob/core.c", "frob_start(struct"), "return f->size;"
    number = at(tree, "drivers/frob/core.c", line).split(":")[1]
    assert f"{place}: function frob_start\n    {number}: {line}\n" in by_meaning.out
    assert by_meaning("search", "frob path:drivers kind:function", "--json") == 0
    found = json.loads(by_meaning.out)["results"]
    assert {(each["kind"], each["path"]) for each in found} == {
        ("function", "drivers/frob/core.c"), ("function", "drivers/frob/user.c"),
    }  # fmt: skip
    assert by_meaning("search", "frob kind:verb") == 1
    assert "kind:verb is none of" in by_meaning.err


@pytest.mark.parametrize("method", ["bm25", "vectors", "fused", "reranked"])
def test_batch_search_by_each_method(by_meaning: Shell, tree: Path, method: str) -> None:
    done = run("search", "--batch", "-", "--method", method, "--limit", "3", stdin="start a frob\nfrob kind:verb\n")
    found, refused = map(json.loads, done.stdout.splitlines())
    assert found["query"] == "start a frob"
    assert "frob_start" in [each["name"] for each in found["results"]]
    assert found["results"][0].keys() == {"name", "kind", "path", "line", "column", "score", "lines"}
    assert len(found["results"]) <= 3
    assert "kind:verb" in refused["error"]


def test_doctor_reports_the_vectors(kexpert: Shell, by_meaning: Shell) -> None:
    by_meaning("doctor", "--json")
    finding = next(each for each in json.loads(by_meaning.out) if each["what"] == "search")
    assert finding["state"] == "ok"
    assert "vectors" in finding["detail"]


def test_batch_search_reads_standard_input(kexpert: Shell, tree: Path) -> None:
    done = run("search", "--batch", "-", "--tree", tree, stdin="frob_start\nfrob\n")
    assert [json.loads(line)["query"] for line in done.stdout.splitlines()] == ["frob_start", "frob"]


def test_doctor_names_tree_and_index(kexpert: Shell, tree: Path) -> None:
    kexpert("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(kexpert.out)}
    assert findings["tree"] == {"what": "tree", "state": "ok", "detail": str(tree), "mend": ""}
    assert findings["index"]["state"] == "ok"
    assert findings["checkpatch"]["state"] == "note"


def test_doctor_names_the_command_that_makes_an_index(
    kexpert: Shell, tree: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kexpert("doctor")
    assert f"kexpert index --tree {tree}" in kexpert.out


def test_doctor_works_outside_a_tree(kexpert: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kexpert("doctor")
    assert "--tree DIR" in kexpert.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["definition", "drivers/frob/none.c:1:1"], "drivers/frob/none.c: no such file", id="no file"),
        pytest.param(["definition", "drivers/frob/core.c:99:1"], "has 11 lines", id="past the end"),
        pytest.param(["hover", "drivers/frob/core.c:2:1"], "nothing is known", id="nothing there"),
        pytest.param(["search", "no_such_name"], "no_such_name: no symbol", id="nothing found"),
        pytest.param(["index", "--tree", "nowhere"], "nowhere: no such directory", id="no tree"),
        pytest.param(["index", "--tree", "/proc"], "/proc: not inside a Linux kernel tree", id="not a kernel tree"),
        pytest.param(["search", "--batch", "nowhere"], "nowhere: No such file", id="no batch"),
    ],
)
def test_a_failure_is_one_line(kexpert: Shell, arguments: list[str], said: str) -> None:
    assert kexpert(*arguments) == 1
    assert kexpert.out == ""
    assert kexpert.err.startswith("kexpert: ")
    assert said in kexpert.err
    assert kexpert.err.count("\n") == 1


def test_without_an_index_the_index_command_is_named(kexpert: Shell, tree: Path, cache_home: Path) -> None:
    assert kexpert("search", "frob") == 1
    assert f"kexpert index --tree {tree}" in kexpert.err
    assert kexpert.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no command"),
        pytest.param(["frobnicate"], id="unknown command"),
        pytest.param(["definition", "core.c"], id="no position"),
        pytest.param(["definition", "core.c:0:1"], id="line 0"),
        pytest.param(["search"], id="no query"),
        pytest.param(["search", "a", "--batch", "-"], id="query and batch"),
        pytest.param(["search", "a", "--limit", "0"], id="limit 0"),
        pytest.param(["index", "--jobs", "many"], id="jobs no number"),
        pytest.param(["serve", "--tcp", "localhost"], id="no port"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(kexpert: Shell, arguments: list[str]) -> None:
    assert kexpert(*arguments) == 2
    assert kexpert.err.startswith("kexpert: ")
    assert "--help" in kexpert.err
    assert kexpert.err.count("\n") == 1


def test_a_closed_pipe_is_no_error(kexpert: Shell, tree: Path) -> None:
    """As in ``kexpert search … | head -1``."""
    with start("search", "--batch", "-", "--tree", tree) as process:
        process.stdin.write(b"frob\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"frob\n" * 1000)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_interrupting_is_one_line_and_exit_code_130(kexpert: Shell, tree: Path) -> None:
    with start("search", "--batch", "-", "--tree", tree) as process:
        process.stdin.write(b"frob\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"kexpert: interrupted\n"
        assert process.wait(30) == 130


def start(*arguments: str | Path) -> Any:
    """A command that can be interrupted, even when the tests run in a shell's background."""
    command = [sys.executable, "-m", "kexpert", *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **pipes, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kexpert", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
