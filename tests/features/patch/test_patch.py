"""What a patch touches in a small tree, who depends on it, who maintains it."""

from __future__ import annotations

from difflib import unified_diff
from itertools import pairwise

import pytest

from kexpert.features.patch.patch import PatchReport, patch_report
from kexpert.features.patch.states import TreeState
from kexpert.render import patch as render
from tests.support.memory_view import MemoryView, files_of

TREE = """
//- MAINTAINERS
FOO DRIVER
M:\tFred Foo <fred@example.org>
R:\tRita Review <rita@example.org>
L:\tfoo@lists.example.org
S:\tMaintained
F:\tdrivers/foo/

THE REST
L:\tall@lists.example.org
S:\tBuried
F:\t*
F:\t*/
//- include/linux/foo.h
struct foo_ops {
	int (*open)(int x);
	int (*close)(int x);
};
int foo_add(int a);
#define FOO_MAX 7
//- drivers/foo/Kconfig
config FOO
	tristate "Foo"
	depends on PCI
//- drivers/foo/foo.c
#include <linux/foo.h>

static int foo_open(int x)
{
	return x;
}

/* Adds one. */
int foo_add(int a)
{
	int b = a;

	return b + 1;
}
EXPORT_SYMBOL(foo_add);

static const struct foo_ops foo_table = {
	.open = foo_open,
};
//- drivers/bar/bar.c
#include <linux/foo.h>
static int bar(int a)
{
	return foo_add(a);
}
static int run(const struct foo_ops *ops)
{
	return ops->open(1);
}
"""
FILES = files_of(TREE.lstrip("\n"))
FOO = FILES["drivers/foo/foo.c"].decode()


def diff(path: str, old: str, new: str) -> bytes:
    return "".join(unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}")).encode()


def report_on(patch: bytes, **changed: str) -> PatchReport:
    return patch_report(MemoryView({**FILES, **{path: text.encode() for path, text in changed.items()}}), patch)


def touched(report: PatchReport) -> set[tuple[str, str, str]]:
    return {(render.kind_name(use), use.touched.symbol.name, use.touched.status) for use in report.touched}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("return b + 1", "return b + 2", {("function", "foo_add", "changed")}),
        ("\tint b = a;\n\n\treturn b + 1;\n", "\treturn a;\n", {("function", "foo_add", "changed")}),
        ("/* Adds one. */", "/* Adds 1. */", set()),
        ("EXPORT_SYMBOL(foo_add);\n", "", {("export", "foo_add", "removed")}),
        ("\t.open = foo_open,\n", "\t.open = foo_open,\n\t.close = x,\n", {("ops table", "foo_table", "changed")}),
        ("(foo_add);\n", "(foo_add);\n\nint foo_sub(int a)\n{\n\treturn 1;\n}\n", {("function", "foo_sub", "added")}),
        ("static int foo_open(int x)\n{\n\treturn x;\n}\n\n", "", {("function", "foo_open", "removed")}),
        ("#include <linux/foo.h>\n", "#include <linux/foo.h>\n#define FOO_LOW 1\n", {("macro", "FOO_LOW", "added")}),
    ],
)
def test_changed_lines_lead_to_their_definitions(before: str, after: str, expected: set[tuple[str, str, str]]) -> None:
    new = FOO.replace(before, after, 1)
    patch = diff("drivers/foo/foo.c", FOO, new)
    assert touched(report_on(patch)) == expected
    applied = report_on(patch, **{"drivers/foo/foo.c": new})
    assert touched(applied) == expected
    assert applied.files[0].state is TreeState.AFTER


def test_callers_and_tables_of_a_touched_function_are_named() -> None:
    new = FOO.replace("return b + 1", "return 0").replace("return x", "return 1")
    report = report_on(diff("drivers/foo/foo.c", FOO, new))
    uses = {use.touched.symbol.name: use for use in report.touched}
    assert [(edge.caller.name, edge.path) for edge in uses["foo_add"].callers] == [("bar", "drivers/bar/bar.c")]
    assert uses["foo_add"].is_exported and not uses["foo_open"].is_exported
    assert [entry.operation for entry in uses["foo_open"].entries] == ["foo_ops.open"]
    assert [(edge.caller.name, edge.operation) for edge in uses["foo_open"].callers] == [("run", "foo_ops.open")]


@pytest.mark.parametrize(
    ("before", "after", "declarations", "only_comments"),
    [
        ("int foo_add(int a)", "long\nfoo_add(int a, long c)", ("int foo_add(int a)", "long foo_add(int a, long c)"),
         False),
        ("int foo_add(int a)", "int foo_add(int\t a) /* plain */", None, True),
        ("\tint b = a;", "\tint b = a; /* copied */", None, True),
        ("return b + 1", "return b + 2", None, False),
    ],
)  # fmt: skip
def test_it_is_said_what_of_a_definition_changed(
    before: str, after: str, declarations: tuple[str, str] | None, only_comments: bool
) -> None:
    (use,) = report_on(diff("drivers/foo/foo.c", FOO, FOO.replace(before, after, 1))).touched
    assert (use.touched.declarations, use.touched.only_comments) == (declarations, only_comments)
    assert bool(use.callers) is not only_comments, "nobody is told of a comment"


