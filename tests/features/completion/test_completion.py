"""Completion at a cursor, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.features.completion.completion import Completions, complete
from tests.support.memory_view import MemoryView, at_cursor, files_of

TREE = """
//- include/linux/fs.h
struct inode { int i_mode; struct { u8 i_low; }; struct inode *i_peer; };
struct file_operations { int (*open)(struct inode *); int (*read)(int); struct { int depth; } limits; };
enum color { RED, GREEN = 4, };
int paint(struct inode *inode, enum color color);
void *kzalloc(unsigned long size);
#define KILO 1000
//- include/linux/far.h
int far_thing(void);
//- mm/slab.c
static int near_private(void)
{
}
//- init/Kconfig
config NUMA
	bool "NUMA"
config NET
	bool "net"
//- drivers/a/a.h
int near_thing(void);
//- drivers/a/a.c
#include <linux/fs.h>
#include "a.h"
static int near_own(void)
{
}
"""


def proposals(code: str, limit: int = 200) -> Completions:
    return complete(*at_cursor(TREE + code), limit)


def labels(code: str) -> list[str]:
    return [item.label for item in proposals(code).items]


def body(code: str) -> str:
    return f"int f(struct inode *inode, enum color color)\n{{\n\tint near_local;\n\t{code}\n}}\n"


def test_a_global_header_that_the_file_names_comes_before_no_other() -> None:
    tree = """
