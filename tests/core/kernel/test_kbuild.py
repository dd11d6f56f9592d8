"""Makefiles: the symbols on which the build of a file depends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.kernel.kbuild import built_by, object_conditions, parse_makefile
from tests.support.complexity import assert_linear

TREE = {
    "Kbuild": b"obj-y += drivers/ arch/$(SRCARCH)/\nobj-$(CONFIG_NET) += net/\n",
    "drivers/Makefile": b"obj-$(CONFIG_WIDGETS)\t+= widget/\nobj-y += misc/ plain/\n",
    "drivers/widget/Kbuild": b"""# SPDX
obj-$(CONFIG_SPIN) += spin.o	# comment
obj-$(CONFIG_TURN) += turner.o
turner-y := turn.o \\
	    sub/deep.o
turner-$(CONFIG_TURN_DEBUG) += debug.o
turner-objs-$(CONFIG_TURN_LED) += led.o
LIST = listed.o
turner-y += $(LIST)
obj-$(CONFIG_A) += both.o
obj-$(CONFIG_B) += both.o
ifdef CONFIG_OF
obj-y += of.o
else ifeq ($(CONFIG_ACPI),y)
	obj-y += acpi.o
else
obj-y += neither.o
endif
ifneq ($(CONFIG_C),)
ifeq ($(BITS),32)
obj-$(subst m,y,$(CONFIG_D)) += nested.o
endif
endif
obj-y$(CONFIG_GENERIC) += own.o
CFLAGS_spin.o := -DX
obj-n += never.o
""",
    "drivers/widget/Makefile": b"obj-$(CONFIG_WRONG) += spin.o\n",
    "drivers/plain/Makefile": b"obj-y += inner/a.o\n",
    "drivers/misc/Makefile": b"include $(src)/gt/Kbuild\nbig-y += $(gt-y) $(addprefix lib/, p.o q.o)\n"
    b"obj-$(CONFIG_BIG) += big.o\n",
    "drivers/misc/gt/Kbuild": b"gt-$(CONFIG_GT) += gt/engine.o\n",
    "arch/x86/Kbuild": b"obj-y += kernel/\nobj-$(CONFIG_KVM) += kvm/\n",
    "arch/x86/kvm/Makefile": b"kvm-y += mmu/mmu.o\nobj-$(CONFIG_KVM) += kvm.o\n",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("drivers/widget/spin.c", ["CONFIG_WIDGETS", "CONFIG_SPIN"]),
        ("drivers/widget/turn.c", ["CONFIG_WIDGETS", "CONFIG_TURN"]),
        ("drivers/widget/sub/deep.c", ["CONFIG_WIDGETS", "CONFIG_TURN"]),
        ("drivers/widget/debug.c", ["CONFIG_WIDGETS", "CONFIG_TURN", "CONFIG_TURN_DEBUG"]),
        ("drivers/widget/led.c", ["CONFIG_WIDGETS", "CONFIG_TURN", "CONFIG_TURN_LED"]),
        ("drivers/widget/listed.c", ["CONFIG_WIDGETS", "CONFIG_TURN"]),
        ("drivers/widget/both.c", ["CONFIG_WIDGETS", "CONFIG_A || CONFIG_B"]),
        ("drivers/widget/of.c", ["CONFIG_WIDGETS", "CONFIG_OF"]),
        ("drivers/widget/acpi.c", ["CONFIG_WIDGETS", "!CONFIG_OF", "CONFIG_ACPI"]),
        ("drivers/widget/neither.c", ["CONFIG_WIDGETS", "!CONFIG_OF", "!CONFIG_ACPI"]),
        ("drivers/widget/nested.c", ["CONFIG_WIDGETS", "CONFIG_C", "$(BITS) == 32", "CONFIG_D"]),
        ("drivers/widget/own.c", ["CONFIG_WIDGETS", "!CONFIG_GENERIC"]),
        ("drivers/plain/inner/a.S", []),
        ("drivers/unknown/x.c", []),
        ("drivers/misc/gt/engine.c", ["CONFIG_BIG", "CONFIG_GT"]),
        ("drivers/misc/lib/q.c", ["CONFIG_BIG"]),
        ("drivers/widget/spin.h", []),
        ("arch/x86/kvm/mmu/mmu.c", ["x86", "CONFIG_KVM"]),
        ("arch/x86/kernel/cpu.c", ["x86"]),
        ("arch/x86/include/asm/page.h", ["x86"]),
    ],
)
def test_conditions_of_all_makefiles_up_to_the_root(path: str, expected: list[str]) -> None:
    assert object_conditions(path, TREE.get) == expected


@pytest.mark.parametrize("path", ["/home/me/module/hello.c", "/a.c", "//a.c", "/", "untitled:Draft.c", "git:/x/a.c"])
def test_a_file_outside_the_tree_has_no_conditions_and_reads_no_makefile(path: str) -> None:
    read: list[str] = []
    assert object_conditions(path, lambda one: read.append(one)) == []
    assert not read


@given(st.text(st.sampled_from("/.ac:")))
def test_any_path_raises_no_error(path: str) -> None:
    assert isinstance(object_conditions(path, lambda one: None), list)


def test_files_that_a_symbol_builds() -> None:
    data = TREE["drivers/widget/Kbuild"]
    here = "drivers/widget"
    assert built_by("CONFIG_TURN", data, here) == [
        "drivers/widget/turn.c",
        "drivers/widget/sub/deep.c",
        "drivers/widget/listed.c",
    ]
    assert built_by("TURN_DEBUG", data, here) == ["drivers/widget/debug.c"]
    assert built_by("WIDGETS", TREE["drivers/Makefile"], "drivers") == ["drivers/widget/"]
    assert built_by("NET", TREE["Kbuild"], "") == ["net/"]
    assert built_by("ABSENT", data, here) == []


def test_an_assignment_for_an_option_replaces_the_one_for_all() -> None:
    """mm/Makefile: ``nommu.o`` is built only without CONFIG_MMU."""
    lines = b"mmu-y := nommu.o\nmmu-$(CONFIG_MMU) := memory.o\nmmu-$(CONFIG_MMU) += more.o\n"
    kbuild = parse_makefile(lines + b"obj-y := util.o $(mmu-y)\nobj-$(CONFIG_X) := x.o\n")
    assert kbuild.conditions_of("nommu.o") == ["!CONFIG_MMU"]
    assert kbuild.conditions_of("memory.o") == ["CONFIG_MMU"]
    assert kbuild.conditions_of("more.o") == ["CONFIG_MMU"]
    assert kbuild.conditions_of("util.o") == []
    added = parse_makefile(b"a-y := b.o\na-$(CONFIG_C) += c.o\nobj-y += $(a-y)\n")
    assert added.conditions_of("b.o") == []


def test_composites_that_contain_each_other_terminate() -> None:
    kbuild = parse_makefile(b"a-y := b.o\nb-y := a.o c.o\nX = $(X)\nobj-m += $(X)\n")
    assert kbuild.conditions_of("c.o") is None
    assert built_by("Q", b"obj-$(CONFIG_Q) += a.o\na-y := b.o\nb-y := a.o c.o\n", "") == ["c.c"]


@given(st.binary() | st.lists(st.sampled_from(TREE["drivers/widget/Kbuild"].split(b"\n"))).map(b"\n".join))
def test_any_bytes_raise_no_error(data: bytes) -> None:
    parse_makefile(data)
    assert isinstance(object_conditions("a/b.c", lambda path: data), list)
    built_by("TURN", data, "a")


@pytest.mark.parametrize("piece", [b"  ", b"$(", b"a ", b"a-", b"ifdef A\n", b"else ifdef A\n", b"(,", b'"', b"x\\\n"])
def test_repetition_takes_linear_time(piece: bytes) -> None:
    assert_linear(lambda size: parse_makefile(b"ifdef X\n" + piece * size + b"= a.o"))
    assert_linear(lambda size: parse_makefile(b"ifeq " + piece * size))
