"""Definition jumps on uses drawn at random, judged by an oracle that knows nothing of our index: ctags.

Two kinds of use have one right answer that ctags can name:

- unique        the name is a function, macro, struct, union, enum, enumerator, typedef or variable in one place
                of the tree
- same file     a static function defined once in the file of the use, whose name other files define too

Left out, since ctags cannot judge them: locals, parameters, labels and members (also where one has the name of
something else in that file), names defined in several places, and names whose one definition is not visible there.
The first location of an answer counts.
"""

from __future__ import annotations

import random
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.indexing import CTAGS
from benchmarks.sample import SEED, Use, files, uses
from tests.support.lsp_client import Client, ServerError

FILES = 800
USES_PER_FILE = 120
PER_CLASS = 1000
UNIQUE, SAME_FILE = "unique in the tree", "static in the same file, name common"
_LOCAL_KINDS = frozenset("lzLm")


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    path: str
    line: int  # from 0
    kind: str
    static: bool


@dataclass(frozen=True, slots=True)
class Jump:
    use: Use
    target: Tag
    kind: str


def draw(root: Path, paths: list[str] | None = None, per_class: int = PER_CLASS) -> list[Jump]:
    """Uses with one right answer, the same every time, at most ``per_class`` of a kind."""
    paths = files(root, FILES, ".c") if paths is None else paths
    drawn = [use for use in uses(root, paths, USES_PER_FILE) if use.before not in (".", ">")]
    hidden = {
        (tag.path, tag.name) for tag in ctags(root, ["--kinds-C=+lzL", "-L", "-"], paths) if tag.kind in _LOCAL_KINDS
    }
    random.Random(SEED).shuffle(drawn)
    names = {use.name for use in drawn}
    tags: dict[str, list[Tag]] = defaultdict(list)
    for tag in ctags(root, ["-R", "."]):
        if tag.name in names and tag.kind != "m":
            tags[tag.name].append(tag)
    jumps: dict[str, list[Jump]] = {UNIQUE: [], SAME_FILE: []}
    for use in drawn:
        jump = None if (use.path, use.name) in hidden else judged(use, tags[use.name])
        if jump and len(jumps[jump.kind]) < per_class:
            jumps[jump.kind].append(jump)
    return jumps[UNIQUE] + jumps[SAME_FILE]


def judged(use: Use, tags: list[Tag]) -> Jump | None:
    if any(tag.path == use.path and tag.line == use.line for tag in tags):
        return None  # a definition is no use
    if len(tags) == 1:
        if tags[0].static and tags[0].path != use.path:
            return None  # not visible there: the use is of something that ctags does not know
        return Jump(use, tags[0], UNIQUE)
    here = [tag for tag in tags if tag.path == use.path]
    if len(here) == 1 and here[0].kind == "f" and here[0].static and use.before not in ("struct", "union", "enum"):
        return Jump(use, here[0], SAME_FILE)
    return None


def ctags(root: Path, arguments: list[str], paths: Iterable[str] = ()) -> Iterator[Tag]:
    command = [*CTAGS, "--sort=no", "--excmd=number", "--fields=kf", "-f", "-", *arguments]
    with subprocess.Popen(
        command,
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("\n".join(paths))
        process.stdin.close()
        for row in process.stdout:
            name, path, line, kind, *more = row.rstrip("\n").split("\t")
            yield Tag(name, path.removeprefix("./"), int(line.rstrip(';"')) - 1, kind, "file:" in more)


def judge(client: Client, jumps: list[Jump]) -> dict[str, dict[str, Any]]:
    """Ask a server for every jump; counts of right first answers and a line for each wrong one, by kind."""
    report: dict[str, dict[str, Any]] = {}
    opened = ""
    for jump in sorted(jumps, key=lambda j: (j.use.path, j.use.line)):
        if jump.use.path != opened:
            if opened:
                client.close(client.uri(opened))
            client.open_file(opened := jump.use.path)
        row = report.setdefault(jump.kind, {"uses": 0, "right": 0, "wrong": []})
        row["uses"] += 1
        answer = first_place(client, jump.use)
        if answer and answer[0] == jump.target.path and abs(answer[1] - jump.target.line) <= 1:
            row["right"] += 1
        else:
            got = f"{answer[0]}:{answer[1] + 1}" if answer else "nothing"
            use, target = jump.use, jump.target
            row["wrong"].append(f"{use.path}:{use.line + 1}: {use.name}: {got}, not {target.path}:{target.line + 1}")
    for row in report.values():
        row["share"] = row["right"] / row["uses"]
    return report


def first_place(client: Client, use: Use) -> tuple[str, int] | None:
    try:
        answer = client.at("definition", client.uri(use.path), use.position)
    except ServerError:
        return None
    first = answer[0] if isinstance(answer, list) and answer else answer
    if not first:
        return None
    uri = first.get("uri") or first["targetUri"]
    span = first.get("range") or first["targetSelectionRange"]
    path = Path(unquote(urlsplit(uri).path))
    within = path.is_relative_to(client.root)
    return (str(path.relative_to(client.root)) if within else str(path)), span["start"]["line"]
