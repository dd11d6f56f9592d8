"""Extraction from kernel C. Fixtures mark every expected symbol; no other symbol may be found."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.extract import extract
from kexpert.core.symbols import FileFacts, Flag, Kind

_MARK = re.compile(rb"/\*([a-z_ ]+)\*/(\w+)")


def facts_of(text: str, path: str = "kernel/x.c") -> FileFacts:
    return extract(path, dedent(text).encode())


def check(text: str, path: str = "kernel/x.c") -> FileFacts:
    """Check that each name after ``/*kind*/`` is found as that kind and at that offset, and no other symbol."""
    data = dedent(text).encode()
    facts = extract(path, data)
    expected = sorted((m.start(2), m[1].decode()) for m in _MARK.finditer(data))
    found = sorted((s.name_start, s.kind.name.lower().replace("_", " ")) for s in facts.symbols)
    assert found == expected
    for symbol in facts.symbols:
        assert symbol.start <= symbol.name_start < symbol.end <= len(data)
        assert symbol.line == data.count(b"\n", 0, symbol.name_start)
    return facts


def names(facts: FileFacts, *kinds: Kind) -> list[str]:
    return [symbol.name for symbol in facts.symbols if symbol.kind in kinds]


def test_functions_prototypes_and_variables() -> None:
    check(
        """
        static int __init /*function*/start(void)
        {
        	int local = 1;
        	return local;
        }
        int /*prototype*/declared(int a);
        extern int /*declaration*/elsewhere;
        static struct page *(*/*variable*/hook)(int), /*variable*/plain = { 0 };
        static inline u32 /*function*/one_line(void) { return 0; }
        """
    )


@pytest.mark.parametrize("count", [3, 1500])
def test_few_and_many_functions(count: int) -> None:
    body = "{\n\tint sum = toy->turns + 1;\n\n\treturn sum;\n}\n"
    check("".join(f"static int /*function*/toy_{at}(struct toy *toy)\n{body}\n" for at in range(count)))


def test_functions_in_other_brace_styles() -> None:
    check(
        """
        int /*function*/same_line(int a) {
        	if (a) {
        		return 1;
        	}
        	return 0;
        }
        static inline int /*function*/short_body(void)
        { return 0; }
        static void /*function*/empty_body(void)
        {}
        static int /*function*/slanted(void)
        {
        	return 1;
         }
        static int
        /*function*/FOO_open(int a)
        {
        	return a;
        }
        void /*function*/annotated(struct rq *rq)
        	__releases(rq->lock)
        {
        	unlock(rq);
        }
        """
    )


def test_records_and_their_members() -> None:
    facts = check(
        """
        struct /*struct*/outer {
        	int /*member*/first, */*member*/second;
        	struct {
        		long /*member*/flattened;
        	};
        	union {
        		u8 /*member*/byte;
        	} /*member*/named;
        	enum /*enum*/state { /*enumerator*/IDLE, /*enumerator*/BUSY = 4 } /*member*/state;
        	int (*/*member*/callback)(void *);
        };
        typedef struct { int /*member*/x; } /*typedef*/point_t;
        typedef unsigned long /*typedef*/size_t;
        union /*union*/both { int /*member*/a; };
        """
    )
    scopes = {symbol.name: symbol.scope for symbol in facts.symbols if symbol.kind is Kind.MEMBER}
    assert scopes["flattened"] == "outer"
    assert scopes["byte"] == "outer.named"
    assert scopes["x"] == "point_t"


def test_macros_with_continuations() -> None:
    facts = check(
        """
        #define /*macro*/PLAIN 1
        #define /*macro*/CALLED(x) \\
        	do { \\
        		int not_a_variable = x; \\
        	} while (0)
        # define /*macro*/INDENTED
        #ifdef PLAIN
        #define /*macro*/INSIDE 2
        #endif
        """
    )
    assert [bool(symbol.flags & Flag.FUNCTION_LIKE) for symbol in facts.symbols] == [False, True, False, False]


def test_tables_of_macros_between_other_code() -> None:
    table = "".join(f"#define /*macro*/REG_{number}\t0x{number:x}\n" for number in range(6))
    facts = check(
        f"""
int /*variable*/before;
#define /*macro*/GUARD

{table}   \t
/* a comment with #define NONE 1
 */
{table.replace("REG_", "#").replace("#define /*macro*/#", "#define  /*macro*/ALSO_")}#define /*macro*/SUM(a) \\
	((a) + \\
#define IN_THE_MIDDLE 1 \\
	1)
