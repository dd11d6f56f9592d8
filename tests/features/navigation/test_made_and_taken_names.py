"""Jumps, references and callers of names that the kernel's macros make or take, and of names outside C."""

from __future__ import annotations

import re

import pytest

from kexpert.core.symbols import Kind, Span
from kexpert.features.navigation.call_hierarchy import incoming, prepare
from kexpert.features.navigation.definition import definition
from kexpert.features.navigation.references import references
from kexpert.features.signature_help import signature_help
from kexpert.view import View
from tests.support.memory_view import at_cursor

NEWLINE = b"\n"


def place(view: View, path: str, start: int) -> str:
    """The path, the line from 1 and the word at an offset: ``drivers/a.c:3 foo``."""
    data = view.data(path) or b""
    words = re.split(rb"[(,;\s]", data[start : start + 80].lstrip())
    return f"{path}:{data.count(NEWLINE, 0, start) + 1} {words[0].decode()}"


def jumps(fixture: str) -> list[str]:
    view, source, offset = at_cursor(fixture)
    return [place(view, span.path, span.start) for span in definition(view, source, offset)]


def uses(fixture: str) -> list[str]:
    view, source, offset = at_cursor(fixture)
    found = references(view, source, offset, True, lambda: False)
    return sorted(place(view, use.path, use.start) for file in found for use in file)


def callers(fixture: str) -> list[str]:
    view, source, offset = at_cursor(fixture)
    item = prepare(view, source, offset)[0]
    return [call.symbol.name for call in incoming(view, item, lambda: False)]


ATTRIBUTES = """\
//- drivers/toy.c
static ssize_t gain_show(struct device *dev, char *buf) { return 0; }
static ssize_t gain_store(struct device *dev, const char *buf) { return 0; }
static DEVICE_ATTR_RW(gain);
static int stats_show(struct seq_file *m, void *v) { return 0; }
DEFINE_SHOW_ATTRIBUTE(stats);
static struct attribute *toy_attrs[] = { &dev_attr_gain.attr, NULL };
ATTRIBUTE_GROUPS(toy);
static ssize_t temp_show(struct device *dev, char *buf) { return 0; }
static SENSOR_DEVICE_ATTR_RO(temp1_input, temp, 0);
void toy_init(void)
{
	reg(toy_groups, &stats_fops);
}
//- drivers/other.c
static int stats_show(struct seq_file *m, void *v) { return 0; }
DEFINE_SHOW_ATTRIBUTE(stats);
"""


def at(fixture: str, needle: str) -> str:
    """The fixture with the cursor in ``needle``, whose first ``|`` marks it."""
    return fixture.replace(needle.replace("|", "", 1), needle.replace("|", "/*|*/", 1), 1)


def test_an_attribute_leads_to_its_functions() -> None:
    assert jumps(at(ATTRIBUTES, "RW(ga|in)")) == ["drivers/toy.c:1 gain_show", "drivers/toy.c:2 gain_store"]
    assert jumps(at(ATTRIBUTES, "ATTRIBUTE(st|ats)")) == ["drivers/toy.c:4 stats_show"]


def test_the_functions_of_attributes_are_used_by_them() -> None:
    assert uses(at(ATTRIBUTES, "gain_sh|ow")) == ["drivers/toy.c:1 gain_show", "drivers/toy.c:3 gain)"]
    assert uses(at(ATTRIBUTES, "temp_sh|ow")) == ["drivers/toy.c:8 temp_show", "drivers/toy.c:9 temp"]


def test_groups_of_attributes_are_where_the_macro_is() -> None:
    assert jumps(at(ATTRIBUTES, "reg(toy_gr|oups")) == ["drivers/toy.c:7 toy)"]


EVENTS = """\
//- include/trace/events/toy.h
DECLARE_EVENT_CLASS(toy_class,
	TP_PROTO(struct toy *toy, int code),
	TP_ARGS(toy, code)
);
DEFINE_EVENT(toy_class, toy_begin,
	TP_PROTO(struct toy *toy, int code),
	TP_ARGS(toy, code)
);
//- drivers/toy.c
#include <trace/events/toy.h>
int play(struct toy *toy)
{
	if (trace_toy_begin_enabled())
		trace_toy_begin(toy, 1);
	return register_trace_toy_begin(probe, NULL);
}
EXPORT_TRACEPOINT_SYMBOL_GPL(toy_begin);
"""


