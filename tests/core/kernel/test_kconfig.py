"""Kconfig: entries, with the conditions that they inherit from enclosing blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.kernel.kconfig import KconfigEntry, parse_dotconfig, parse_kconfig
from tests.support.complexity import assert_linear

FILE = b"""# SPDX
mainmenu "Widgets"

menu "Widget drivers"
	depends on WIDGETS
	visible if EXPERT

config SPIN
	tristate "Spin \\"fast\\" if you like" if EXPERT  # why
	depends on PCI && \\
		   (ARM || X86)
	depends on !BROKEN
	select WIDGET_CORE if OF
	select CRC32
	imply LEDS
	default y if X86
	default m
	help
	  First line,
	    deeper.

	  After a blank: config NOT_AN_ENTRY
	  depends on nothing.

	  config ALSO_NOT

if SPIN

menuconfig SPIN_MORE
	def_bool $(success,test "if" = 'if') if ACPI
	prompt "More"

config SPEED
  int "Speed"
  range 1 10 if SPIN
  range 0x10 HIGHEST
  default 5
  ---help---
    Old style.
  comment "after help"

source "drivers/widget/$(SRCARCH)/Kconfig"
endif

endmenu

choice WAY
	prompt "Which way"
	bool
	depends on TURN
	default LEFT
	optional

config LEFT
	bool "Left"

config RIGHT
	bool 'Right'
	help

endchoice

config LAST
	string
	default "a if b"
rsource "sub/Kconfig*"
"""


def entry(name: str, data: bytes = FILE) -> KconfigEntry:
    (found,) = parse_kconfig(data, "drivers/widget/Kconfig").named(name)
    return found


def test_all_entries_are_found_in_order() -> None:
    kinds = [(e.kind, e.name or e.prompt) for e in parse_kconfig(FILE, "K").entries]
    assert kinds == [
        ("menu", "Widget drivers"),
        ("config", "SPIN"),
        ("menuconfig", "SPIN_MORE"),
        ("config", "SPEED"),
        ("comment", "after help"),
        ("choice", "WAY"),
        ("config", "LEFT"),
        ("config", "RIGHT"),
        ("config", "LAST"),
    ]


def test_attributes_of_an_entry() -> None:
    spin = entry("SPIN")
    assert (spin.type, spin.prompt, spin.prompt_if) == ("tristate", 'Spin "fast" if you like', "EXPERT")
    assert spin.depends == ["WIDGETS", "PCI && (ARM || X86)", "!BROKEN"]
    assert spin.visible_if == ["EXPERT"]
    assert spin.selects == [("WIDGET_CORE", "OF"), ("CRC32", "")]
    assert spin.implies == [("LEDS", "")]
    assert spin.defaults == [("y", "X86"), ("m", "")]
    assert spin.menus == ("Widget drivers",)


def test_help_ends_with_its_indentation() -> None:
    assert entry("SPIN").help == (
        "First line,\n  deeper.\n\nAfter a blank: config NOT_AN_ENTRY\ndepends on nothing.\n\nconfig ALSO_NOT"
    )
    assert entry("SPEED").help == "Old style."
    assert entry("RIGHT").help == ""


def test_shorthands_and_macros() -> None:
    more = entry("SPIN_MORE")
    assert (more.type, more.prompt) == ("bool", "More")
    assert more.defaults == [("""$(success,test "if" = 'if')""", "ACPI")]
    assert entry("LAST").defaults == [('"a if b"', "")]
    assert entry("SPEED").ranges == [("1", "10", "SPIN"), ("0x10", "HIGHEST", "")]


def test_entries_inherit_the_conditions_of_enclosing_blocks() -> None:
    assert entry("SPEED").depends == ["WIDGETS", "SPIN"]
    assert entry("LEFT").depends == ["TURN"]
    assert entry("LAST").depends == []


def test_source_lines() -> None:
    sources = parse_kconfig(FILE, "K").sources
    assert [(s.keyword, s.pattern, s.depends) for s in sources] == [
        ("source", "drivers/widget/$(SRCARCH)/Kconfig", ("WIDGETS", "SPIN")),
        ("rsource", "sub/Kconfig*", ()),
    ]


def test_spans_cover_the_entry_and_its_help() -> None:
    spin = entry("SPIN")
    text = FILE[spin.start : spin.end]
    assert text.startswith(b"config SPIN\n") and text.endswith(b"config ALSO_NOT")
    assert FILE.split(b"\n")[spin.line] == b"config SPIN"


def test_windows_line_endings() -> None:
    spin = entry("SPIN", FILE.replace(b"\n", b"\r\n"))
    assert spin.depends == ["WIDGETS", "PCI && (ARM || X86)", "!BROKEN"]
    assert spin.help.startswith("First line,\n  deeper.\n\nAfter")


def test_dotconfig() -> None:
    data = (
        b'# Comment\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_S="x=\\"y\\""\r\nCONFIG_N=0x10\n# CONFIG_C is not\nA=1'
    )
    assert parse_dotconfig(data) == {"A": "y", "B": "n", "S": '"x=\\"y\\""', "N": "0x10"}


@given(st.binary() | st.lists(st.sampled_from(FILE.split(b"\n"))).map(b"\n".join))
def test_any_bytes_raise_no_error(data: bytes) -> None:
    for each in parse_kconfig(data, "K").entries:
        assert 0 <= each.start <= each.end <= len(data)
    parse_dotconfig(data)


@pytest.mark.parametrize("line", [b"if A\n", b"menu 'x'\n", b"help\n", b"config A\\\n", b"default (\n", b'bool "'])
def test_repetition_takes_linear_time(line: bytes) -> None:
    assert_linear(lambda size: parse_kconfig(b"config X\n" + line * size, "K"))
