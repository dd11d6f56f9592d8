"""The index in a running server: kept up to date, shared, killed, damaged."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kexpert.background.database import IndexState, cache_directory
from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind
from kexpert.index import service as service_module
from kexpert.index.schema import SymbolStore
from kexpert.index.service import IndexService, IndexUnavailable, build, open_view
from tests.support.waiting import eventually

Maker = Callable[[Mapping[str, bytes]], Path]

TREE = {
    "kernel/fork.c": b"#include <linux/sched.h>\nint copy_thing(int a)\n{\n\treturn helper(a);\n}\n",
    "kernel/exit.c": b"static void helper(int a)\n{\n}\nvoid do_exit(void)\n{\n\tcopy_thing(1); /* copy_thing */\n}\n",
    "include/linux/sched.h": b"int copy_thing(int a);\nstruct task {\n\tint pid;\n};\n",
}


@pytest.fixture
def start(make_tree: Maker) -> Iterator[Callable[..., IndexService]]:
    running: list[IndexService] = []

    def begin(root: Path, **options: object) -> IndexService:
        service = IndexService(root, **options)  # type: ignore[arg-type]
        running.append(service)
        service.start()
        assert service.wait_idle(30)
        return service

    yield begin
    for service in running:
        service.close()


def names(service: IndexService, name: str) -> list[tuple[str, Kind]]:
    return sorted((symbol.path, symbol.kind) for symbol in service.view().lookup(name))


def test_lookup_finds_definitions_and_declarations(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    service = start(make_tree(TREE))
    assert names(service, "copy_thing") == [("include/linux/sched.h", Kind.PROTOTYPE), ("kernel/fork.c", Kind.FUNCTION)]
    assert names(service, "CONFIG_SMP") == [("Kconfig", Kind.CONFIG)]


def test_references_in_comments_are_left_out(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree(TREE)
    found = [use for file in start(root).view().references("copy_thing") for use in file]
    assert [(span.path, (root / span.path).read_bytes()[span.start : span.end]) for span in found] == [
        ("include/linux/sched.h", b"copy_thing"),
        ("kernel/exit.c", b"copy_thing"),
        ("kernel/fork.c", b"copy_thing"),
    ]


def test_makefiles_that_use_an_option_mention_it(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    assert "Makefile" in start(make_tree(TREE)).view().files_mentioning("CONFIG_SMP")


def test_callers_and_caller_count(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    view = start(make_tree(TREE)).view()
    assert view.complete
    assert [symbol.name for symbol in view.callers("copy_thing")] == ["do_exit"]
    assert view.caller_count("copy_thing") == 1


def test_a_saved_edit_is_seen_by_other_files(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree(TREE)
    service = start(root, watch=False)
    (root / "kernel/exit.c").write_bytes(b"int brand_new(void)\n{\n\treturn 1;\n}\n")
    service.files_changed(["kernel/exit.c"])
    eventually(lambda: names(service, "brand_new") == [("kernel/exit.c", Kind.FUNCTION)], seconds=5)
    assert names(service, "do_exit") == []


def test_stale_rows_are_replaced_by_the_file_as_it_is(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree(TREE)
    service = start(root, watch=False)
    (root / "kernel/exit.c").write_bytes(b"\n\n\nvoid do_exit(void)\n{\n}\n")
    (symbol,) = service.view().lookup("do_exit")
    assert symbol.line == 3
    assert service.view().text(symbol).startswith(b"void do_exit")


@pytest.mark.parametrize("change", ["write", "new folder", "delete", "rename"])
def test_the_watcher_reports_changes(make_tree: Maker, start: Callable[..., IndexService], change: str) -> None:
    root = make_tree(TREE)
    service = start(root)
    eventually(lambda: service.is_watching, seconds=5)
    if change == "write":
        (root / "kernel/fork.c").write_bytes(b"int appeared;\n")
    elif change == "new folder":
        (root / "drivers/new").mkdir(parents=True)
        (root / "drivers/new/x.c").write_bytes(b"int appeared;\n")
    elif change == "rename":
        (root / "kernel/fork.c").rename(root / "kernel/moved.c")
    else:
        (root / "kernel/fork.c").unlink()
    if change in ("write", "new folder"):
        eventually(lambda: names(service, "appeared"), seconds=10)
    elif change == "rename":
        eventually(lambda: ("kernel/moved.c", Kind.FUNCTION) in names(service, "copy_thing"), seconds=10)
    else:
        eventually(lambda: names(service, "copy_thing") == [("include/linux/sched.h", Kind.PROTOTYPE)], seconds=10)


def test_folders_are_polled_if_inotify_grants_too_few_watches(
    make_tree: Maker, start: Callable[..., IndexService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kexpert.index.watcher.watch_limit", lambda: 2)
    monkeypatch.setattr("kexpert.index.watcher._POLL_SECONDS", 0.1)
    said: list[str] = []
    root = make_tree(TREE)
    service = start(root, on_message=said.append)
    eventually(lambda: any("max_user_watches" in line for line in said), seconds=5)
    (root / "kernel/late.c").write_bytes(b"int latecomer;\n")
    eventually(lambda: names(service, "latecomer"), seconds=20)


def test_an_open_buffer_hides_the_rows_of_its_file(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    service = start(make_tree(TREE))
    overlay = {"kernel/fork.c": Source("kernel/fork.c", b"int typed_just_now(void)\n{\n\tdo_exit();\n}\n")}
    view = service.view(overlay)
    assert [symbol.path for symbol in view.lookup("typed_just_now")] == ["kernel/fork.c"]
    assert [symbol.kind for symbol in view.lookup("copy_thing")] == [Kind.PROTOTYPE]
    assert "typed_just_now" in [symbol.name for symbol in view.lookup_prefix("typed_")]
    assert [symbol.name for symbol in view.callers("do_exit")] == ["typed_just_now"]
    assert "kernel/fork.c" in {span.path for span in view.references("do_exit")}


def test_a_second_server_follows_and_takes_over(make_tree: Maker, start: Callable[..., IndexService],
                                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(service_module, "_RETRY_SECONDS", 0.1)
    root = make_tree(TREE)
    first = start(root, watch=False)
    second = start(root, watch=False)
    assert (first.writer, second.writer) == (True, False)
    (root / "kernel/exit.c").write_bytes(b"int from_the_first;\n")
    first.files_changed(["kernel/exit.c"])
    eventually(lambda: names(second, "from_the_first"), seconds=5)
    first.close()
    eventually(lambda: second.writer, seconds=5)
    (root / "kernel/exit.c").write_bytes(b"int from_the_second;\n")
    second.files_changed(["kernel/exit.c"])
    eventually(lambda: names(second, "from_the_second"), seconds=5)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "old version", "other tree", "zero pages"])
def test_an_unusable_index_is_reported_and_rebuilt(
    make_tree: Maker, start: Callable[..., IndexService], damage: str
) -> None:
    root = make_tree(TREE)
    build(root)
    database = cache_directory(root) / "index.db"
    if damage == "garbage":
        database.write_bytes(b"not a database at all" * 1000)
    elif damage == "truncated":
        os.truncate(database, database.stat().st_size // 2)
    elif damage == "zero pages":
        with database.open("r+b") as file:
            file.seek(4096)
            file.write(b"\0" * (database.stat().st_size - 4096))
    else:
        with sqlite3.connect(database) as db:
            key, value = ("version", "0") if damage == "old version" else ("root", "/somewhere/else")
            db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))
        db.close()
    assert SymbolStore.state_of(database, root) is not IndexState.READY
    said: list[str] = []
    service = start(root, on_message=said.append)
    assert names(service, "do_exit") == [("kernel/exit.c", Kind.FUNCTION)]
    assert any("building it anew" in line for line in said)
    assert SymbolStore.state_of(database, root) is IndexState.READY


def test_damage_found_while_serving_is_repaired(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree({**TREE, **{f"mm/f{i}.c": b"int filler_%d;\n" % i * 50 for i in range(50)}})
    build(root)
    database = cache_directory(root) / "index.db"
    size = database.stat().st_size
    said: list[str] = []
    service = start(root, watch=False, on_message=said.append)
    with database.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    service._reader.close()  # drop pages that are held in memory
    service.view().lookup("do_exit")
    eventually(lambda: any("damaged" in line for line in said), seconds=10)
    eventually(lambda: names(service, "do_exit") == [("kernel/exit.c", Kind.FUNCTION)], seconds=10)


def test_a_start_that_finds_nothing_different_reports_no_change(
    make_tree: Maker, start: Callable[..., IndexService]
) -> None:
    root = make_tree({"a.c": "int alpha;\n"})
    build(root)
    reported: list[object] = []
    service = start(root, on_updated=lambda paths, _: reported.append(paths))
    assert service.wait_idle(60)
    assert reported == [set()], "None would mean any file: what was learnt of all files is forgotten for it"


def test_after_a_kill_indexing_goes_on_where_it_was(make_tree: Maker) -> None:
    many = {f"drivers/d{i}/x{j}.c": b"int v_%d_%d;\n" % (i, j) + b"/* some text */\n" * 8000
            for i in range(20) for j in range(8)}  # fmt: skip
    root = make_tree(many)
    database = cache_directory(root) / "index.db"
    run = [sys.executable, "-c", f"from pathlib import Path; from kexpert.index.service import build;"
                                 f"build(Path({str(root)!r}), jobs=2)"]  # fmt: skip

    def stored() -> int:
        try:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
                return int(db.execute("SELECT count(*) FROM files").fetchone()[0])
        except sqlite3.Error:
            return 0

    process = subprocess.Popen(run, start_new_session=True)
    eventually(lambda: stored() > 20, seconds=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    eventually(lambda: _writable(database), seconds=10)
    kept = stored()
    assert SymbolStore.state_of(database, root) in (IndexState.PARTIAL, IndexState.READY)
    report = build(root)
    assert report.files == len(many) + 2
    assert report.changed == report.files - kept
    assert SymbolStore.state_of(database, root) is IndexState.READY
    assert len(open_view(root).lookup("v_19_7")) == 1


def test_a_file_that_kills_its_worker_is_named_and_left_out(make_tree: Maker) -> None:
    root = make_tree({f"drivers/x{i}.c": b"int v%d;\n" % i for i in range(60)})
    script = (
        "import os, kexpert.index.builder as b\n"
        "from pathlib import Path\n"
        "whole = b.extract\n"
        "b.extract = lambda path, data: os.abort() if path.endswith('x7.c') else whole(path, data)\n"
        "if __name__ == '__main__':\n"
        "    from kexpert.index.service import build\n"
        f"    print(build(Path({str(root)!r}), jobs=2).notes)\n"
    )
    main = root.parent / "main.py"  # a spawned worker imports it again
    main.write_text(script)
    run = subprocess.run([sys.executable, str(main)], capture_output=True, text=True, timeout=120, check=True)
    assert "drivers/x7.c: a worker died" in run.stdout
    view = open_view(root)
    assert [bool(view.lookup(f"v{i}")) for i in (6, 7, 8, 59)] == [True, False, True, True]


def _writable(database: Path) -> bool:
    """True if the workers of a killed process are gone too."""
    try:
        with sqlite3.connect(database, timeout=0.1) as db:
            db.execute("BEGIN IMMEDIATE")
            db.rollback()
    except sqlite3.Error:
        return False
    return True


def test_only_one_process_builds_at_a_time(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree(TREE)
    start(root, watch=False)
    with pytest.raises(IndexUnavailable, match=str(os.getpid())):
        build(root)


def test_a_missing_index_says_what_to_do(make_tree: Maker) -> None:
    root = make_tree(TREE)
    with pytest.raises(IndexUnavailable, match="kexpert index --tree"):
        open_view(root)


def test_unusual_files_do_no_harm(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree({**TREE, "kernel/binary.c": bytes(range(256)) * 500, "kernel/empty.c": b""})
    (root / "kernel/loop").symlink_to(root)
    (root / "kernel/dangling.c").symlink_to(root / "nowhere")
    os.mkfifo(root / "kernel/pipe.c")
    secret = root / "kernel/secret.c"
    secret.write_bytes(b"int x;\n")
    secret.chmod(0)
    huge = root / "kernel/huge.c"
    with huge.open("wb") as file:
        file.truncate(50 << 20)
    said: list[str] = []
    service = start(root, on_message=said.append)
    assert names(service, "do_exit") == [("kernel/exit.c", Kind.FUNCTION)]
    assert any("huge.c" in line and "MB" in line for line in said)


def test_a_file_that_vanishes_while_it_is_read_is_noted(make_tree: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(TREE)
    monkeypatch.setattr(
        "kexpert.index.builder.read", lambda top, path: None if "fork" in path else (Path(top) / path).read_bytes()
    )
    report = build(root)
    assert any("fork.c" in note for note in report.notes)
    assert open_view(root).lookup("do_exit")


def test_a_full_disk_is_reported_and_nothing_is_lost(make_tree: Maker, start: Callable[..., IndexService]) -> None:
    root = make_tree(TREE)
    said: list[str] = []
    service = start(root, watch=False, on_message=said.append)
    from kexpert.index.schema import SymbolStore

    whole = SymbolStore.write

    def full(self: SymbolStore, *args: object) -> None:
        self.db.execute("PRAGMA max_page_count = 1")  # SQLite's own "database or disk is full"
        whole(self, *args)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    patch.setattr(SymbolStore, "write", full)
    (root / "kernel/exit.c").write_bytes(b"int after_full;\n" + b"".join(b"int v%d;\n" % i for i in range(20000)))
    service.files_changed(["kernel/exit.c"])
    eventually(lambda: any("full" in line and "XDG_CACHE_HOME" in line for line in said), seconds=10)
    assert names(service, "copy_thing")[1] == ("kernel/fork.c", Kind.FUNCTION)
    patch.undo()
    service.files_changed(["kernel/exit.c"])
    eventually(lambda: names(service, "after_full"), seconds=10)