@pytest.mark.parametrize("needle", ["trace_toy_begin_en|abled", "register_trace_to|y_begin", "\ttrace_toy_be|gin(toy"])
def test_every_helper_of_a_tracepoint_leads_to_it(needle: str) -> None:
    assert jumps(at(EVENTS, needle)) == ["include/trace/events/toy.h:5 toy_begin"]


def test_references_of_a_tracepoint_in_a_file_that_exports_it() -> None:
    assert "drivers/toy.c:5 trace_toy_begin" in uses(at(EVENTS, "\ttrace_toy_be|gin(toy"))


def test_signature_of_a_tracepoint() -> None:
    view, source, offset = at_cursor(at(EVENTS, "trace_toy_begin(toy, |1"))
    found = signature_help(view, source, offset)
    assert found is not None
    assert (found.label, found.active) == ("void trace_toy_begin(struct toy *toy, int code)", 1)


def test_per_cpu_variables_and_static_keys_are_defined_where_define_says() -> None:
    fixture = """\
//- include/linux/toy.h
DECLARE_PER_CPU(struct toy, toy_cpu);
DECLARE_STATIC_KEY_FALSE(toy_key);
//- kernel/toy.c
DEFINE_PER_CPU(struct toy, toy_cpu);
DEFINE_STATIC_KEY_FALSE(toy_key);
//- drivers/user.c
#include <linux/toy.h>
int play(void)
{
	return this_cpu_read(toy_cpu.a) + static_branch_unlikely(&toy_key);
}
"""
    assert jumps(at(fixture, "read(toy_c|pu")) == ["kernel/toy.c:1 toy_cpu)"]
    assert jumps(at(fixture, "&toy_k|ey")) == ["kernel/toy.c:2 toy_key)"]


def test_after_struct_nothing_but_a_struct_is_meant() -> None:
    fixture = "//- a.h\nDECLARE_PER_CPU(int, area);\n//- a.c\n#include \"a.h\"\nvoid f(struct ar/*|*/ea *p) { }\n"
    assert jumps(fixture) == []


MEMBERS = """\
//- drivers/toy.c
struct list_head { struct list_head *next; };
struct power { int state; struct list_head entry; };
struct other { struct list_head entry; };
struct gadget {
	int id;
	struct power power[2];
	struct_group(head,
		int first;
	);
};
u64 (*toy_read)(void) = toy_count;
struct gadget *play(struct list_head *h, struct gadget *g)
{
	int at = offsetof(struct gadget, power[1].state) + sizeof(g->head) + toy_read();

	return container_of(h, struct gadget, power[0].entry);
}
"""


@pytest.mark.parametrize(
    ("needle", "line"),
    [("[0].ent|ry", "2 entry"), ("[1].sta|te", "2 state"), ("g->he|ad", "7 head"), ("+ toy_re|ad()", "11 toy_read)")],
)
def test_nested_members_groups_and_pointers(needle: str, line: str) -> None:
    assert jumps(at(MEMBERS, needle)) == [f"drivers/toy.c:{line}"]


ASSEMBLY = """\
//- arch/x86/kernel/asm-offsets.c
static void common(void)
{
	OFFSET(TSS_toy, toy_tss, sp2);
}
//- arch/x86/entry/toying.h
#define TOY_BITS 3
/* the macros aren't C */
.macro CLEAR_TOYS reg=%rax save=0
	.if \\save
	xorl	%edx, %edx
	.endif
.endm
//- arch/x86/entry/toy.S
#include "toying.h"
.macro PUSH_TOYS
	pushq %rdi
.endm
SYM_CODE_START(toy_entry)
	movq	%rsp, VAR(TSS_toy)
	PUSH_TOYS
	CLEAR_TOYS reg=%rdi
	jmp	toy_restore
SYM_INNER_LABEL(toy_restore, SYM_L_GLOBAL)
	call	toy_play
SYM_CODE_END(toy_entry)

	.globl toy_plain
toy_plain:
	ret
//- arch/x86/entry/toy.c
void toy_play(void)
{
	toy_plain();
}
"""


