"""The order of several definitions of a name."""

from __future__ import annotations

import pytest

from kexpert.features.semantics.definition_ranking import rank_definitions
from tests.support.memory_view import MemoryView, files_of

F = "int f(void)\n{\n}\n"


def ranked(fixture: str, name: str, path: str) -> list[str]:
    view = MemoryView(files_of(fixture))
    source = view.source(path)
    assert source is not None
    return [symbol.path for symbol in rank_definitions(view, view.lookup(name), source)]


@pytest.mark.parametrize(
    ("fixture", "first"),
    [
        ("//- a/other.c\nstatic int f(void)\n{\n}\n//- z/own.c\nint f(void)\n{\n}\n", "z/own.c"),
        ("//- drivers/x/x.c\n#include <linux/f.h>\n//- drivers/x/y.c\nstatic int f(void)\n{\n}\n"
         "//- include/linux/f.h\nint f(void);\n", "include/linux/f.h"),
        ("//- drivers/x/x.c\n#include <linux/f.h>\n//- include/linux/f.h\nint f(void);\n"
         "static inline int f(void) { return 0; }\n//- kernel/f.c\nint f(void)\n{\n}\n", "kernel/f.c"),
        (f"//- drivers/x/x.c\n//- tools/a.c\n{F}//- kernel/z.c\n{F}", "kernel/z.c"),
        (f"//- drivers/x/x.c\n//- arch/arm/a.c\n{F}//- arch/x86/a.c\n{F}", "arch/x86/a.c"),
        (f"//- drivers/x/x.c\n//- drivers/a/y.c\n{F}//- drivers/x/z.c\n{F}", "drivers/x/z.c"),
        ("//- drivers/x/x.c\n//- lib/a.c\nint __weak f(void)\n{\n}\n//- lib/b.c\nint f(void)\n{\n}\n", "lib/b.c"),
        ("//- drivers/x/x.c\n#include \"x.h\"\n//- drivers/x/x.h\n#include \"../common/t.h\"\n"
         "//- drivers/a/t.h\nstruct f { int a; };\n//- drivers/common/t.h\nstruct f { int b; };\n",
         "drivers/common/t.h"),
    ],
    ids=["own file", "declaration over a foreign static", "body over stub", "kernel over tools", "x86 over arm",
         "own directory", "strong over weak", "header of an included header"],
)  # fmt: skip
def test_best_definition_comes_first(fixture: str, first: str) -> None:
    own = "z/own.c" if "z/own.c" in fixture else "drivers/x/x.c"
    assert ranked(fixture, "f", own)[0] == first


def test_architecture_of_the_file_comes_first() -> None:
    fixture = "//- arch/arm/a.c\nint f(void)\n{\n}\n//- arch/x86/a.c\nint f(void)\n{\n}\n//- arch/arm/b.c\nint x;\n"
    assert ranked(fixture, "f", "arch/arm/b.c") == ["arch/arm/a.c", "arch/x86/a.c"]
