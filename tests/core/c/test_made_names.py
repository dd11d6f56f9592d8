"""Names that a file's own macros make."""

from __future__ import annotations

from textwrap import dedent

from kexpert.core.c.made_names import made_declaration
from kexpert.core.c.skeleton import skeleton
from kexpert.core.symbols import Kind
from tests.core.c.test_extract import check, facts_of, names


def made(text: str) -> list[tuple[str, str, int]]:
    """(kind, name, line from 1) of every symbol but macros."""
    found = facts_of(text).symbols
    return [(s.kind.name.lower(), s.name, s.line + 1) for s in found if s.kind is not Kind.MACRO]


READS = """\
#define __toy_read(x) \\
static inline u##x toy_read##x(struct toy *toy, u32 reg) \\
{ \\
	return ioread##x(toy->regs + reg); \\
}

__toy_read(8);
__toy_read(32);
"""


def test_functions_with_pasted_names_are_where_the_macro_is_called() -> None:
    assert made(READS) == [("function", "toy_read8", 7), ("function", "toy_read32", 8)]
    assert facts_of(READS).calls == [(1, "ioread8"), (2, "ioread32")]


def test_the_declaration_that_a_macro_makes() -> None:
    data = dedent(READS).encode()
    symbol = next(s for s in facts_of(READS).symbols if s.name == "toy_read32")
    assert made_declaration(skeleton(data), symbol) == "static inline u32 toy_read32(struct toy *toy, u32 reg)"


def test_macros_that_call_macros() -> None:
    text = """\
    #define TEST_TOY(uname, lname) static int Toy##uname(struct toy *t) { return test_bit(TOY_##lname, &t->flags); }
    #define SET_TOY(uname, lname) static void SetToy##uname(struct toy *t) { set_bit(TOY_##lname, &t->flags); }
    #define TOY_FLAG(uname, lname) TEST_TOY(uname, lname) SET_TOY(uname, lname)
    TOY_FLAG(Dirty, dirty)
    """
    assert made(text) == [("function", "SetToyDirty", 4), ("function", "ToyDirty", 4)]


def test_an_argument_that_is_the_name_is_the_place() -> None:
    facts = facts_of("#define STUB(name) int name(void) { return 0; }\nSTUB(toy_play)\n")
    symbol = facts.symbols[-1]
    assert (symbol.name, symbol.name_start) == ("toy_play", 53)


def test_members_and_enumerators_by_macros() -> None:
    text = """\
    #define MEMBER(type, name) type name;
    #define ERRORS(X) \\
    	X(TOY_OK, 0) \\
    	X(TOY_FAIL, 1)
    struct point {
    	int z;
    	MEMBER(int, x)
    };
    enum toy_error {
    #define D(NAME, VALUE) NAME = VALUE,
    	ERRORS(D)
    };
    """
    assert made(text) == [
        ("enumerator", "TOY_OK", 3), ("enumerator", "TOY_FAIL", 4), ("struct", "point", 5), ("member", "z", 6),
        ("member", "x", 7), ("enum", "toy_error", 9),
    ]  # fmt: skip
    scopes = {s.name: s.scope for s in facts_of(text).symbols}
    assert (scopes["x"], scopes["TOY_OK"]) == ("point", "toy_error")


def test_a_macro_around_the_name_of_a_function() -> None:
    check(
        """
        #define /*macro*/FNAME(name) toy64_##name
        static int FNAME(/*function*/walk)(struct toy *toy, int a)
        {
        	return FNAME(step)(toy, a);
        }
        static bool
        FNAME(/*function*/run)(struct toy *toy)
        {
        	return true;
        }
        static void FNAME(/*function*/rest)(struct toy *toy)
        {
        }
        """
    )


def test_a_name_that_a_macro_of_another_file_makes_is_not_invented() -> None:
    text = "#define PRINT(type) int PRINT_NAME(type)(void *data) { return 0; }\nPRINT(u8)\nPRINT(string)\n"
    assert made(text) == []