@pytest.mark.parametrize(
    ("needle", "place"),
    [
        ("\tPUSH_TO|YS", "entry/toy.S:2 PUSH_TOYS"),
        ("\tCLEAR_TO|YS", "entry/toying.h:3 CLEAR_TOYS"),
        ("jmp\ttoy_re|store", "entry/toy.S:10 toy_restore"),
        ("VAR(TSS_t|oy", "kernel/asm-offsets.c:3 TSS_toy"),
        ("\ttoy_pl|ain()", "entry/toy.S:15 toy_plain:"),
    ],
)
def test_names_of_assembly(needle: str, place: str) -> None:
    assert jumps(at(ASSEMBLY, needle)) == [f"arch/x86/{place}"]


def test_a_call_in_assembly_has_the_function_around_it_as_caller() -> None:
    assert callers(at(ASSEMBLY, "void toy_pl|ay")) == ["toy_entry"]


INDIRECT = """\
//- include/linux/toy.h
struct toy_ops { int (*start)(int unit); };
struct other_ops { int (*start)(int unit); };
struct toy { const struct toy_ops *ops; const struct other_ops *others; int speed; };
void toy_poke(int x);
#define TOY_POKE(x) do { toy_poke(x); } while (0)
//- drivers/core.c
#include <linux/toy.h>
int toy_up(struct toy *toy)
{
	toy->speed = 3;
	TOY_POKE(2);
	return toy->ops->start(1);
}
int toy_other(struct toy *toy)
{
	return toy->others->start(toy->speed);
}
//- drivers/fast.c
#include <linux/toy.h>
static int fast_start(int unit) { return unit; }
static const struct toy_ops fast_ops = { .start = fast_start };
void toy_poke(int x)
{
}
"""


@pytest.mark.parametrize("needle", ["int fast_st|art(int", "void toy_po|ke(int x)\n{", "int spe|ed;"])
def test_callers_through_operations_and_macros_and_writers_of_members(needle: str) -> None:
    assert callers(at(INDIRECT, needle)) == ["toy_up"]


def test_references_of_a_tag_leave_out_its_namesakes() -> None:
    fixture = """\
//- include/linux/g.h
struct gadget { int speed; struct gadget *gadget; };
//- drivers/a.c
#include <linux/g.h>
int use(struct /*|*/gadget *gadget)
{
	return gadget->speed + gadget->gadget->speed;
}
"""
    assert uses(fixture) == [
        "drivers/a.c:2 gadget", "include/linux/g.h:1 gadget", "include/linux/g.h:1 gadget",
    ]  # fmt: skip


def test_references_of_a_member_know_its_struct() -> None:
    fixture = """\
//- include/linux/g.h
struct other { int speed; };
struct gadget { int sp/*|*/eed; };
//- drivers/a.c
#include <linux/g.h>
int use(struct other *o, struct gadget *g)
{
	return o->speed +
		g->speed;
}
"""
    assert uses(fixture) == ["drivers/a.c:5 speed", "include/linux/g.h:2 speed"]


def test_a_macro_is_not_used_by_the_declaration_of_a_member() -> None:
    fixture = "//- a.h\n#define be/*|*/gin(v) start(v)\nstruct area { long begin; };\nvoid f(int a) { begin(a); }\n"
    assert uses(fixture) == ["a.h:1 begin", "a.h:3 begin"]


KCONFIG = """\
//- drivers/toy/Kconfig
config TOY_CORE
	tristate "TOY_CORE drives toys"
	help
	  Say Y to select TOY_CORE.

config TOY
	bool "Toys"
	select TOY_CORE

source "drivers/toy/sub/Kconfig"
//- drivers/toy/sub/Kconfig
config TOY_SUB
	bool "sub"
//- drivers/toy/core.c
#if IS_ENABLED(CONFIG_TOY_CORE)
#endif
//- MAINTAINERS
TOYS
F:	drivers/toy/core.c
"""


def test_options_and_sources_of_kconfig_files() -> None:
    assert jumps(at(KCONFIG, "\tselect TOY_C|ORE\n\n")) == ["drivers/toy/Kconfig:1 TOY_CORE"]
    assert jumps(at(KCONFIG, '"drivers/toy/s|ub')) == ["drivers/toy/sub/Kconfig:1 config"]
    assert jumps(at(KCONFIG, "Say Y to select TOY_C|ORE")) == []


def test_references_of_an_option_have_those_of_kconfig_files() -> None:
    assert uses(at(KCONFIG, "config TOY_C|ORE")) == [
        "drivers/toy/Kconfig:1 TOY_CORE", "drivers/toy/Kconfig:8 TOY_CORE", "drivers/toy/core.c:1 CONFIG_TOY_CORE)",
    ]  # fmt: skip


