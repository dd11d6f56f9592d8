"""Cards and documentation as Markdown. Whole cards are golden files of ``tests/features/hover``."""

from __future__ import annotations

import pytest

from kexpert.core.c.layout import Layout, MemberLayout
from kexpert.core.docs.kerneldoc import parse_kerneldoc
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.kernel.locking_context import locking_rules
from kexpert.features.hover.card import Documentation, HoverCard, OptionHelp, Place, PlainText, Title
from kexpert.render import markdown

FUNCTION = b"""/**
 * widget_spin() - Turn a widget
 *                 until it stops.
 * @w: the widget,
 *     never NULL
 * @flags:
 *	%WIDGET_FAST or zero
 *
 * Turns it. See &struct widget and &widget->lock.
 *
 * Second paragraph::
 *
 *	widget_spin(w, 0);
 *
 * Context: Process context. Takes
 *	and releases @w->lock.
 * Locking: none
 * Returns: * 0 - it stopped
 *	    * -EBUSY - it did not
 */"""


def documented(*pieces: Documentation) -> str:
    """The documentation of a card as Markdown."""
    return markdown.hover_card(HoverCard("spin", "function", code="spin", documentation=pieces)).split("\n\n---\n\n")[1]


def commented(comment: bytes) -> str:
    doc = parse_kerneldoc(comment)
    assert doc is not None
    return documented(doc)


def test_kernel_doc() -> None:
    text = commented(FUNCTION)
    assert text.startswith("Turn a widget until it stops.\n\n**Parameters**\n\n- `w`: the widget,\n  never NULL\n")
    assert "- `flags`: `WIDGET_FAST` or zero" in text
    assert "See `struct widget` and `widget->lock`." in text
    assert "Second paragraph:\n\n```c\nwidget_spin(w, 0);\n```" in text
    assert "**Context:** Process context. Takes\nand releases `w->lock`." in text
    assert "**Locking:** none" in text
    assert "**Return:**\n\n* 0" in text


def test_parameters_of_a_struct_are_its_members() -> None:
    assert "**Members**" in commented(b"/**\n * struct a - b\n * @x: inner\n */")


def test_characters_of_markdown_in_a_comment_are_escaped() -> None:
    assert commented(b"/**\n * f() - a < b, __init p * q and *not* ``raw_*``\n */") == (
        "a < b, `__init` p * q and *not* `raw_*`"
    )
    assert documented(PlainText("*a* [b](c) __d\n# e")) == "\\*a\\* \\[b\\](c) `__d`\n\\# e"
    assert documented(PlainText("a < b, <c>, [d | e")) == "a < b, \\<c>, \\[d \\| e"


def test_what_is_no_markup_has_no_backslash() -> None:
    """Neovim shows them."""
    signature = "static __always_inline void slab_free(struct kmem_cache *s, void **p, int a[2])"
    assert markdown.escape(signature) == signature.replace("__always_inline", "`__always_inline`")
    assert documented(Title("How to #spin")) == "**How to #spin**"


def test_tables_keep_their_columns_and_headings_become_bold() -> None:
    text = commented(b"/**\n * DOC: t\n *\n * Modes\n * =====\n *\n * ==== ====\n * a    b\n * ==== ====\n */")
    assert text == "**Modes**\n\n```\n==== ====\na    b\n==== ====\n```"


def test_kconfig_entry() -> None:
    data = (
        b'config SPIN\n\ttristate "Spin \\"fast\\"" if EXPERT\n\tdepends on PCI\n\tdepends on ARM || X86\n'
        b"\tselect CORE if OF\n\tselect CRC32\n\thelp\n\t  First line,\n"
    )
    entries = parse_kconfig(data, "drivers/widget/Kconfig").named("SPIN")
    text = documented(OptionHelp(tuple(entries), "m"))
    assert text.startswith('`CONFIG_SPIN` (tristate) = `m` in `.config`\n\n**Spin "fast"** if `EXPERT`\n\n')
    assert "- depends on `PCI && (ARM || X86)`" in text
    assert "- selects `CORE` if `OF`, `CRC32`" in text
    assert "- `drivers/widget/Kconfig:1`\n\nFirst line," in text
    assert " = " not in documented(OptionHelp(tuple(entries), None))


def test_the_help_of_an_option_that_architectures_define_anew_is_shown_once() -> None:
    data = b"config SMP\n\tbool \"Symmetric\"\n\thelp\n\t  Say Y here.\n"
    entries = [parse_kconfig(data, f"arch/{arch}/Kconfig").named("SMP")[0] for arch in ("x86", "alpha")]
    text = documented(OptionHelp(tuple(entries), None))
    assert text.count("Say Y here.") == 1
    assert text.index("arch/x86/Kconfig:1") < text.index("Say Y here.") < text.index("arch/alpha/Kconfig:1")