//- include/linux/spin.h
void spin_take(int);
//- include/linux/more.h
void spin_take_ahead(int);
//- drivers/a.h
void spin_take_own(int);
//- drivers/a.c
#include <linux/more.h>
#include "a.h"
void f(void)
{
	spin_t/*|*/
}
"""
    found = complete(*at_cursor(tree), 9).items
    assert [item.label for item in found] == ["spin_take_own", "spin_take", "spin_take_ahead"]


def test_members_in_order_of_declaration() -> None:
    found = proposals(body("inode->/*|*/"))
    assert [(item.label, item.detail) for item in found.items] == [
        ("i_mode", "int"), ("i_low", "u8"), ("i_peer", "struct inode *"),
    ]  # fmt: skip
    assert not found.incomplete
    assert found.items[0].symbol is not None
    assert (found.items[0].symbol.path, found.items[0].symbol.scope) == ("include/linux/fs.h", "inode")


@pytest.mark.parametrize(
    "code",
    [
        "inode->i_pe/*|*/\n\treturn 0;",
        "if (inode->i_peer->i_pe/*|*/",
        "paint(inode->i_pe/*|*/, 1);",
        "x = inode->i_peer->i_peer.i_pe/*|*/\n\tinode->i_mode = 3;",
    ],
)
def test_members_while_the_line_is_unfinished(code: str) -> None:
    assert labels(body(code))[0] == "i_peer"


def test_members_of_an_unknown_type_are_guessed_by_prefix_and_marked() -> None:
    found = proposals(body("what->dep/*|*/"))
    assert [item.label for item in found.items] == ["depth"]
    assert found.incomplete


def test_names_are_ranked_by_scope() -> None:
    assert labels(body("near/*|*/")) == ["near_local", "near_own", "near_thing"]


def test_own_statics_and_headers_but_no_private_name_of_another_file() -> None:
    assert "near_private" not in labels(body("near_p/*|*/"))


@pytest.mark.parametrize("typed", ["kzal", "kzlc", "kzalloc"])
def test_subwords_and_letters_in_order(typed: str) -> None:
    assert "kzalloc" in labels(body(f"{typed}/*|*/"))


def test_prefix_comes_before_subword() -> None:
    found = labels(body("int thing_here;\n\tthing/*|*/"))
    assert found[0] == "thing_here"
    assert {"near_thing", "far_thing"} <= set(found)


@pytest.mark.parametrize(
    "code",
    [
        "color = /*|*/", "if (color == /*|*/", "switch (color) {\n\tcase /*|*/", "paint(inode, /*|*/",
        "enum color c = /*|*/", "color = G/*|*/",
    ],
)  # fmt: skip
def test_enumerators_where_an_enum_is_expected(code: str) -> None:
    found = labels(body(code))
    assert found[0] == ("GREEN" if "G/*" in code else "RED")
    assert "GREEN" in found[:2]


def test_tags_after_the_keyword() -> None:
    assert labels(body("struct in/*|*/")) == ["inode"]
    assert labels(body("enum co/*|*/")) == ["color"]


def test_labels_after_goto() -> None:
    assert labels(body("goto /*|*/\nout:\n\treturn 0;")) == ["out"]


def test_designators_that_are_not_set_come_first() -> None:
    found = proposals("static struct file_operations o = {\n\t.open = x,\n\t./*|*/\n};\n")
    assert [item.label for item in found.items] == ["read", "limits", "open"]
    assert found.items[0].insert_text == "read = "


def test_designator_with_a_value_gets_no_second_equals_sign() -> None:
    assert proposals("struct file_operations o = { .re/*|*/ = 3 };\n").items[0].insert_text == "read"


def test_empty_place_in_an_initialiser_offers_designators() -> None:
    assert labels("struct file_operations o = {\n\t/*|*/\n};\n")[:3] == [".open", ".read", ".limits"]


@pytest.mark.parametrize(
    ("code", "label", "inserted"),
    [
        ("#include <li/*|*/\n", "linux/", "linux/"),
        ("#include <linux//*|*/\n", "fs.h", "fs.h>"),
        ("#include <linux//*|*/>\n", "fs.h", "fs.h"),
        ('#include "/*|*/\n', "a.h", 'a.h"'),
    ],
)
def test_include_paths(code: str, label: str, inserted: str) -> None:
    assert {item.label: item.insert_text for item in proposals(code).items}[label] == inserted


@pytest.mark.parametrize(
    "code",
    ["#ifdef CONFIG_N/*|*/\n", "#if IS_ENABLED(N/*|*/\n", body("if (IS_ENABLED(CONFIG_N/*|*/"), "#ifdef CON/*|*/\n"],
)
def test_options(code: str) -> None:
    assert set(labels(code)) == {"CONFIG_NUMA", "CONFIG_NET"}


def test_directives() -> None:
    assert labels("#if/*|*/\n") == ["ifdef", "ifndef", "if"]


def test_kernel_doc_template_above_a_function() -> None:
    found = proposals("/**/*|*/\nint area(int width, ...)\n{\n}\n").items
    assert [item.label for item in found] == ["kernel-doc for area()"]
    assert found[0].insert_text.startswith("/**\n * area() - ")
    assert "@width:" in found[0].insert_text
    assert "Return:" in found[0].insert_text


def test_template_in_a_comment_that_is_already_closed() -> None:
    found = proposals("/**\n * /*|*/\n */\nstruct area { int width; };\n").items
    assert found[0].insert_text.startswith(" * struct area - ")
    assert "*/" not in found[0].insert_text


@pytest.mark.parametrize("code", ["/* hel/*|*/ */", 'char *s = "kza/*|*/";', "int x = 0x1/*|*/;", "int x = 3./*|*/;",
                                  "// kza/*|*/\n"])  # fmt: skip
def test_nothing_in_comments_strings_and_numbers(code: str) -> None:
    assert labels(code) == []


def test_list_that_is_cut_is_incomplete() -> None:
    found = proposals(body("inode->/*|*/"), limit=2)
    assert (len(found.items), found.incomplete) == (2, True)


def test_items_replace_the_word_typed() -> None:
    view, source, offset = at_cursor(TREE + body("near_th/*|*/"))
    item = complete(view, source, offset).items[0]
    assert source.data[item.replace_start : item.replace_end] == b"near_th"


@given(st.text("ab.->(){}[];=,#\"'/* \n", max_size=40), st.integers(0, 60))
def test_any_text_completes_to_something_or_nothing(noise: str, place: int) -> None:
    view = MemoryView(files_of(f"//- a.c\nint f(struct a *a)\n{{\n{noise}\n}}\n"))
    source = view.source("a.c")
    assert source is not None
    complete(view, source, place)


def test_functions_that_fit_the_member_come_first() -> None:
    code = """\
