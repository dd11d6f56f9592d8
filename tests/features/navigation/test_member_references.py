"""Uses of members: certain, possible, never those of other structs; what is done there; renaming them."""

from __future__ import annotations

import pytest

from kexpert.features.navigation.call_hierarchy import incoming, prepare
from kexpert.features.navigation.references import highlights, marked_references
from kexpert.features.navigation.rename import RenameError, prepare_rename, rename
from kexpert.features.navigation.resolved_uses import ResolvedUses
from tests.support.memory_view import MemoryView, at_cursor

TREE = """
//- include/linux/list.h
struct list_head { struct list_head *next, *prev; };
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(ptr, type, member) list_entry((ptr)->next, type, member)
#define list_for_each_entry(pos, head, member) \\
	for (pos = list_first_entry(head, typeof(*pos), member); &pos->member != (head); )
//- include/linux/crane.h
#include <linux/list.h>
struct crane {
	int load;
	struct list_head list;
	struct hook { int load; } hook;
	union { int arm; long reach; };
	char name[8];
};
struct ship {
	int load;
	struct list_head list;
};
typedef struct crane crane_t;
struct pier { crane_t *crane; struct ship *ships[4]; };
//- drivers/a.c
#include <linux/crane.h>
static struct crane cranes[] = {
	{ .load = 1, .hook = { .load = 2 } },
	[1] = { .hook.load = 3 },
	[2].load = 4,
};
static struct ship ships[] = { { .load = 5 } };
int a(struct pier *pier, struct ship *ship, int load)
{
	struct crane *crane;

	list_for_each_entry(crane, &ship->list, list)
		crane->load = load;
	pier->crane->load++;
	WRITE_ONCE(pier->crane[2].load, pier->ships[1]->load);
	use(&cranes[1].load, &pier->crane->hook.load);
	ship->load = container_of(pier, struct crane, list)->load;
	return offsetof(struct crane, load) + offsetof(struct ship, load);
}
//- drivers/b.c
#include <linux/crane.h>
#define LOAD_OF(thing) ((thing)->load)
#define SET_LOAD(crane, field, value) ((crane)->field = (value))
int b(void *thing, struct crane *crane)
{
	SET_LOAD(crane, load, 2);
	return LOAD_OF(thing) + unknown(thing)->load;
}
//- drivers/c.c
struct crane { int load; };
int c(struct crane *crane)
{
	return crane->load;
}
//- drivers/d.c
int d(void *thing)
{
	return unknown(thing)->load;
}
"""


def put(cursor: str, tree: str = TREE) -> str:
    """The tree with a cursor where ``cursor`` shows it."""
    plain = cursor.replace("/*|*/", "")
    assert tree.count(plain) == 1, plain
    return tree.replace(plain, cursor)


def shown(view: MemoryView, path: str, start: int) -> str:
    source = view.source(path)
    assert source is not None
    return f"{path}: {source.lines.line_bytes(source.lines.line_of(start)).decode().strip()}"


def uses(fixture: str, include_declaration: bool = True) -> list[tuple[str, str]]:
    """(what is done, the line) of each use; a question mark after it for one that is only possible."""
    view, source, offset = at_cursor(fixture)
    found = []
    for marked in marked_references(view, source, offset, include_declaration, lambda: False, with_access=True):
        rows = zip(marked.file.starts, marked.certain, marked.access, strict=True)
        found += [(f"{done}{'' if sure else '?'}", shown(view, marked.file.path, start)) for start, sure, done in rows]
    return found


CRANE_LOAD = [
    ("declaration", "include/linux/crane.h: int load;"),
    ("write", "drivers/a.c: { .load = 1, .hook = { .load = 2 } },"),
    ("write", "drivers/a.c: [2].load = 4,"),
    ("write", "drivers/a.c: crane->load = load;"),
    ("write", "drivers/a.c: pier->crane->load++;"),
    ("write", "drivers/a.c: WRITE_ONCE(pier->crane[2].load, pier->ships[1]->load);"),
    ("address", "drivers/a.c: use(&cranes[1].load, &pier->crane->hook.load);"),
    ("read", "drivers/a.c: ship->load = container_of(pier, struct crane, list)->load;"),
    ("address", "drivers/a.c: return offsetof(struct crane, load) + offsetof(struct ship, load);"),
    ("read?", "drivers/b.c: #define LOAD_OF(thing) ((thing)->load)"),
    ("read", "drivers/b.c: SET_LOAD(crane, load, 2);"),
    ("read?", "drivers/b.c: return LOAD_OF(thing) + unknown(thing)->load;"),
]


