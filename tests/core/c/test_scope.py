"""Locals, parameters and labels: visibility at the cursor, and references to them."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.scope import local_binding, locals_at, occurrences
from kexpert.core.c.source import Source

CURSOR = b"/*|*/"


def place(fixture: str) -> tuple[Source, int]:
    data = fixture.encode()
    offset = data.index(CURSOR)
    return Source("a.c", data.replace(CURSOR, b"", 1)), offset


def visible(fixture: str) -> dict[str, str]:
    return {local.name: local.type_text for local in locals_at(*place(fixture))}


def marked(fixture: str) -> str:
    """The text with guillemets around every reference to the local under the cursor."""
    source, offset = place(fixture)
    local = local_binding(source, offset)
    assert local is not None
    text = source.data.decode()
    for start, end in reversed(occurrences(source, local)):
        text = f"{text[:start]}«{text[start:end]}»{text[end:]}"
    return text


def test_parameters_and_locals_with_their_types() -> None:
    assert visible("""
static int __init probe(struct device *dev, const char __user *buf, int (*cb)(struct page *), u8 mac[6])
{
	struct foo *p = NULL, q;
	unsigned long flags;
	LIST_HEAD(todo);
	DECLARE_BITMAP(map, 8);
	/*|*/
	int later;
}
""") == {
        "map": "unsigned long []",
        "todo": "struct list_head",
        "flags": "unsigned long",
        "q": "struct foo",
        "p": "struct foo *",
        "mac": "u8 *",
        "cb": "int (*)(struct page *)",
        "buf": "const char *",
        "dev": "struct device *",
    }


def test_an_inner_declaration_shadows_until_its_block_ends() -> None:
    body = "int f(int a)\n{{\n\tlong x;\n\tif (a) {{\n\t\tchar x;\n\t\t{0};\n\t}}\n\t{1};\n}}\n"
    assert visible(body.format("/*|*/", "")) == {"x": "char", "a": "int"}
    assert visible(body.format("", "/*|*/")) == {"x": "long", "a": "int"}


@pytest.mark.parametrize("loop", ["{ use(i/*|*/); }", "use(i/*|*/);", "if (i) { a(); } else { b(i/*|*/); }"])
def test_the_scope_of_a_loop_variable_is_its_statement(loop: str) -> None:
    assert visible(f"void f(void)\n{{\n\tfor (int i = 0; i < 3; i++)\n\t\t{loop}\n\tdone();\n}}\n") == {"i": "int"}
    after = f"void f(void)\n{{\n\tfor (int i = 0; i < 3; i++)\n\t\t{loop}\n\tdone(/*end*/);\n}}\n".replace("/*|*/", "")
    assert visible(after.replace("/*end*/", "/*|*/")) == {}


@pytest.mark.parametrize(
    "unfinished", ["p->", "p->next = ", "call(p, ", "if (p->", "if (a) {", "x = (struct foo *", "switch (a) {\n\tcase "]
)
def test_an_incomplete_line_hides_no_locals(unfinished: str) -> None:
    found = visible(f"""
int before(void)
{{
	return 0;
}}

int f(struct foo *p)
{{
	int a = 1;

	{unfinished}/*|*/
	int b;
}}