struct toy_ops { int (*open)(struct inode *i); long (*ioctl)(struct inode *i, unsigned int c); };
static int toy_open(struct inode *i) { return 0; }
static long toy_ioctl(struct inode *inode, unsigned int command) { return 0; }
static const struct toy_ops toy_ops = {
	.ioctl = /*|*/,
};
"""
    assert labels(code)[0] == "toy_ioctl"


def test_functions_whose_type_has_a_typedef_fit_and_the_member_s_namesake_is_first() -> None:
    code = """\
typedef long toy_size_t;
struct toy_ops { toy_size_t (*read)(struct toy *t); toy_size_t (*write)(struct toy *t); };
static bool toy_is_idle(struct toy *t) { return 0; }
static toy_size_t toy_read(struct toy *t) { return 0; }
static toy_size_t toy_write(struct toy *toy) { return 0; }
static const struct toy_ops toy_ops = {
	.write = /*|*/,
};
"""
    assert labels(code)[:2] == ["toy_write", "toy_read"]


def test_keywords_come_first_where_a_statement_begins() -> None:
    assert labels(body("ret/*|*/"))[0] == "return"
    assert labels(body("if (inode)\n\t\tbrea/*|*/"))[0] == "break"
    assert labels(body("if (unli/*|*/"))[0] == "unlikely"


@pytest.mark.parametrize(
    ("code", "first"),
    [
        (body("int x = unsigned lo/*|*/"), "long"),
        (body("unsigned lo/*|*/"), "long"),
        (body("static con/*|*/"), "const"),
        (body("int/*|*/"), "int"),
        (body("boo/*|*/"), "bool"),
        (body("return tru/*|*/"), "true"),
        (body("if (inode == NU/*|*/"), "NULL"),
        ("sta/*|*/\n", "static"),
        ("static inl/*|*/\n", "inline"),
        ("static unsi/*|*/\n", "unsigned"),
        ("int g(str/*|*/)\n", "struct"),
        ("int a;\ntyped/*|*/\n", "typedef"),
    ],
)
def test_words_of_the_language_come_first_where_they_belong(code: str, first: str) -> None:
    decoys = "int longest, constant, bootstrap, truncate, NUMBER, stack_take, inlet, unsignalled, strange, typedown;\n"
    assert labels(decoys + code)[0] == first


def test_no_statement_is_offered_in_an_expression() -> None:
    assert not {"else", "enum", "extern", "case"} & set(labels(body("if (e/*|*/")) + labels(body("x = ca/*|*/")))


def test_error_codes_after_a_minus_sign_that_begins_a_value() -> None:
    errno = "//- include/uapi/asm-generic/errno-base.h\n#define EIO 5\n#define EINVAL 22\n"
    for code, found in {"return -": ["EINVAL", "EIO"], "return -EI": ["EINVAL", "EIO"], "near_local -": []}.items():
        source = "//- a.c\n" + body(code + "/*|*/")
        listed = [item.label for item in complete(*at_cursor(errno + source)).items]
        assert [name for name in listed[:2] if name[0] == "E"] == found


def test_a_tag_is_not_hidden_by_other_names_of_its_prefix() -> None:
    others = "".join(f"#define de{number:04} {number}\n" for number in range(900))
    tree = f"//- include/linux/a.h\n{others}struct device {{ int a; }};\n//- a.c\nstruct de/*|*/\n"
    assert [item.label for item in complete(*at_cursor(tree), limit=20).items] == ["device"]
