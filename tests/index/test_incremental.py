"""An index that followed edits equals one built from the edited tree."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kexpert.index.builder import prepare, update
from kexpert.index.compaction import compact
from kexpert.index.schema import FILE_SHIFT, SymbolStore
from kexpert.index.update_plan import plan_update, plan_update_of
from tests.support.edited_tree import edited_tree

NAMES = ["kernel/a.c", "kernel/b.c", "include/linux/c.h", "mm/d.c", "mm/Kconfig", "mm/Makefile", "arch/x86/e.S"]
PIECES = [
    b"int alpha(void)\n{\n\tbeta(1);\n\treturn 0;\n}\n",
    b"static void beta(int x)\n{\n\tmight_sleep();\n\talpha();\n}\n",
    b"struct gamma {\n\tint first;\n\tlong second;\n};\n",
    b"static const struct gamma_ops ops = {\n\t.open = alpha,\n\t.close = beta,\n};\n",
    b"#define DELTA(x) ((x) + 1)\n",
    b"EXPORT_SYMBOL_GPL(alpha);\n",
    b"#define MAKE(name) int make_##name(void) { return alpha(); }\n",
    b"MAKE(eta)\n",
    b"config FOO\n\tbool\n",
    b"obj-$(CONFIG_FOO) += foo.o\n",
    b"SYM_FUNC_START(epsilon)\n\tret\nSYM_FUNC_END(epsilon)\n",
    b"/* alpha in a comment, and \xe9 */\n",
    b"int broken( {{{\n",
    b"".join(b"#define REG_%d 0x%x\n" % (number, number) for number in range(401)),
]
contents = st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join)
paths = st.sampled_from(NAMES)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), paths, contents),
        st.tuples(st.just("delete"), paths),
        st.tuples(st.just("rename"), paths, paths),
        st.tuples(st.just("remove folder"), st.sampled_from(["kernel", "mm"])),
        st.tuples(st.just("compact")),
    ),
    max_size=8,
)


def dump(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of an index, without their ids."""
    with contextlib.closing(SymbolStore(database)) as store:
        ask = store.db.execute
        live = f"JOIN files f ON f.id = {{}} >> {FILE_SHIFT}"
        vocabulary = [
            "alpha",
            "beta",
            "gamma",
            "DELTA",
            "CONFIG_FOO",
            "foo",
            "epsilon",
            "might_sleep",
            "open",
            "broken",
        ]
        return {
            "files": sorted((path,) for path in store.files()),
            "symbols": sorted(
                ask(
                    "SELECT f.path, s.name, s.kind, s.flags, s.line, s.at, s.start, s.end, coalesce(s.scope, '')"
                    f" FROM symbols s {live.format('s.id')}"
                )
            ),
            "registers": sorted(
                ask(f"SELECT f.path, r.name, r.line, r.at, r.start, r.end FROM registers r {live.format('r.id')}")
            ),
            "assignments": sorted(
                ask(
                    "SELECT f.path, a.struct, a.member, a.function, a.tbl, a.at FROM assignments a"
                    f" {live.format('a.id')}"
                )
            ),
            "calls": sorted(
                ask(
                    f"SELECT f.path, s.name, c.callee FROM calls c {live.format('c.caller')}"
                    " JOIN symbols s ON s.id = c.caller"
                )
            ),
            "words": sorted(
                (word, row[0])
                for word in vocabulary
                for row in ask(
                    "SELECT f.path FROM words JOIN files f ON f.id = words.rowid WHERE words MATCH ?", (f'"{word}"',)
                )
            ),
            "subwords": sorted(
                (word, *row)
                for word in ["alpha", "gamma", "delta", "ops"]
                for row in ask(
                    "SELECT f.path, s.name FROM subwords w JOIN symbols s ON s.id = w.rowid"
                    f" {live.format('s.id')} WHERE subwords MATCH ?",
                    (f'"{word}"*',),
                )
            ),
        }


def bring_up(root: Path, database: Path) -> None:
    prepare(root, database)
    with contextlib.closing(SymbolStore(database)) as store:
        work = plan_update(root, store)
    update(root, database, work)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.dictionaries(paths, contents, max_size=5), edits=steps, reported=st.booleans())
def test_following_edits_equals_building_anew(start: dict[str, bytes], edits: list[tuple], reported: bool) -> None:
    with edited_tree(NAMES, start) as (root, database):
        bring_up(root, database)
        clock = 1_700_000_000_000_000_000
        for edit in edits:
            changed: set[str] = set()
            match edit:
                case ("write", path, data):
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(data)
                    clock += 1_000_000
                    os.utime(root / path, ns=(clock, clock))
                    changed = {path}
                case ("delete", path):
                    (root / path).unlink(missing_ok=True)
                    changed = {path}
                case ("rename", old, new):
                    if (root / old).exists() and (root / new).parent.exists():
                        (root / old).rename(root / new)
                    changed = {old, new}
                case ("remove folder", path):
                    shutil.rmtree(root / path, ignore_errors=True)
                    changed = {path + "/"}
                case ("compact",):
                    assert compact(root, database, lambda: False)
            with contextlib.closing(SymbolStore(database)) as store:
                work = plan_update_of(root, store, changed) if reported else plan_update(root, store)
            update(root, database, work)
        fresh = database.with_name("fresh.db")
        bring_up(root, fresh)
        assert dump(database) == dump(fresh)
