"""Which variant of a name is compiled, by architecture, Makefiles, includes and ``#if``."""

from __future__ import annotations

import pytest

from kexpert.core.kernel.configuration import Configuration, Relations, arch_of_dotconfig, source_arch
from kexpert.core.kernel.kconfig import parse_dotconfig
from kexpert.features.navigation.definition import definition
from kexpert.features.navigation.references import references
from kexpert.features.semantics.variant_states import compiled_first
from kexpert.features.symbols.by_name import symbols_named
from tests.support.fixture_text import cut_marks
from tests.support.memory_view import MemoryView, files_of

SLABS = Relations(
    {"OLD": [[]], "FAST": [["MMU"]], "TOOL": [["OLD"]], "MMU": [[]]}, {"FAST": [["HELP", ""]]}, [["OLD", "FAST"]]
)


def configured(arch: str = "x86", **values: str) -> Configuration:
    return Configuration(arch, values, complete=True, origin="test", relations=lambda: SLABS)


def jump(fixture: str, configuration: Configuration, mark: str = "use") -> list[str]:
    """The marks that a jump from the mark ``use`` leads to, best first."""
    files, marks = cut_marks(files_of(fixture))
    view = MemoryView(files)
    view.configuration = configuration
    path, offset = marks[mark]
    source = view.source(path)
    assert source is not None
    at = {(where, place): name for name, (where, place) in marks.items()}
    return [at.get((span.path, span.start), f"{span.path}:{span.start}") for span in definition(view, source, offset)]


ARCHES = """\
//- drivers/a.c
#include <asm/spin.h>
int f(void) { return /*|use*/spin(); }
//- arch/arm64/kernel/b.c
#include <asm/spin.h>
int g(void) { return /*|in_arm64*/spin(); }
//- arch/arm64/include/asm/spin.h
#include <asm/vdso/relax.h>
//- arch/arm64/include/asm/vdso/relax.h
#define /*|arm64*/spin() 1
//- arch/x86/include/asm/spin.h
#define /*|x86*/spin() 2
//- include/asm-generic/spin.h
#define /*|generic*/spin() 3
"""


@pytest.mark.parametrize(
    ("arch", "mark", "expected"),
    [("x86", "use", "x86"), ("arm64", "use", "arm64"), ("riscv", "use", "generic"), ("x86", "in_arm64", "arm64")],
)
def test_the_headers_of_the_architecture_are_read(arch: str, mark: str, expected: str) -> None:
    assert jump(ARCHES, configured(arch), mark)[0] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"BIG": "y"}, "big"), ({"BIG": "m"}, "big"), ({}, "small")],
)
def test_the_object_that_is_built_defines_a_function(values: dict[str, str], expected: str) -> None:
    fixture = """\
//- kernel/Makefile
obj-$(CONFIG_BIG) += a_big.o
ifndef CONFIG_BIG
obj-y += z_small.o
endif
obj-y += user.o
//- kernel/a_big.c
int /*|big*/work(void) { return 1; }
//- kernel/z_small.c
int /*|small*/work(void) { return 2; }
//- kernel/user.c
int work(void);
int use(void) { return /*|use*/work(); }
"""
    assert jump(fixture, configured(**values)) == [expected]


def test_a_header_that_is_included_comes_before_one_that_is_not() -> None:
    fixture = """\
//- fs/x.c
#include <linux/pick.h>
int f(void) { struct /*|use*/item i; return 0; }
//- include/linux/a_item.h
struct /*|a*/item { int a; };
//- include/linux/z_item.h
struct /*|z*/item { int z; };
//- include/linux/pick.h
#ifdef CONFIG_A
#include <linux/a_item.h>
#else
#include <linux/z_item.h>
#endif
"""
    assert jump(fixture, configured()) == ["z"]
    assert jump(fixture, configured(A="y")) == ["a"]


def test_what_is_not_known_excludes_nothing() -> None:
    fixture = """\
//- fs/x.c
#ifdef SOME_MACRO_OF_THE_BUILD
int /*|first*/f(void) { return 1; }
#else
int /*|second*/f(void) { return 2; }
#endif
int g(void) { return /*|use*/f(); }
"""
    assert set(jump(fixture, Configuration("x86", {"A": "y"}))) == {"first", "second"}


IF_ELSE = """\
//- fs/x.c
#ifdef CONFIG_A
int /*|first*/f(void) { return 1; }
#else
int /*|second*/f(void) { return 2; }
#endif
int g(void) { return /*|use*/f(); }
#ifdef CONFIG_A
int h(void) { return /*|with_a*/f(); }
#else
int h(void) { return /*|without_a*/f(); }
#endif
"""


