"""Symbols whose declarations hold words that no vocabulary knows, and macros that expand to members."""

from __future__ import annotations

import pytest

from kexpert.core.c.masking import mask
from tests.core.c.test_extract import check
from tests.support.complexity import assert_linear


def test_annotations_that_only_one_driver_has() -> None:
    check(
        """
        static toy_result_t toy_noinline
        /*function*/toy_check(struct toy *toy)
        {
        	return 0;
        }
        TOY_EXPORT int /*prototype*/toy_play(int turns);
        struct toy *TOY_CALL /*prototype*/toy_of(struct device *dev);
        extern u64 __toy_mostly /*declaration*/toy_odd;
        u64 /*variable*/toy_even __toy_late = 4;
        struct toy_ops /*variable*/toy_ops __toy_late = { 0 };
        """
    )


def test_annotations_around_the_names_of_types() -> None:
    check(
        """
        struct __toy_align4 /*struct*/toy {
        	u32 /*member*/turns;
        };
        struct toy_packed /*struct*/toy_two
        {
        	u32 /*member*/last;
        } TOY_PACKED;
        struct /*struct*/toy_three { int /*member*/x; } __toy_packed /*variable*/three;
        typedef struct /*struct*/toy_info {
        	int /*member*/code;
        } __TOY_ATTRIBUTES /*typedef*/toy_info_t;
        typedef struct { char /*member*/b[8]; } __TOY_ALIGN /*typedef*/toy_kptr_t;
        union /*union*/toy_last {
        	int /*member*/y;
        } TOY_PACKED;
        """,
        "include/linux/toy.h",
    )


def test_types_of_functions_with_several_words() -> None:
    check(
        """
        typedef unsigned char (/*typedef*/toy_read_t)(void *toy, unsigned char at);
        typedef void (/*typedef*/toy_write_t)(void *toy, unsigned char at);
        """
    )


def test_macros_that_stand_for_members() -> None:
    check(
        """
        struct /*struct*/toy_shift {
        	TOY_FIELDS(uint8_t)
        	TOY_MORE_FIELDS(0, PAGE_SIZE)
        };
        struct /*struct*/toy_common {
        TOY_COMMON};
        struct /*struct*/toy_buffer {
        	TOY_COMMON TOY_INFO(u8)
        	u32 /*member*/length;
        	TOY_COMMON struct node */*member*/node;
        	int (*/*member*/play)(int turns);
        };
        union /*union*/toy_config {
        	struct /*struct*/toy_config_s {
        		BITS(u64 /*member*/reserved : 40,
        		BITS(u64 /*member*/enabled : 1,
        		;))
        	} /*member*/s;
        };
        int /*function*/after(void) { return 0; }
        """,
        "include/linux/toy.h",
    )


def test_macros_that_stand_for_enumerators() -> None:
    check(
        """
        enum /*enum*/toy_error {
        	/*enumerator*/TOY_FIRST = TOY(1, 2),
        	TOY_ERRORS(D)
        	/*enumerator*/TOY_LAST,
        };
        int /*function*/after(void) { return 0; }
        """
    )


def test_old_style_functions() -> None:
    check(
        """
        int
        /*function*/toy_add(a,b,status)

        int *a, *b;
        unsigned int *status;
        {
        	int left;
        	return 0;
        }

        /*
         * no type
         */
        /*function*/toy_sub (a, b)
        	struct toy *a;
        	void (*b)(int);
        {
        	int right;
        }
        strong_alias (toy_sub, __toy_sub)

        int
        /*function*/toy_pop (a)
        	struct toy *a;
        {
        }
        int /*function*/after(void)
        {
        }
        """
    )


def test_a_macro_alone_in_the_braces_of_a_struct() -> None:
    empty = "".join(f"struct /*struct*/toy_{each} {{\n\tTOY_EMPTY\n}} TOY_PACKED;\n" for each in "abcdefgh")
    check(empty + "struct /*struct*/last { int /*member*/x; };\n", "include/linux/toy.h")


def test_an_enumeration_of_calls_alone() -> None:
    check(
        """
        enum /*enum*/toy_commands {
        	TOY_COMMAND(_read),	/*0*/
        	TOY_COMMAND(_write)
        };
        #define /*macro*/TOY_MASK(event, bit) event##_##bit = bit
        enum /*enum*/toy_masks {
        	TOY_MASK(/*enumerator*/TOY_DELIVER, 1),
        };
        int /*function*/after(void) { return 0; }
        """,
        "include/linux/toy.h",
    )