int after(long other)
{{
}}
""")
    assert {name: found[name] for name in ("p", "a")} == {"p": "struct foo *", "a": "int"}
    assert "other" not in found


def test_declarations_below_a_line_without_semicolon_are_found() -> None:
    assert visible("void f(struct foo *p)\n{\n\tp->\n\tstruct bar *b;\n\t/*|*/\n}\n")["b"] == "struct bar *"


def test_statement_expressions_have_locals_of_their_own() -> None:
    text = "void f(void)\n{\n\tint x = ({ int y = 1; y/*1*/; });\n\t/*2*/\n}\n"
    assert set(visible(text.replace("/*1*/", "/*|*/"))) == {"y", "x"}
    assert set(visible(text.replace("/*2*/", "/*|*/"))) == {"x"}


def test_expressions_are_not_declarations() -> None:
    code = "a * a + 1;\n\tfoo(a);\n\tfoo(*b);\n\ta = min_t(unsigned int, a, c);\n\treturn a;\n\tx = a ? a : a * a;"
    assert visible(f"void f(int a)\n{{\n\t{code}\n\t/*|*/\n}}\n") == {"a": "int"}


def test_a_syscall_takes_its_parameters_in_pairs() -> None:
    assert visible("SYSCALL_DEFINE2(open, const char __user *, name, umode_t, mode)\n{\n\t/*|*/\n}\n") == {
        "name": "const char *",
        "mode": "umode_t",
    }


def test_members_of_a_local_struct_are_not_locals() -> None:
    assert visible("void f(void)\n{\n\tstruct { int w; } box;\n\t/*|*/\n}\n") == {"box": "struct"}


def test_functions_with_the_brace_on_their_first_line() -> None:
    assert visible("static inline int f(int a) { return /*|*/a; }\n") == {"a": "int"}


def test_occurrences_leave_out_members_tags_and_shadowed_names() -> None:
    assert marked("""
int f(struct p *p)
{
	struct p other = { .p = p/*|*/ };
	if (p->p) {
		int p = 3;
		use(p);
	}
	/* p */
	return x.p + p->q;
}
""") == """
int f(struct p *«p»)
{
	struct p other = { .p = «p» };
	if («p»->p) {
		int p = 3;
		use(p);
	}
	/* p */
	return x.p + «p»->q;
}
"""


def test_labels_and_variables_have_separate_name_spaces() -> None:
    assert marked("""
int f(int out)
{
	if (out)
		goto out/*|*/;
	use(out);
out:
	return out;
}
""") == """
int f(int out)
{
	if (out)
		goto «out»;
	use(out);
«out»:
	return out;
}
"""


def test_a_parameter_is_found_from_the_header() -> None:
    assert marked("int f(int a,\n      int b/*|*/)\n{\n\treturn a + b;\n}\n") == (
        "int f(int a,\n      int «b»)\n{\n\treturn a + «b»;\n}\n"
    )


def test_outside_functions_there_are_no_locals() -> None:
    assert visible("int f(int a)\n{\n}\n\nint x = /*|*/1;\n") == {}
    assert enclosing_function(*place("static struct ops o =\n{\n\t.a = /*|*/b,\n};\n")) is None


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_raise_no_error(noise: bytes, offset: int) -> None:
    source = Source("a.c", b"int f(int a)\n{\n\tint b = 1;\n" + noise + b"\n}\n")
    for local in locals_at(source, offset):
        assert source.data[local.name_start :].startswith(local.name.encode("latin-1"))
    local_binding(source, offset)


def test_locals_that_macros_declare() -> None:
    locals_here = visible(dedent(
        """
        #define TOY_ON_STACK(d, n) char __##d[n]; struct toy *d = (void *)__##d
        #define for_each_toy_scoped(head, child) for (struct toy *child = (head); child; child = child->next)
        #define DECLARE_TOY(name) struct toy name = { 0 }
        static int f(struct toy *head)
        {
        	TOY_ON_STACK(desc, 40);
        	DECLARE_TOY(wait);
        	CLASS(toyref, ref)(4);
        	SHASH_DESC_ON_STACK(hash, tfm);
        	DECLARE_UNKNOWN(other);
        	for_each_toy_scoped(head, gone) {
        	}
        	for_each_toy_scoped(head, child) {
        		/*|*/;
        	}
        }
        """
    ))
    assert locals_here == {
        "child": "struct toy *", "other": "__auto_type", "hash": "struct shash_desc *", "ref": "class_toyref_t",
        "wait": "struct toy", "desc": "struct toy *", "head": "struct toy *",
    }  # fmt: skip