@pytest.mark.parametrize(
    ("value", "mark", "expected"),
    [
        ("y", "use", "first"), ("n", "use", "second"), ("n", "with_a", "first"), ("y", "without_a", "second"),
    ],
    ids=["on", "off", "off, asked where it is on", "on, asked where it is off"],
)  # fmt: skip
def test_the_if_around_the_asking_place_decides_first(value: str, mark: str, expected: str) -> None:
    found = jump(IF_ELSE, configured(A=value), mark)
    assert found[0] == expected
    assert set(found) == {"first", "second"}


def test_of_a_macro_that_is_defined_anew_the_last_one_before_the_place_holds() -> None:
    fixture = """\
//- fs/x.c
#define /*|first*/STEP 1
int f(void) { return /*|use*/STEP; }
#undef STEP
#define /*|second*/STEP 2
int g(void) { return /*|later*/STEP; }
"""
    assert jump(fixture, configured())[0] == "first"
    assert jump(fixture, configured(), "later")[0] == "second"


def test_a_strong_definition_comes_before_a_weak_one() -> None:
    fixture = """\
//- kernel/a.c
int __weak /*|weak*/f(void) { return 1; }
int g(void) { return 0; }
//- arch/x86/kernel/z.c
int /*|strong*/f(void) { return 2; }
//- kernel/user.c
int f(void);
int use(void) { return /*|use*/f(); }
"""
    assert jump(fixture, configured()) == ["strong"]


def test_boot_code_is_not_the_kernels() -> None:
    fixture = """\
//- arch/x86/boot/a.c
int /*|boot*/f(void) { return 1; }
int g(void) { return /*|in_boot*/f(); }
//- lib/z.c
int /*|kernel*/f(void) { return 2; }
//- kernel/user.c
int f(void);
int use(void) { return /*|use*/f(); }
"""
    assert jump(fixture, configured()) == ["kernel"]
    assert jump(fixture, configured(), "in_boot") == ["boot"]


def test_lists_have_what_is_built_first() -> None:
    fixture = """\
//- drivers/Makefile
obj-$(CONFIG_A) += a.o
obj-y += z.o user.o
//- drivers/a.c
int go(void);
int f(void) { return go(); }
//- drivers/z.c
int go(void);
int f(void) { return go(); }
//- drivers/user.c
int /*|use*/go(void) { return 1; }
"""
    files, marks = cut_marks(files_of(fixture))
    view = MemoryView(files)
    view.configuration = configured()
    source = view.source("drivers/user.c")
    assert source is not None
    found = references(view, source, marks["use"][1], False, lambda: False)
    assert [file.path for file in found] == ["drivers/z.c", "drivers/a.c"]
    assert [row.path for row in symbols_named(view, "f", 5)] == ["drivers/z.c", "drivers/a.c"]
    assert [row.path for row in compiled_first(view, view.lookup("f"))] == ["drivers/z.c", "drivers/a.c"]


# -- what one option makes of others --------------------------------------------------------------------


def test_a_member_of_a_choice_excludes_the_others_and_brings_what_it_needs() -> None:
    base = configured(OLD="y", MMU="n", TOOL="y")
    found = base.under([("FAST", True)])
    assert {name: found.option(name) for name in ("FAST", "OLD", "MMU", "HELP", "TOOL")} == {
        "FAST": "y", "OLD": "n", "MMU": "y", "HELP": "y", "TOOL": "n",
    }  # fmt: skip
    assert base.option("OLD") == "y"


def test_what_holds_already_changes_nothing() -> None:
    base = configured(FAST="m", OLD="n")
    assert base.under([("FAST", True), ("OLD", False)]) is base


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        (b"# Linux/x86_64 6.1.0 Kernel Configuration\nCONFIG_A=y\n", "x86"),
        (b"# Linux/arm64 6.1.0 Kernel Configuration\nCONFIG_A=y\n", "arm64"),
        (b"CONFIG_RISCV=y\n", "riscv"),
        (b"CONFIG_A=y\n", ""),
    ],
)
def test_a_dotconfig_says_its_architecture(text: bytes, arch: str) -> None:
    assert arch_of_dotconfig(text, parse_dotconfig(text)) == arch


def test_architectures_have_many_names() -> None:
    assert [source_arch(name) for name in ("x86_64", "aarch64", "armv7l", "mips")] == ["x86", "arm64", "arm", "mips"]