def test_annotations_with_arguments_in_the_head_of_a_function() -> None:
    check(
        """
        static inline void PRINTF(5, 6) /*function*/check_toy(struct toy *toy, const char *text, ...)
        {
        }
        static TARGET("avx") unsigned long /*function*/toy_sum(struct toy *toy)
        {
        	return 0;
        }
        static void /*function*/create_toys(struct toy *toy)
        	ACQUIRES(toy->first)
        	ACQUIRES(toy->last)
        {
        }
        int /*function*/after(void)
        {
        	return 0;
        }
        """
    )


def test_annotations_in_the_lines_above_a_function() -> None:
    check(
        """
        SEC("toy")
        __description("one: a (toy)")
        __success __success_unpriv __retval(1)
        __naked void /*function*/one(void)
        {
        }
        SEC("toy")
        __description("two")
        __success __failure_unpriv
        __msg_unpriv("R1 is no toy")
        __retval(1)
        __naked void /*function*/two(void)
        {
        }
        __hidden __weak
        unsigned long __cold /*function*/three(int x)
        {
        	return x;
        }
        """
    )


def test_types_in_a_record_without_a_tag_inside_a_function() -> None:
    check(
        """
        static int /*function*/toy_send(struct toy *toy)
        {
        	struct {
        		struct /*struct*/toy_header {
        			u8 /*member*/kind;
        		} __packed header;
        		union /*union*/toy_value {
        			u8 /*member*/byte;
        		} value;
        	} __packed message = {
        		.header = { .kind = 1 },
        	};
        	return 0;
        }
        """
    )


def test_annotations_with_arguments_before_and_after_what_they_say_something_of() -> None:
    check(
        """
        int __toy_section(".x") /*function*/toy_run(void)
        {
        	return 1;
        }
        bool /*prototype*/toy_try(struct toy *toy) TOY_TRIES(true, *toy);
        void toy_noreturn /*prototype*/toy_die(const char *fmt, ...) toy_printf(1, 2);
        static int /*prototype*/toy_init(void) toy_section;
        typedef struct {
        	int /*member*/y;
        } TOY_ALIGN(8) /*typedef*/toy_point_t;
        struct /*struct*/toy {
        	int /*member*/z;
        } TOY_ALIGN(8) /*variable*/one = { 1 };
        static DEFINE_SPINLOCK(/*variable*/toy_lock) toy_cacheline;
        int /*variable*/last;
        """
    )


def test_annotations_of_pointers_to_functions() -> None:
    check(
        """
        typedef void toy_call (*/*typedef*/toy_hook_t)(void);
        typedef struct toy *toy_call (*/*typedef*/toy_find_t)(int);
        typedef unsigned long (*/*typedef*/toy_count_t)(void);
        u8 (*/*variable*/toy_read)(void);
        int /*variable*/last;
        """
    )


def test_a_macro_without_semicolon_leaves_the_next_line_alone() -> None:
    check("MODULE_TOY(x)\nint /*variable*/toy;\ntypedef typeof(int)\n\t/*typedef*/toy_t;\n")


def test_an_annotation_with_arguments_whose_function_is_named_on_the_next_line() -> None:
    check(
        """
        static TOY_TARGET("fast") size_t
        /*function*/toy_code(struct toy *toy)
        {
        	return 0;
        }
        int /*variable*/last;
        """
    )


def test_more_annotations_above_a_function_than_one_sees_at_a_glance() -> None:
    above = '__toy_line("x")\n' * 30
    check(above + "__toy_bare void /*function*/toy_run(void)\n{\n}\nint /*variable*/last;\n")


def test_parameters_of_old_heads_are_no_annotations() -> None:
    facts = check("int /*function*/old(a, b)\n\ttoy_t a;\n\tchar *b;\n{\n\treturn a;\n}\nint /*variable*/last;\n")
    assert not facts.calls


def test_an_annotation_with_arguments_below_the_parameters_of_a_prototype() -> None:
    check(
        """
        int /*prototype*/toy_insert(struct toy *toy, u64 root,
        		u64 *keys, void *value)
        	__toy_written(value);
        int /*prototype*/toy_remove(struct toy *toy);
        """
    )


@pytest.mark.parametrize(
    "piece",
    ["\t\t__field(u32, x)\n", "__a(x) ", "__toy ", "__", "TOY ", "TOY(x) ", "toy_t ", "static ", ") TOY(x)\n"],
)
def test_words_that_repeat_take_linear_time(piece: str) -> None:
    for head in ("TOY(\n", "\n", "\nint f(int a) ", "struct toy {\n\t", "}"):
        assert_linear(lambda size, head=head: mask((head + piece * size).encode()))
