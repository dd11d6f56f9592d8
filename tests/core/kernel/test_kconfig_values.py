"""The values that Kconfig gives: defaults, choices, selects, dependencies, defconfigs."""

from __future__ import annotations

import pytest

from kexpert.core.kernel.kconfig_tree import KconfigTree, read_kconfig_tree
from kexpert.core.kernel.kconfig_values import kconfig_values
from tests.support.complexity import assert_linear
from tests.support.fixture_text import files_of


def tree_of(fixture: str, arch: str = "x86") -> KconfigTree:
    files = files_of(fixture)

    def list_dir(folder: str) -> dict[str, bool]:
        inner = [path[len(folder) + 1 :].split("/") for path in files if path.startswith(folder + "/")]
        return {parts[0]: len(parts) > 1 for parts in inner}

    return read_kconfig_tree(arch, files.get, list_dir)


def values_of(fixture: str, user: dict[str, str] | None = None, *, all_no: bool = False) -> dict[str, str]:
    return kconfig_values(tree_of(fixture), user or {}, all_no)


CHOICE = """\
//- Kconfig
config MODULES
	bool "modules"
choice
	prompt "which"
	default SECOND
config FIRST
	bool "first"
config SECOND
	bool "second"
	select NEEDED
config THIRD
	bool "third"
	depends on NEVER
endchoice
config NEVER
	bool
config NEEDED
	bool
config DRIVER
	tristate "driver"
	depends on SECOND
	default m
config BUS
	int "size"
	default 64 if SECOND
	default 32
"""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({}, {"FIRST": "n", "SECOND": "y", "THIRD": "n", "NEEDED": "y", "BUS": "64"}),
        ({"FIRST": "y"}, {"FIRST": "y", "SECOND": "n", "NEEDED": "n", "DRIVER": "n", "BUS": "32"}),
        ({"THIRD": "y"}, {"SECOND": "y", "THIRD": "n"}),
        ({"MODULES": "y"}, {"DRIVER": "m"}),
        ({"MODULES": "n"}, {"DRIVER": "y"}),
        ({"MODULES": "y", "DRIVER": "n"}, {"DRIVER": "n"}),
        ({"BUS": "7"}, {"BUS": "7"}),
    ],
    ids=["default of a choice", "chosen", "not visible", "a module", "no modules", "answered", "number"],
)
def test_options_get_the_values_of_kconfig(user: dict[str, str], expected: dict[str, str]) -> None:
    found = values_of(CHOICE, user)
    assert {name: found[name] for name in expected} == expected


def test_allnoconfig_answers_no_and_keeps_what_is_not_asked() -> None:
    fixture = "//- Kconfig\nconfig ASKED\n\tbool \"asked\"\n\tdefault y\nconfig HIDDEN\n\tbool\n\tdefault y\n"
    assert values_of(fixture, all_no=True) == {"ASKED": "n", "HIDDEN": "y"}


def test_select_beats_no_and_imply_does_not() -> None:
    fixture = """\
//- Kconfig
config A
	bool "a"
	select B
	imply C
config B
	bool "b"
	depends on MISSING
config C
	bool "c"
"""
    assert values_of(fixture, {"A": "y", "B": "n", "C": "n"}) == {"A": "y", "B": "y", "C": "n"}
    assert values_of(fixture, {"A": "y"})["C"] == "y"


def test_files_are_read_where_they_are_sourced_with_the_conditions_around() -> None:
    fixture = """\
//- Kconfig
source "arch/$(SRCARCH)/Kconfig"
config LATE
	bool
	default WIDTH = 64
if OFF
rsource "sub/*/Kconfig"
endif
//- arch/x86/Kconfig
config OFF
	bool
config LIKE_64
	def_bool "$(ARCH)" = "x86_64"
config WIDTH
	int
	default 64 if LIKE_64
source "generic"
//- generic
config WIDTH
	default 8
//- sub/a/Kconfig
config INNER
	def_bool y
"""
    assert values_of(fixture) == {"OFF": "n", "LIKE_64": "y", "WIDTH": "64", "LATE": "y", "INNER": "n"}


def test_the_tool_chain_is_taken_for_gcc() -> None:
    fixture = """\
//- Kconfig
config GCC
	def_bool $(success,test "$(cc-name)" = GCC)
config CLANG
	def_bool $(success,test "$(cc-name)" = Clang)
config FLAG
	def_bool $(cc-option,-mfoo -mbar=$(empty))
config NOT
	def_bool $(failure,true)
config UNSET
	def_bool "$(CROSS_COMPILE_COMPAT)" != ""
"""
    assert values_of(fixture) == {"GCC": "y", "CLANG": "n", "FLAG": "y", "NOT": "n", "UNSET": "n"}


@pytest.mark.parametrize(
    "text",
    [
        "config A\n\tdef_bool B\nconfig B\n\tdef_bool A\n",
        "config A\n\tselect A\n",
        "choice\nconfig A\n\tbool \"a\"\n\tdepends on B\nendchoice\nconfig B\n\tdef_bool A\n",
        "config A\n\tdef_bool " + "(" * 500 + "y" + ")" * 500 + "\n",
        "config A\n\tdef_bool " + "A || " * 5000 + "y\n\tdepends on " + "y && " * 5000 + "y\n",
        "config A\n\tdef_bool A &&\n\tdepends on ||\n",
        "source \"Kconfig\"\nsource \"/etc/passwd\"\nsource \"../../x\"\n",
    ],
    ids=["cycle", "selects itself", "cycle through a choice", "deep", "long", "broken", "sources itself and outside"],
)
def test_odd_files_end_with_some_values(text: str) -> None:
    assert set(values_of("//- Kconfig\n" + text).values()) <= {"y", "n", "m"}


def test_nothing_outside_the_tree_is_read() -> None:
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return b'source "../up"\nsource "/etc/passwd"\nsource "in/../../out"\nsource "in/Kconfig"\n'

    read_kconfig_tree("x86", read, lambda _: {})
    assert "in/Kconfig" in asked
    assert not [path for path in asked if path.startswith(("/", ".."))]


def test_a_long_chain_of_dependencies_takes_no_recursion() -> None:
    def chain(length: int) -> str:
        links = "".join(f"config C{i}\n\tdef_bool C{i + 1}\n" for i in range(length))
        return f"//- Kconfig\n{links}config C{length}\n\tdef_bool y\n"

    assert set(values_of(chain(3000)).values()) == {"y"}
    assert_linear(lambda length: values_of(chain(length)))