def test_a_table_that_is_declared_before_is_compared_where_it_is_defined() -> None:
    text = "static const struct foo_ops early;\nstatic const struct foo_ops early = {\n\t.open = foo_open,\n};\n"
    patch = diff("drivers/foo/t.c", text, text.replace("foo_open,\n", "foo_open,\n\t.close = foo_close,\n"))
    (use,) = report_on(patch, **{"drivers/foo/t.c": text}).touched
    assert (use.touched.symbol.line, use.touched.only_comments) == (1, False)
    assert [(member.name, member.status) for member in use.touched.members] == [("close", "added")]


def test_a_changed_constant_is_shown_before_and_after() -> None:
    header = FILES["include/linux/foo.h"].decode()
    report = report_on(diff("include/linux/foo.h", header, header.replace("FOO_MAX 7", "FOO_MAX \\\n 9")))
    assert report.touched[0].touched.declarations == ("#define FOO_MAX 7", "#define FOO_MAX 9")
    lines = list(render.to_lines(report))
    assert "    was: #define FOO_MAX 7" in lines and "    now: #define FOO_MAX 9" in lines


def test_a_touched_callback_is_named_where_it_is_passed_on() -> None:
    new = FOO.replace("return x", "return 1")
    user = "static int foo_open(int x)\n{\n\treturn x;\n}\nvoid f(void)\n{\n\trequest_irq(3, foo_open);\n}\n"
    patch = diff("drivers/foo/irq.c", user, user.replace("return x", "return 1"))
    (use,) = report_on(patch, **{"drivers/foo/irq.c": user}).touched
    assert [(place.around, place.line) for place in use.passed_on] == [("f", 6)]
    assert not use.callers
    (other,) = report_on(diff("drivers/foo/foo.c", FOO, new)).touched
    assert not other.passed_on, "its table is named as such"


def test_a_changed_member_of_an_ops_struct_counts_its_implementations() -> None:
    header = FILES["include/linux/foo.h"].decode()
    report = report_on(diff("include/linux/foo.h", header, header.replace("(*open)(int x)", "(*open)(long x)")))
    (use,) = report.touched
    assert (use.touched.symbol.name, [member.name for member in use.touched.members]) == ("foo_ops", ["open"])
    assert use.implementations == {"open": 1} and use.mentioning_files >= 2


def test_options_are_named_and_their_entries_touched() -> None:
    kconfig = FILES["drivers/foo/Kconfig"].decode()
    patch = diff("drivers/foo/Kconfig", kconfig, kconfig.replace("depends on PCI", "depends on PCI && BAR"))
    report = report_on(patch)
    assert touched(report) == {("config", "CONFIG_FOO", "changed")}
    assert list(report.options) == ["CONFIG_PCI", "CONFIG_BAR"]
    code = report_on(diff("drivers/foo/foo.c", FOO, FOO.replace("\tint b", "#ifdef CONFIG_X86\n#endif\n\tint b")))
    assert list(code.options) == ["CONFIG_X86"]


def test_maintainers_are_those_of_the_files() -> None:
    report = report_on(diff("drivers/foo/foo.c", FOO, FOO + "\n/* end */\n"))
    (section,) = report.responsible
    assert section.title == "FOO DRIVER" and section.lists == ["foo@lists.example.org"]
    assert section.reviewers == ["Rita Review <rita@example.org>"]


def test_a_file_that_others_changed_too_is_read_by_name() -> None:
    """The hunk fits nowhere; git's heading still names the function."""
    patch = (
        b"--- a/drivers/foo/foo.c\n+++ b/drivers/foo/foo.c\n@@ -8,3 +8,3 @@ int foo_add(int a)\n"
        b" not\n-in\n+this\n file\n"
    )
    report = report_on(patch)
    (use,) = report.touched
    assert (use.touched.symbol.name, use.touched.certainty) == ("foo_add", "by name")
    assert report.files[0].state is TreeState.OTHER and report.files[0].unplaced_hunks == 1


def test_new_deleted_and_renamed_files() -> None:
    new = b"--- /dev/null\n+++ b/drivers/foo/new.c\n@@ -0,0 +1,4 @@\n+int fresh(void)\n+{\n+\treturn 0;\n+}\n"
    report = report_on(new)
    assert touched(report) == {("function", "fresh", "added")} and report.files[0].status == "added"
    assert report.responsible[0].title == "FOO DRIVER"
    gone = b"--- a/drivers/bar/bar.c\n+++ /dev/null\n@@ -1,9 +0,0 @@\n" + b"".join(
        b"-" + line + b"\n" for line in FILES["drivers/bar/bar.c"].splitlines()
    )
    report = report_on(gone)
    assert touched(report) == {("function", "bar", "removed"), ("function", "run", "removed")}
    moved = b"diff --git a/drivers/bar/bar.c b/drivers/foo/bar.c\n"
    moved += b"rename from drivers/bar/bar.c\nrename to drivers/foo/bar.c\n"
    (file,) = report_on(moved).files
    assert (file.status, file.path, file.old_path) == ("renamed", "drivers/foo/bar.c", "drivers/bar/bar.c")