#define	/*macro*/LAST 1
#define /*macro*/OPENS \\
	2
{table.replace("REG_", "THIRD_")}int /*variable*/after;"""
    )
    by_name = {symbol.name: symbol for symbol in facts.symbols}
    assert by_name["SUM"].flags is Flag.FUNCTION_LIKE
    assert by_name["REG_5"].end - by_name["REG_5"].start == len("#define /*macro*/REG_5\t0x5")


def test_symbols_after_tables_of_values() -> None:
    facts = check(
        """
        static const int /*variable*/short_one[] = { 1, 2,
        	3 };
        static const u8 /*variable*/numbers[] = {
        	1, 2, { 3 },
        };
        static const struct ops /*variable*/empty = {
        };
        static const struct gadget /*variable*/tables[] = {
        	{ .name = "x", .probe[1] = gadget_probe, },
        };
        int /*function*/last(void)
        {
        	static const int in_a_body[] = {
        		1
        	};
        	return in_a_body[0];
        }
        """
    )
    assert [(a.member, a.function) for a in facts.assignments] == [("probe", "gadget_probe")]


def test_symbols_in_every_branch_of_a_conditional() -> None:
    check(
        """
        #ifdef CONFIG_SMP
        int /*function*/flush(void)
        {
        	return 1;
        }
        #else
        static inline int /*function*/flush(void) { return 0; }
        #endif
        """
    )


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("SYSCALL_DEFINE3(open, const char __user *, name, int, flags, umode_t, mode)\n{\n\treturn 0;\n}\n",
         "sys_open", Kind.SYSCALL),
        ("COMPAT_SYSCALL_DEFINE1(old, int, x)\n{\n\treturn x;\n}\n", "compat_sys_old", Kind.SYSCALL),
        ("static DEFINE_MUTEX(big_lock);\n", "big_lock", Kind.VARIABLE),
        ("DEFINE_PER_CPU(struct rq, runqueues);\n", "runqueues", Kind.VARIABLE),
        ("static LIST_HEAD(all)\n", "all", Kind.VARIABLE),
        ("static DEVICE_ATTR_RO(uevent);\n", "dev_attr_uevent", Kind.VARIABLE),
        ("DEFINE_SHOW_ATTRIBUTE(stats);\n", "stats_fops", Kind.VARIABLE),
        ("TRACE_EVENT(sched_wake,\n\tTP_PROTO(int a),\n\tTP_ARGS(a)\n);\n", "trace_sched_wake", Kind.TRACEPOINT),
        ("DEFINE_EVENT(class, sched_sleep, TP_PROTO(int a), TP_ARGS(a));\n", "trace_sched_sleep", Kind.TRACEPOINT),
        ("module_param(debug, int, 0644);\n", "debug", Kind.MODULE_PARAM),
        ("late_initcall(setup);\n", "setup", Kind.INITCALL),
        ("module_platform_driver(foo_driver);\n", "foo_driver", Kind.INITCALL),
        ("EXPORT_SYMBOL_GPL(vfs_open);\n", "vfs_open", Kind.EXPORT),
        ("EXPORT_TRACEPOINT_SYMBOL(kmalloc);\n", "trace_kmalloc", Kind.EXPORT),
    ],
)  # fmt: skip
def test_macros_that_define_symbols(text: str, name: str, kind: Kind) -> None:
    assert (name, kind) in [(symbol.name, symbol.kind) for symbol in facts_of(text).symbols]


def test_export_kind_and_namespace() -> None:
    facts = facts_of("EXPORT_SYMBOL(a);\nEXPORT_SYMBOL_NS_GPL(b, CRYPTO_INTERNAL);\n")
    assert [(s.name, s.scope) for s in facts.symbols] == [
        ("a", "EXPORT_SYMBOL"),
        ("b", "EXPORT_SYMBOL_NS_GPL:CRYPTO_INTERNAL"),
    ]


def test_loop_macros_are_not_functions() -> None:
    facts = facts_of(
        """
        void scan(void)
        {
        	for_each_possible_cpu (cpu) {
        		touch(cpu);
        	}
        	list_for_each_entry(pos, head, list) {
        		use(pos);
        	}
        }
        """
    )
    assert names(facts, Kind.FUNCTION) == ["scan"]


def test_calls_by_caller_without_keywords_comments_and_strings() -> None:
    facts = facts_of(
        """
        static void a(void)
        {
        	if (b(1)) /* not_me() */
        		c ("nor_me()", sizeof(int));
        }
        SYSCALL_DEFINE0(d)
        {
        	return e();
        }
        """
    )
    calls = [(facts.symbols[caller].name, callee) for caller, callee in facts.calls]
    assert calls == [("a", "b"), ("a", "c"), ("sys_d", "e")]


def test_functions_whose_own_body_may_sleep() -> None:
    facts = facts_of("void a(void)\n{\n\tmight_sleep();\n}\nvoid b(void)\n{\n\tspin();\n}\n")
    assert [bool(symbol.flags & Flag.MAY_SLEEP) for symbol in facts.symbols] == [True, False]


def test_assignments_of_boards_one_after_another() -> None:
    facts = facts_of(
        'static int one;\nMACHINE_START(ONE, "one")\n\t.map_io\t= one_map_io,\nMACHINE_END\n\n'
        'DT_MACHINE_START(TWO, "two")\n\t.map_io\t= two_map_io,\nMACHINE_END\n'
        "define_machine(three) {\n\t.probe\t= three_probe,\n};\n"
    )
    assert [(each.struct, each.member, each.function, each.table) for each in facts.assignments] == [
        ("machine_desc", "map_io", "one_map_io", "ONE"),
        ("machine_desc", "map_io", "two_map_io", "TWO"),
        ("machdep_calls", "probe", "three_probe", "three"),
    ]


def test_assignments_in_tables_of_functions() -> None:
    facts = facts_of(
        """
        static const struct file_operations fops = {
        	.owner = THIS_MODULE,
        	.open = my_open,
        	.read = &my_read,
        };
        static struct driver drivers[] = {
        	[0] = { .probe = my_probe, .nested = { .remove = my_remove } },
        };
        int setup(void)
        {
        	struct args a = {
        		.done = my_done,
        	};
        	return run(&(struct cb){ .call = my_call });
        }
        """
    )
    assert [(a.struct, a.member, a.function, a.table) for a in facts.assignments] == [
        ("file_operations", "open", "my_open", "fops"),
        ("file_operations", "read", "my_read", "fops"),
        ("driver", "probe", "my_probe", "drivers"),
        ("driver.nested", "remove", "my_remove", "drivers"),
        ("args", "done", "my_done", "a"),
        ("cb", "call", "my_call", ""),
    ]


def test_assembly_labels() -> None:
    facts = extract("arch/x86/lib/memcpy.S", b"SYM_FUNC_START(memcpy)\n\tret\nSYM_FUNC_END(memcpy)\n")
    assert [(symbol.name, symbol.kind) for symbol in facts.symbols] == [("memcpy", Kind.ASM_LABEL)]


def test_identifiers_in_comments_and_strings_are_left_out() -> None:
    facts = facts_of('int in_code; /* in_comment */ char *s = "in_string";\n')
    assert b"in_code" in facts.identifiers
    assert not facts.identifiers & {b"in_comment", b"in_string"}


def test_carriage_returns_and_latin_1() -> None:
    facts = extract("a.c", b"/* caf\xe9 */\r\nint one(void)\r\n{\r\n\treturn 1;\r\n}\r\n#define TWO \\\r\n\t2\r\n")
    assert [(s.name, s.line) for s in facts.symbols] == [("one", 1), ("TWO", 5)]


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    for path in ("a.c", "a.h", "a.S"):
        for symbol in extract(path, data).symbols:
            assert 0 <= symbol.start <= symbol.name_start <= symbol.end <= len(data)


_BITS = [b"{", b"}", b"(", b")", b"\n{", b"\n}", b"struct a ", b"int f(void)", b"#define X(", b"\\\n", b"=", b";", b",",
         b".m = f", b"/*", b"*/", b'"', b"SYSCALL_DEFINE1(x, int, y)", b"DEFINE_MUTEX(", b"EXPORT_SYMBOL(", b"\n"]


@given(st.lists(st.sampled_from(_BITS), max_size=60).map(b"".join))
def test_broken_code_never_raises(data: bytes) -> None:
    extract("a.c", data)


def test_types_that_a_function_body_defines() -> None:
    check(
        """
        int /*function*/probe(void)
        {
        	static const struct /*struct*/entry {
        		int /*member*/first;
        	} table[] = { { 1 } };
        	struct entry other;

        	for (;;) {
        		enum /*enum*/state { /*enumerator*/ON, /*enumerator*/OFF } now = ON;
        		union { int unnamed; } u;
        		use(&other, now, u);
        	}
        }
        int /*function*/after(void)
        {
        	return 0;
        }
        """
    )


def test_types_in_a_body_that_begins_on_the_line_of_the_head() -> None:
    check("static int /*function*/f(void) {\n\tstruct /*struct*/pair {\n\t\tint /*member*/a;\n\t} *p;\n}\n")