@pytest.mark.parametrize(
    "cursor",
    [
        "struct crane {\n	int lo/*|*/ad;\n	struct list_head", "pier->crane->lo/*|*/ad++", "[2].lo/*|*/ad = 4",
        "offsetof(struct crane, lo/*|*/ad)", "SET_LOAD(crane, lo/*|*/ad, 2)",
    ],
)  # fmt: skip
def test_uses_of_one_struct_are_certain_and_those_of_an_unknown_one_possible(cursor: str) -> None:
    assert sorted(uses(put(cursor))) == sorted(CRANE_LOAD)


def test_uses_of_the_other_struct_are_its_own() -> None:
    certain = [use for use in uses(put("ship->lo/*|*/ad = container_of")) if not use[0].endswith("?")]
    assert sorted(certain) == sorted([
        ("declaration", "include/linux/crane.h: int load;"),
        ("write", "drivers/a.c: static struct ship ships[] = { { .load = 5 } };"),
        ("read", "drivers/a.c: WRITE_ONCE(pier->crane[2].load, pier->ships[1]->load);"),
        ("write", "drivers/a.c: ship->load = container_of(pier, struct crane, list)->load;"),
        ("address", "drivers/a.c: return offsetof(struct crane, load) + offsetof(struct ship, load);"),
    ])  # fmt: skip


def test_a_nested_struct_has_members_of_its_own() -> None:
    certain = [use for use in uses(put("&pier->crane->hook.lo/*|*/ad")) if not use[0].endswith("?")]
    assert sorted(certain) == sorted([
        ("declaration", "include/linux/crane.h: struct hook { int load; } hook;"),
        ("write", "drivers/a.c: { .load = 1, .hook = { .load = 2 } },"),
        ("write", "drivers/a.c: [1] = { .hook.load = 3 },"),
        ("address", "drivers/a.c: use(&cranes[1].load, &pier->crane->hook.load);"),
    ])  # fmt: skip


def test_the_counter_of_a_flexible_array_is_used_by_it() -> None:
    text = """
//- drivers/a.c
struct mast {
	int co/*|*/unt;
	int sails[] __counted_by(count);
};
struct deck {
	int count;
	int planks[] __counted_by(count);
};
"""
    assert uses(text) == [
        ("declaration", "drivers/a.c: int count;"),
        ("read", "drivers/a.c: int sails[] __counted_by(count);"),
    ]


def test_a_struct_of_the_same_tag_in_another_driver_is_another_struct() -> None:
    assert uses(put("struct crane { int lo/*|*/ad; };\nint c")) == [
        ("declaration", "drivers/c.c: struct crane { int load; };"), ("read", "drivers/c.c: return crane->load;"),
    ]  # fmt: skip


def test_members_of_an_anonymous_union_belong_to_the_outer_struct() -> None:
    fixture = put("union { int ar/*|*/m; long") + (
        "//- drivers/e.c\n#include <linux/crane.h>\nint e(crane_t *crane)\n{\n\treturn crane->arm;\n}\n"
    )
    assert uses(fixture) == [
        ("declaration", "include/linux/crane.h: union { int arm; long reach; };"),
        ("read", "drivers/e.c: return crane->arm;"),
    ]


def test_a_list_is_found_in_the_arguments_of_macros() -> None:
    assert ("address", "drivers/a.c: list_for_each_entry(crane, &ship->list, list)") in uses(
        put("	struct list_head li/*|*/st;\n	struct hook")
    )


def in_e(code: str) -> list[tuple[str, str]]:
    """(what is done, the line) of the uses of ``crane.load`` in a file with this code."""
    found = uses(put("struct crane {\n	int lo/*|*/ad;\n	struct list_head", f"{TREE}//- drivers/e.c\n{code}"))
    return [(done, line.partition(": ")[2]) for done, line in found if "drivers/e.c" in line]


def test_a_macro_that_takes_a_member_of_an_unknown_struct_may_mean_any() -> None:
    assert in_e("""#include <linux/crane.h>
#define GET(of, field) ((of)->field)
#define LOAD(of) GET(of, load)
#define ADD(one, other) ((one) + (other))
int e(struct crane *crane)
{
	use(GET(mystery, load), offsetof(struct mystery, load), ADD(mystery, load));
	return GET(crane, load);
}
""") == [
        ("read?", "#define LOAD(of) GET(of, load)"),
        ("read?", "use(GET(mystery, load), offsetof(struct mystery, load), ADD(mystery, load));"),
        ("address?", "use(GET(mystery, load), offsetof(struct mystery, load), ADD(mystery, load));"),
        ("read", "return GET(crane, load);"),
    ]  # fmt: skip