def test_the_card_of_a_completion_has_no_rules() -> None:
    card = HoverCard("spin", "function", code="void spin(void)", documentation=(PlainText("a type * to spin"),))
    assert "\n---\n" in markdown.hover_card(card)
    assert "---" not in markdown.completion_card(card)
    assert "a type * to spin" in markdown.completion_card(card)
    assert markdown.escape("* item, *bold* and a * b") == r"\* item, \*bold\* and a * b"


def test_lock_and_context_rules() -> None:
    rules = locking_rules(
        b"void notrace spin(void) __must_hold(&a) { lockdep_assert_held_read(&b); might_sleep();"
        b" ASSERT_RTNL(); f(GFP_NOFS); }"
    )
    text = markdown.hover_card(HoverCard("spin", "function", code="spin", rules=rules))
    assert text.split("\n\n---\n\n")[1].splitlines() == [
        "- Must hold `&a`",
        "- Asserts `&b` held for reading",
        "- Requires rtnl_lock held",
        "- May sleep: `might_sleep()`, `GFP_NOFS`",
        "- Marked `notrace`",
    ]
    atomic = HoverCard("spin", "function", code="spin", rules=locking_rules(b"void spin(void) { f(GFP_ATOMIC); }"))
    assert markdown.hover_card(atomic).endswith("- Allocates with `GFP_ATOMIC`")


def test_layout_marks_holes_and_what_is_not_exact() -> None:
    fields = [
        MemberLayout("a", "u8", "u8 a", 0, 1, 1, True, True),
        MemberLayout("f", "void (*)(int)", "void (*f)(int)", 8, 8, 8, True, True),
        MemberLayout("b", "u32", "u32 b:3", 16, 4, 4, True, True, 0, 3),
        MemberLayout("l", "spinlock_t", "spinlock_t l", 20, 4, 4, False, True),
        MemberLayout("m", "struct mystery", "struct mystery m", 24, None, 1, False, False),
        MemberLayout("z", "u8", "u8 z", None, 1, 1, False, False),
    ]
    layout = Layout("struct", fields, None, 8, False, [(1, 7), (17, 3)])
    text = markdown.hover_card(HoverCard("s", "struct", code="struct s", layout=layout))
    assert text.split("\n\n---\n\n")[1].splitlines() == [
        "```c",
        "/* offset  size */",
        "        0      1  u8 a;",
        "                  /* 7 bytes hole */",
        "        8      8  void (*f)(int);",
        "     16:0      4  u32 b:3;",
        "                  /* 3 bytes hole */",
        "       20     ~4  spinlock_t l;",
        "      ~24      ?  struct mystery m;",
        "        ?      1  u8 z;",
        "/* size unknown, align ~8 */",
        "```",
    ]


def test_long_layout_is_cut() -> None:
    fields = [MemberLayout(f"a{n}", "u8", f"u8 a{n}", n, 1, 1, True, True) for n in range(50)]
    text = markdown.hover_card(HoverCard("s", "struct", code="struct s", layout=Layout("struct", fields, 50)))
    assert "u8 a15;" in text
    assert "u8 a16;" not in text
    assert text.endswith("and 34 more members")


def test_a_long_struct_shows_the_members_that_are_used_near_the_cursor() -> None:
    fields = [MemberLayout(f"a{n}", "u8", f"u8 a{n}", n, 1, 1, True, True) for n in range(50)]
    doc = parse_kerneldoc(b"/**\n * struct s - a thing\n" + b"".join(b" * @a%d: the %d.\n" % (n, n) for n in range(50)))
    assert doc is not None
    near = frozenset({"a20", "a30", "other"})
    card = HoverCard("s", "struct", documentation=(doc,), layout=Layout("struct", fields, 50), near=near)
    text = markdown.hover_card(card)
    assert [line.split()[-1] for line in text.splitlines() if "u8 a" in line] == ["a20;", "a30;"]
    assert "- `a20`: the 20." in text and "- `a1`: the 1." not in text
    assert text.count("and 48 more") == 2


def test_places_are_links_where_the_reader_follows_them() -> None:
    card = HoverCard("f", "function", code="int f(void)", place=Place("mm/a_b.c", 4), callers=3)
    linked = markdown.hover_card(card, lambda path, line: f"file:///linux/{path}#L{line + 1}")
    assert "Defined in [mm/a_b.c:5](<file:///linux/mm/a_b.c#L5>) · 3 callers" in linked
    assert "Defined in `mm/a_b.c:5` · 3 callers" in markdown.hover_card(card)


@pytest.mark.parametrize(
    ("text", "span"), [("a", "`a`"), ("a`b", "``a`b``"), ("`a`", "`` `a` ``"), ("a  \n b", "`a b`")]
)
def test_code_spans_hold_backticks(text: str, span: str) -> None:
    assert markdown.code(text) == span


def test_code_block_is_longer_than_the_fences_inside() -> None:
    assert markdown.block("```\n") == "````c\n```\n````"
