"""Members that are named in the arguments of macros within macros."""

from __future__ import annotations

import pytest

from kexpert.core.symbols import Symbol
from kexpert.features.semantics.resolve import resolve
from tests.support.memory_view import MemoryView, at_cursor

LEVELS = 4


def macros(wide: int, last: str) -> str:
    """Each of ``wide`` macros a level uses each of the next level; the last level is ``last``."""
    names = [[f"m{level}_{number}" for number in range(wide)] for level in range(LEVELS)]
    found = []
    for level, following in zip(names, [*names[1:], None], strict=True):
        body = " + ".join(f"{name}(x)" for name in following) if following else last
        found += [f"#define {name}(x) ({body})\n" for name in level]
    return "".join(found)


def texts_read(monkeypatch: pytest.MonkeyPatch, wide: int) -> int:
    """How many definitions are read to find that the argument of such a macro is no member."""
    view, source, offset = at_cursor(
        f"//- include/linux/m.h\n{macros(wide, 'x')}//- a.c\n#include <linux/m.h>\n"
        "int f(int here)\n{\n\treturn m0_0(he/*|*/re);\n}\n"
    )
    read: list[str] = []
    text_of = type(view).text

    def counted(self: MemoryView, symbol: Symbol) -> bytes:
        read.append(symbol.name)
        return text_of(self, symbol)

    with monkeypatch.context() as patch:
        patch.setattr(type(view), "text", counted)
        found = resolve(view, source, offset)
    assert found is not None and found.kind == "local"
    return len(read)


def test_macros_that_use_each_other_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = texts_read(monkeypatch, 2), texts_read(monkeypatch, 8)
    assert 0 < wide <= 6 * narrow


def test_a_member_is_found_below_macros_that_use_each_other() -> None:
    view, source, offset = at_cursor(
        f"//- include/linux/m.h\n{macros(3, 'it->x')}//- a.c\n#include <linux/m.h>\nstruct it {{ int here; }};\n"
        "int f(struct it *it)\n{\n\treturn m1_0(he/*|*/re);\n}\n"
    )
    found = resolve(view, source, offset)
    assert found is not None and found.kind == "member" and found.name == "here"