def test_a_parameter_of_a_macro_hides_a_variable_of_its_name() -> None:
    assert in_e("""#include <linux/crane.h>
static struct crane *thing, *other;
#define LOAD(thing) ((thing)->load)
#define OTHER_LOAD(thing) ((other)->load + (thing))
""") == [
        ("read?", "#define LOAD(thing) ((thing)->load)"),
        ("read", "#define OTHER_LOAD(thing) ((other)->load + (thing))"),
    ]


def test_a_macro_below_a_call_without_a_semicolon_is_read_by_itself() -> None:
    assert in_e("""#include <linux/crane.h>
SHOW(load)
#define LOAD(crane) ((crane)->load)
static int first(struct crane *crane) { return crane->load; }
""")[-2:] == [
        ("read?", "#define LOAD(crane) ((crane)->load)"),
        ("read", "static int first(struct crane *crane) { return crane->load; }"),
    ]


def test_the_type_of_what_is_stepped_on_is_known() -> None:
    code = "int e(struct crane *crane)\n{\n\tcrane++->load = 1;\n\treturn (crane--)->load;\n}\n"
    assert in_e(f"#include <linux/crane.h>\n{code}") == [
        ("write", "crane++->load = 1;"), ("read", "return (crane--)->load;"),
    ]  # fmt: skip


def test_declarations_are_left_out_if_not_asked_for() -> None:
    assert sorted(uses(put("pier->crane->lo/*|*/ad++"), include_declaration=False)) == sorted(CRANE_LOAD[1:])


def test_an_array_that_is_passed_on_has_its_address_taken() -> None:
    code = "void e(crane_t *c)\n{\n\tfill(c->name);\n\tc->name[0] = 1;\n}\n"
    found = uses(put("fill(c->na/*|*/me)", f"{TREE}//- drivers/e.c\n#include <linux/crane.h>\n{code}"))
    assert [done for done, line in found if "drivers/e.c" in line] == ["address", "write"]


def test_highlights_are_of_the_same_struct() -> None:
    view, source, offset = at_cursor(put("ship->lo/*|*/ad = container_of"))
    found = [(shown(view, source.path, each.start), each.access.value) for each in highlights(view, source, offset)]
    assert found[1:] == [
        ("drivers/a.c: WRITE_ONCE(pier->crane[2].load, pier->ships[1]->load);", "read"),
        ("drivers/a.c: ship->load = container_of(pier, struct crane, list)->load;", "write"),
        ("drivers/a.c: return offsetof(struct crane, load) + offsetof(struct ship, load);", "address"),
    ]  # fmt: skip


def test_who_writes_a_member_is_in_its_incoming_calls() -> None:
    view, source, offset = at_cursor(put("struct ship {\n	int lo/*|*/ad;\n	struct list"))
    item = prepare(view, source, offset)[0]
    assert [call.symbol.name for call in incoming(view, item, lambda: False)] == ["a"]
    view, source, offset = at_cursor(put("struct crane { int lo/*|*/ad; };\nint c"))
    assert incoming(view, prepare(view, source, offset)[0], lambda: False) == []  # it is only read


def test_a_cancelled_search_stops_at_the_next_file() -> None:
    view, source, offset = at_cursor(put("pier->crane->lo/*|*/ad++"))
    enough: list[bool] = []
    found = marked_references(view, source, offset, True, lambda: bool(enough))
    assert next(found).file.path == "include/linux/crane.h"
    enough.append(True)
    assert list(found) == []


def test_a_search_that_is_cancelled_within_a_file_keeps_nothing_of_that_file() -> None:
    known = ResolvedUses()
    view, source, offset = at_cursor(put("pier->crane->lo/*|*/ad++"))
    whole = [marked.file for marked in marked_references(view, source, offset, True, lambda: False)]
    for asked in range(1, 40, 3):
        rest = iter(range(asked))
        list(marked_references(view, source, offset, True, lambda rest=rest: next(rest, None) is None, known))
    assert [marked.file for marked in marked_references(view, source, offset, True, lambda: False, known)] == whole


def test_files_that_seem_to_hold_uses_come_first() -> None:
    others = "".join(
        f"""
//- kernel/{name}.c
#include <linux/crane.h>
{code}
"""
        for name, code in (
            ("a", "int a(struct crane *crane, int load) { return load + use(crane); }"),
            ("b", "int b(struct crane *it) { return it->load; }"),
            ("c", "int c(struct crane *it) { return it->load + it->load; }"),
            ("d", "int d(struct pier *pier) { return pier->crane->load; }"),
        )
    )
    view, source, offset = at_cursor(put("struct crane {\n	int lo/*|*/ad;\n	struct list", TREE + others))
    files = [marked.file.path for marked in marked_references(view, source, offset, True, lambda: False)]
    assert files[0] == "include/linux/crane.h"
    assert files.index("kernel/c.c") < files.index("kernel/b.c") < files.index("drivers/b.c")
    assert files.index("kernel/d.c") < files.index("drivers/b.c")