def test_a_macro_that_calls_itself_or_is_called_in_a_body_makes_nothing() -> None:
    text = "#define A(x) A(x) B(x)\n#define B(x) A(x)\nA(1)\nint f(int x) {\n\tA(x);\n}\n"
    assert names(facts_of(text), Kind.FUNCTION) == ["f"]


def test_members_by_a_macro_that_ends_without_a_semicolon() -> None:
    text = """\
    #define ATOMIC(t, n) struct { t val; } n
    struct queue {
    	ATOMIC(u32, head);
    	ATOMIC(u32, tail);
    	int wq[];
    };
    """
    assert [name for _, name, _ in made(text) if name != "val"] == ["queue", "head", "tail", "wq"]


def test_enumerators_of_lists_on_the_line_of_the_enum() -> None:
    text = """\
    #define DOORS(X) X(front) X(back)
    #define DOOR(x) DOOR_##x,
    enum door { DOORS(DOOR) DOOR_MAX, DOOR_BITS = (1 << 3) };
    """
    assert made(text) == [
        ("enum", "door", 3), ("enumerator", "DOOR_back", 3), ("enumerator", "DOOR_front", 3),
        ("enumerator", "DOOR_MAX", 3), ("enumerator", "DOOR_BITS", 3),
    ]  # fmt: skip


def test_lists_of_lists_among_enumerators() -> None:
    """A macro of several lines that is not understood is no enumerator, nor does it hide the one after it."""
    found = made("""\
#define ONE\tPIN(A)
#define TWO\tPIN(B)
#define ALL\tONE \\
\tTWO
#define UNKNOWN \\
\tP0 \\
\tP1
enum {
#define PIN(x)\tFN_##x,
\tBEGIN,
\tALL
\tUNKNOWN
\tEND,
#undef PIN
\tLAST
};
""")
    assert found == [
        ("enumerator", "BEGIN", 10), ("enumerator", "FN_A", 11), ("enumerator", "FN_B", 11),
        ("enumerator", "END", 13), ("enumerator", "LAST", 15),
    ]  # fmt: skip


def test_lists_without_parameters() -> None:
    text = """\
    #define COMMON int kind; \\
    	int size;
    #define STATES STATE(open) STATE(shut)
    #define STATE(name) STATE_##name,
    struct toy {
    	COMMON
    	int own;
    };
    enum state {
    	STATES
    	STATE_MAX = STATE(3)
    };
    """
    assert made(text) == [
        ("struct", "toy", 5), ("member", "kind", 6), ("member", "size", 6), ("member", "own", 7), ("enum", "state", 9),
        ("enumerator", "STATE_open", 10), ("enumerator", "STATE_shut", 10), ("enumerator", "STATE_MAX", 11),
    ]  # fmt: skip


def test_a_function_whose_name_is_also_a_macro_for_another_configuration() -> None:
    check(
        """
        #ifdef DEBUG
        static bool
        /*function*/toy_is_deep(
        	int depth)
        {
        	return depth > 3;
        }
        #else
        #define /*macro*/toy_is_deep(depth) (true)
        #endif
        extern int
        /*prototype*/toy_count(int from);
        #define /*macro*/toy_count(from) (-1)
        int /*function*/after(void)
        {
        	return 0;
        }
        """
    )


def test_definitions_below_a_macro_alone_on_its_line() -> None:
    text = (
        "#define TOY_MODES EM(A, 1) EMe(B, 2)\n#define EM(a, b) TRACE_DEFINE_ENUM(a);\nTOY_MODES\n#undef EM\n"
        "#define EM(a, b) { a, b },\nTRACE_EVENT(toy_move,\n\tTP_PROTO(int mode),\n\tTP_ARGS(mode)\n);\n"
    )
    assert names(facts_of(text), Kind.TRACEPOINT) == ["trace_toy_move"]
