"""Symbols of files whose ``#if`` branches are no code, or do not fit beside each other."""

from __future__ import annotations

from kexpert.core.symbols import Kind
from tests.core.c.test_extract import check, facts_of, names


def test_a_dead_branch_holds_no_symbols_and_its_braces_count_for_nothing() -> None:
    check(
        """
        static void /*function*/reset(struct toy *toy) {
        #if 0
        	if (toy->old) {
        		int gone(void) {
        #endif
        	toy_reset(toy);
        }
        #if 0
        This isn't code: don't look at int words(void);
        #define /*macro*/KEPT 1
        #endif
        int /*function*/after(void) { return 0; }
        """
    )


def test_calls_in_a_dead_branch_are_no_calls() -> None:
    facts = facts_of("int f(void)\n{\n#if 0\n\told();\n#else\n\tnew();\n#endif\n\treturn 0;\n}\n")
    assert [callee for _, callee in facts.calls] == ["new"]
    assert b"old" in facts.identifiers


def test_the_branch_that_if_1_leaves_out_is_dead() -> None:
    check(
        """
        int /*function*/f(int x) {
        #if 1
        	if (x) {
        #else
        	while (x) {
        #endif
        	}
        	return 0;
        }
        int /*function*/after(void) { return 0; }
        """
    )


def test_two_openings_with_one_closing_brace() -> None:
    check(
        """
        struct /*struct*/toy {
        #ifdef CONFIG_TOY_DEBUG
        	struct {
        #else
        	union {
        #endif
        		int /*member*/turns;
        	};
        	int /*member*/last;
        };
        int /*function*/play(int x) {
        #ifdef CONFIG_FAST
        	if (x) {
        #elif defined(CONFIG_SLOW)
        	while (x) {
        #else
        	do {
        #endif
        		turn();
        	}
        }
        int /*function*/after(void) { return 0; }
        """
    )


def test_openings_and_closings_under_the_same_condition_belong_together() -> None:
    check(
        """
        int /*function*/f(int x) {
        #ifndef CONFIG_TOY
        	if (x)
        #else
        	if (x) {
        		log(x);
        #endif
        		play(x);
        #ifdef CONFIG_TOY
        	}
        #endif
        	return 0;
        }
        int /*function*/after(void) { return 0; }
        """
    )


def test_an_initialiser_in_a_broken_body_does_not_hide_the_next_function() -> None:
    facts = check(
        """
        static int /*function*/first(struct toy *toy)
        {
        #ifdef CONFIG_OLD
        	if (toy->old) {
        		struct toy_args args = {
        			.play = toy_play,
        		};
        	} else {
        #else
        	{
        #endif
        	if (
        	}
        }
        int /*function*/second(struct toy *toy)
        {
        	return run(&(struct cb){ .call = my_call });
        }
        """
    )
    assert [(a.struct, a.member, a.function, a.line) for a in facts.assignments] == [
        ("toy_args", "play", "toy_play", 6),
        ("cb", "call", "my_call", 17),
    ]


def test_every_head_of_a_shared_body_is_found() -> None:
    facts = check(
        """
        #ifdef CONFIG_CLEAN
        static u32 /*function*/toy_read(u32 x)
        #else
        static u32 /*function*/_toy_read(u32 x)
        #endif
        {
        	return read(x);
        }
        #ifdef __KERNEL__
        struct /*struct*/user_toy
        #else
        struct /*struct*/toy
        #endif
        {
        	int /*member*/turns;
        };
        #ifdef CONFIG_ARGUMENT
        int /*function*/with(int x) {
        #else
        int /*function*/without(void) {
        #endif
        	return 0;
        }
        """
    )
    assert [callee for _, callee in facts.calls] == ["read", "read"]


def test_a_body_that_ends_with_an_indented_brace() -> None:
    check("int /*function*/a(void)\n{\n\treturn 0;\n\t}\n\nint /*function*/b(void)\n{\nout:\n\treturn 0;\n}\n")
    check("int /*function*/a(void)\n{\n\treturn 0; }\nint /*variable*/x;\nint /*function*/b(void)\n{\n}\n")


def test_the_assembly_half_of_a_header_does_not_hide_the_other() -> None:
    check(
        """
        #ifdef __ASSEMBLY__
        	mrc	p15, 0, r0	@ the user's word
        #define /*macro*/ASM_TOY 1
        #else
        static inline int /*function*/toy_get(void)
        {
        	return 0;
        }
        #endif
        """,
        "arch/arm/include/asm/toy.h",
    )


def test_a_group_without_an_end_leaves_all_branches() -> None:
    assert names(facts_of("#if X\nint a;\n#else\nint b;\n"), Kind.VARIABLE) == ["a", "b"]


def test_heads_whose_type_is_above_the_group() -> None:
    facts = facts_of(
        "static int\n#ifdef CONFIG_TOY\ntoy_run(int a)\n#else\ntoy_walk(int a, int b)\n#endif\n{\n\treturn a;\n}\n"
        "int after(void) { return 0; }\n"
    )
    assert names(facts, Kind.FUNCTION) == ["toy_run", "toy_walk", "after"]