def series_of(*texts: str, path: str = "drivers/foo/foo.c") -> list[bytes]:
    """The patches that lead from each text of a file to the next."""
    return [diff(path, before, after) for before, after in pairwise(texts)]


#: A function is changed twice, then a new one is added to and changed.
STEPS = (
    FOO, FOO.replace("b + 1", "b + 2"), FOO.replace("b + 1", "b + 3"),
    *(f"{FOO.replace('b + 1', 'b + 3')}int c(void) {{ return {value}; }}\n" for value in (1, 2)),
)  # fmt: skip


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("in_tree", [0, 2, 4])
def test_a_series_that_changes_a_file_several_times_fits_a_tree_before_within_and_after_it(
    in_tree: int, newest_first: bool
) -> None:
    patches = series_of(*STEPS)
    tree = {"drivers/foo/foo.c": STEPS[in_tree]}
    report = report_on(b"".join(patches[::-1] if newest_first else patches), **tree)
    assert [file.unplaced_hunks for file in report.files] == [0] * 4
    if in_tree != 2:
        assert {file.state for file in report.files} == {TreeState.AFTER if in_tree else TreeState.BEFORE}
    found = {use.touched.symbol.name: use.touched for use in report.touched}
    assert found.keys() == {"foo_add", "c"} and len(report.touched) == 2
    assert (found["foo_add"].symbol.line, found["foo_add"].is_in_tree) == (8, True)
    assert found["c"].is_in_tree is (in_tree == 4)


def test_a_series_may_rename_a_file_and_go_on() -> None:
    moved = b"diff --git a/drivers/foo/foo.c b/drivers/foo/new.c\n"
    moved += b"rename from drivers/foo/foo.c\nrename to drivers/foo/new.c\n"
    moved += b"diff --git a/drivers/foo/new.c b/drivers/foo/new.c\n"
    report = report_on(moved + series_of(*STEPS[:2], path="drivers/foo/new.c")[0])
    assert [(file.status, file.unplaced_hunks) for file in report.files] == [("renamed", 0), ("changed", 0)]
    (use,) = report.touched
    assert (use.touched.symbol.name, use.touched.symbol.path) == ("foo_add", "drivers/foo/foo.c")


def test_the_files_that_mention_a_removed_constant_are_counted() -> None:
    header = FILES["include/linux/foo.h"].decode()
    report = report_on(diff("include/linux/foo.h", header, header.replace("#define FOO_MAX 7\n", "")))
    (use,) = report.touched
    assert (use.touched.status, use.touched.symbol.name, use.mentioning_files) == ("removed", "FOO_MAX", 1)


def test_a_definition_that_goes_to_another_file_has_moved() -> None:
    function = "static int foo_open(int x)\n{\n\treturn x;\n}\n\n"
    patch = diff("drivers/foo/foo.c", FOO, FOO.replace(function, ""))
    bar = FILES["drivers/bar/bar.c"].decode()
    report = report_on(patch + diff("drivers/bar/bar.c", bar, bar + function))
    assert {use.touched.status for use in report.touched if use.touched.symbol.name == "foo_open"} == {"moved"}


@pytest.mark.parametrize("name", ["/etc/passwd", "a/../../etc/passwd", "a/..", "../x.c", "a\0b.c", "x" * 3000])
def test_a_path_outside_the_tree_is_passed_over_with_the_reason(name: str) -> None:
    patch = f"--- {name}\n+++ {name}\n@@ -1 +1 @@\n-a\n+b\n".encode()
    report = report_on(patch)
    assert not report.files and len(report.notes) == 1
    assert "\n" not in report.notes[0] and len(report.notes[0]) < 300


def test_a_plain_diff_of_two_folders_is_read() -> None:
    patch = diff("drivers/foo/foo.c", FOO, FOO.replace("b + 1", "b + 2"))
    patch = patch.replace(b"a/drivers", b"linux.orig/drivers").replace(b"b/drivers", b"linux/drivers")
    assert touched(report_on(patch)) == {("function", "foo_add", "changed")}


def test_both_renderings_give_path_and_line() -> None:
    report = report_on(diff("drivers/foo/foo.c", FOO, FOO.replace("b + 1", "b + 2")))
    (each,) = render.to_json(report)["touched"]
    assert (each["path"], each["line"], each["inTree"]) == ("drivers/foo/foo.c", 9, True)
    assert each["certainty"] == "by syntax"
    lines = list(render.to_lines(report))
    assert "drivers/foo/foo.c:9: function foo_add: changed, exported" in lines
    assert "    called by bar drivers/bar/bar.c:4" in lines