def test_a_file_of_maintainers() -> None:
    assert jumps(at(KCONFIG, "F:\tdrivers/toy/c|ore.c")) == ["drivers/toy/core.c:1 #if"]


INCLUDES = """\
//- fs/toy/Makefile
TOY_INCLUDES = $(srctree)/$(src)/include
ccflags-y += -I $(srctree)/$(src)/libtoy \\
	     -I$(TOY_INCLUDES)
//- fs/toy/sub/core.c
#include "toy_shared.h"
#include "toy_deep.h"
#include <asm/toyvirt.h>
//- fs/toy/libtoy/toy_shared.h
int a;
//- fs/toy/include/toy_deep.h
int b;
//- arch/arm64/include/asm/toyvirt.h
int c;
"""


@pytest.mark.parametrize(
    ("needle", "place"),
    [
        ("toy_sh|ared.h\"", "fs/toy/libtoy/toy_shared.h"),
        ("toy_de|ep.h\"", "fs/toy/include/toy_deep.h"),
        ("asm/toy|virt.h>", "arch/arm64/include/asm/toyvirt.h"),
    ],
)
def test_headers_that_makefiles_and_other_architectures_give(needle: str, place: str) -> None:
    view, source, offset = at_cursor(at(INCLUDES, needle))
    assert definition(view, source, offset) == [Span(place, 0, 0)]


def test_a_function_that_a_macro_makes_has_a_signature() -> None:
    fixture = """\
//- a.c
#define MAKE(n) static int read##n(int toy, u##n reg) { return 0; }
MAKE(32)
int f(void) { return read32(1, /*|*/2); }
"""
    view, source, offset = at_cursor(fixture)
    found = signature_help(view, source, offset)
    assert found is not None
    assert found.label == "static int read32(int toy, u32 reg)"
    assert [row.kind for row in view.lookup("read32")] == [Kind.FUNCTION]


TEMPLATE = """\
//- drivers/toy_template.h
#if TOY_BITS == 64
	#define TOY_NAME(name) toy##64_##name
#else
	#define TOY_NAME(name) toy##32_##name
#endif
static int TOY_NAME(walk)(struct toy *toy, u64 address)
{
	return 0;
}
//- drivers/toy.c
#define TOY_BITS 64
#include "toy_template.h"
#undef TOY_BITS
#define TOY_BITS 32
#include "toy_template.h"
int play(struct toy *toy)
{
	return toy64_walk(toy, 1) + toy32_walk(toy, 2) + toy16_walk(toy, 3);
}
"""


@pytest.mark.parametrize(("needle", "places"), [
    ("toy64_w|alk", ["drivers/toy_template.h:6 walk)"]),
    ("toy32_w|alk", ["drivers/toy_template.h:6 walk)"]),
    ("toy16_w|alk", []),
])  # fmt: skip
def test_functions_of_a_file_that_is_included_for_several_names(needle: str, places: list[str]) -> None:
    assert jumps(at(TEMPLATE, needle)) == places


def test_functions_that_attributes_within_initialisers_take() -> None:
    drivers = (
        "//- drivers/toy.c\n"
        "static ssize_t rate_show(struct kobject *k, char *buf) { return 0; }\n"
        "static ssize_t rate_st/*|*/ore(struct kobject *k, const char *buf) { return 0; }\n"
        "static struct kobj_attribute rate_attribute =\n\t__ATTR_RW_MODE(rate, 0600);\n"
        "static struct kobj_attribute quiet = __ATTR_RO(rate);\n"
    )
    assert uses(drivers) == ["drivers/toy.c:2 rate_store", "drivers/toy.c:4 rate"]
    view, _, _ = at_cursor(drivers)
    [taken] = view.assignments_of("rate_store")
    assert (taken.struct, taken.member, taken.table) == ("kobj_attribute", "store", "rate_attribute")


def test_a_function_named_by_a_macro_has_uses_and_a_signature() -> None:
    assert uses(at(TEMPLATE, "toy64_w|alk")) == ["drivers/toy.c:8 toy64_walk", "drivers/toy_template.h:6 walk)"]
    view, source, offset = at_cursor(at(TEMPLATE, "toy64_walk(|toy"))
    found = signature_help(view, source, offset)
    assert found is not None
    assert [parameter.name for parameter in found.parameters] == ["toy", "address"]