class LastingView(MemoryView):
    """As a tree on disk: its state is known to later processes too."""

    def lasting_headers_state(self) -> str | None:
        return str(hash(self.headers_state()))

    def is_open(self, path: str) -> bool:
        return False


class DictStore(dict[str, str]):
    def put(self, key: str, text: str) -> None:
        self[key] = text


def test_a_later_process_finds_what_uses_mean_in_the_store() -> None:
    store = DictStore()

    def uses(tree: str) -> list[object]:
        """The answer of a process that begins with nothing but the store."""
        view, source, offset = at_cursor(put("pier->crane->lo/*|*/ad++", tree))
        found = marked_references(
            LastingView({path: each.data for path, each in view.sources.items()}), source, offset, True,
            lambda: False, ResolvedUses(store),
        )  # fmt: skip
        return [(each.file.path, list(each.file.starts), each.certain, list(each.access)) for each in found]

    first, stored = uses(TREE), dict(store)
    assert len(stored) >= 4
    assert uses(TREE) == first
    assert store == stored  # nothing was found out anew
    store.update(dict.fromkeys(store, "[[[1],[1],[1],[1]],[],[[5,\"read\"]]]"))
    assert uses(TREE) == first  # damaged: found out again
    changed = uses(TREE.replace("crane->load = load;", "crane->load = crane->load;"))
    assert sum(len(starts) for _, starts, *_ in changed) == sum(len(starts) for _, starts, *_ in first) + 1
    other = uses(TREE.replace("union { int arm; long reach; };", "union { int arm; long load; };"))
    assert other != first


def test_kept_answers_follow_edits_of_the_file_and_of_a_header() -> None:
    known = ResolvedUses()

    def certain(tree: str) -> int:
        view, source, offset = at_cursor(put("pier->crane->lo/*|*/ad++", tree))
        found = marked_references(view, source, offset, True, lambda: False, known)
        return sum(sum(marked.certain) for marked in found)

    before = certain(TREE)
    assert certain(TREE) == before
    assert certain(TREE.replace("	SET_LOAD(crane, load, 2);\n", "")) == before - 1
    assert certain(TREE.replace("struct ship *ships[4]", "struct crane *ships[4]")) == before + 1
    assert certain(TREE) == before


RENAMED = """
//- include/linux/crane.h
/**
 * struct crane - lifts
 * @load: what hangs
 */
struct crane {
	int load;
};
struct ship { int load; };
//- drivers/a.c
#include <linux/crane.h>
int a(struct crane *crane, struct ship *ship)
{
	return crane->lo/*|*/ad + ship->load;
}
"""


def test_a_member_is_renamed_in_all_files_and_in_its_documentation() -> None:
    view, source, offset = at_cursor(RENAMED)
    assert prepare_rename(view, source, offset) is not None
    assert [shown(view, span.path, span.start) for span in rename(view, source, offset, "weight")] == [
        "drivers/a.c: return crane->load + ship->load;",
        "include/linux/crane.h: * @load: what hangs",
        "include/linux/crane.h: int load;",
    ]


@pytest.mark.parametrize(
    ("tree", "new_name", "reason"),
    [
        (RENAMED + "//- drivers/b.c\n#include <linux/crane.h>\nint b(struct crane *c)\n{\n\treturn any(c)->load;\n}\n",
         "weight", "the struct is not known of one use of 'load', at drivers/b.c:4"),
        (RENAMED.replace("	int load;\n", "	int load;\n	int weight;\n"), "weight",
         "'weight' is already a member of struct crane"),
        (RENAMED.replace("include/linux/", "include/uapi/linux/"), "weight",
         "'load' is declared in include/uapi/linux/crane.h, which programs outside the kernel include"),
        (RENAMED.replace("struct crane *crane", "void *crane"), "weight", "the struct of 'load' is not known"),
    ],
)  # fmt: skip
def test_a_member_is_not_renamed_if_that_is_not_safe(tree: str, new_name: str, reason: str) -> None:
    view, source, offset = at_cursor(tree)
    with pytest.raises(RenameError, match=f"^{reason}$"):
        rename(view, source, offset, new_name)
