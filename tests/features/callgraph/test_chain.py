"""Call chains and shortest paths over a small tree."""

from __future__ import annotations

from kexpert.features.callgraph.chain import CYCLE, LIMIT, ChainLimits, ChainNode, call_chain
from kexpert.features.callgraph.edges import Certainty
from kexpert.features.callgraph.kept_calls import KeptCalls
from kexpert.features.callgraph.path import shortest_path
from kexpert.render import call_chain as render
from tests.support.memory_view import MemoryView, files_of

TREE = """
//- include/linux/foo.h
struct file;
struct foo_ops { int (*open)(struct file *f); int (*close)(int x); };
struct file { const struct foo_ops *ops; int open; };
struct other_ops { int (*open)(struct file *f); };
int do_open(struct file *f);
//- fs/open.c
#include <linux/foo.h>
int do_open(struct file *f)
{
	int (*open)(struct file *) = NULL;

	open = f->ops->open;
	return open(f);
}
static int vfs_open(struct file *f)
{
	/* helper(f) */
	return do_open(f);
}
SYSCALL_DEFINE1(open, struct file *, f)
{
	return vfs_open(f);
}
//- fs/foo/foo.c
#include <linux/foo.h>
static int helper(int a)
{
	return again(a);
}
static int again(int a)
{
	return helper(a - 1);
}
static int foo_open(struct file *f)
{
	return helper(1);
}
static int foo_close(int x)
{
	return 0;
}
static const struct foo_ops foo_fops = {
	.open = foo_open,
	.close = foo_close,
};
//- drivers/bar.c
#include <linux/foo.h>
static int helper(int a)
{
	return 0;
}
static int bar_open(struct file *f)
{
	return helper(2);
}
static const struct other_ops bar_ops = { .open = bar_open };
static int bar_run(const struct other_ops *ops, struct file *f)
{
	return ops->open(f);
}
"""
VIEW = MemoryView(files_of(TREE.lstrip("\n")))


def names(node: ChainNode) -> list[str]:
    return [child.symbol.name if child.symbol else "" for child in node.children]


def test_callers_and_callees_are_a_tree() -> None:
    chain = call_chain(VIEW, "do_open", ChainLimits())
    assert chain is not None
    assert names(chain.up) == ["vfs_open"] and names(chain.up.children[0]) == ["sys_open"]
    edge = chain.up.children[0].edge
    assert edge is not None and (edge.path, edge.line, edge.certainty) == ("fs/open.c", 11, Certainty.EXACT)


def test_a_call_through_an_operation_leads_to_its_implementations() -> None:
    """Also through a local pointer, and not to those of another struct with a member of the same name."""
    chain = call_chain(VIEW, "do_open", ChainLimits())
    assert chain is not None and names(chain.down) == ["foo_open"]
    edge = chain.down.children[0].edge
    assert edge is not None and edge.entry is not None
    assert (edge.operation, edge.entry.table, edge.line, edge.certainty) == (
        "foo_ops.open", "foo_fops", 6, Certainty.SYNTAX,
    )  # fmt: skip


def test_the_callers_of_an_operation_call_its_implementations() -> None:
    chain = call_chain(VIEW, "foo_open", ChainLimits())
    assert chain is not None and names(chain.up) == ["do_open"]
    assert [entry.operation for entry in chain.up.entries] == ["foo_ops.open"]
    chain = call_chain(VIEW, "bar_open", ChainLimits())
    assert chain is not None and names(chain.up) == ["bar_run"]


def test_a_table_is_named_also_where_nobody_calls_the_operation() -> None:
    chain = call_chain(VIEW, "foo_close", ChainLimits())
    assert chain is not None and names(chain.up) == [] and chain.up.entries[0].table == "foo_fops"
    assert "[held as foo_ops.close by foo_fops fs/foo/foo.c:20]" in render.to_plain_text(chain)


def test_a_function_that_code_assigns_to_a_member_is_held_by_it() -> None:
    code = """
//- fs/late.c
#include <linux/foo.h>
static int late_open(struct file *f)
{
	return 0;
}
static int late_close(int x)
{
	return 0;
}
void late(struct foo_ops *ops, void *other)
{
	ops->open = late_open;
	/* ops->close = late_close; */
	mystery->close = late_close;
}
"""
    view = MemoryView(files_of(TREE.lstrip("\n") + code.lstrip("\n")))
    chain = call_chain(view, "late_open", ChainLimits())
    assert chain is not None and names(chain.up) == ["do_open"]
    assert [(entry.operation, entry.table, entry.line) for entry in chain.up.entries] == [("foo_ops.open", "ops", 11)]
    path = shortest_path(view, "open", "late_open")
    assert path is not None and [edge.caller.name for edge in path.edges] == ["sys_open", "vfs_open", "do_open"]
    chain = call_chain(view, "late_close", ChainLimits())
    assert chain is not None and not chain.up.entries


def test_a_cycle_is_cut() -> None:
    chain = call_chain(VIEW, "helper", ChainLimits(0, 5))
    assert chain is not None and [other.path for other in chain.others] == ["drivers/bar.c"]
    (again,) = chain.down.children
    (back,) = again.children
    assert back.note == CYCLE and back.children == []


def test_a_static_function_is_that_of_its_own_file() -> None:
    chain = call_chain(VIEW, "bar_open", ChainLimits(0, 3))
    assert chain is not None
    (helper,) = chain.down.children
    assert helper.symbol is not None and helper.symbol.path == "drivers/bar.c" and helper.children == []


def test_what_was_kept_of_earlier_chains_holds_only_for_the_same_text_and_the_same_headers() -> None:
    kept = KeptCalls()
    files = files_of(TREE.lstrip("\n"))

    def shown(files: dict[str, bytes], kept: KeptCalls | None) -> str:
        chain = call_chain(MemoryView(files), "foo_open", ChainLimits(), kept=kept)
        assert chain is not None
        return render.to_plain_text(chain)

    first = shown(files, kept)
    assert "do_open" in first and shown(files, kept) == first
    moved = {**files, "fs/open.c": b"/* one more line */\n" + files["fs/open.c"]}
    assert shown(moved, kept) == shown(moved, None) != first
    header = files["include/linux/foo.h"].replace(b"const struct foo_ops *ops", b"const struct other_ops *ops")
    other = {**files, "include/linux/foo.h": header}
    assert shown(other, kept) == shown(other, None) != first


def test_limits_bound_the_tree_and_the_rest_is_counted() -> None:
    text = "".join(f"int leaf{n}(void)\n{{\n\treturn 0;\n}}\n" for n in range(20))
    calls = "".join(f"\tleaf{n}();\n" for n in range(20))
    view = MemoryView({"a.c": f"{text}void top(void)\n{{\n{calls}}}\n".encode()})
    chain = call_chain(view, "top", ChainLimits(0, 2, width=5))
    assert chain is not None and len(chain.down.children) == 5 and chain.down.more == 15
    chain = call_chain(view, "top", ChainLimits(0, 2, width=50, nodes=4))
    assert chain is not None and len(chain.down.children) == 3 and chain.down.note == LIMIT and chain.down.more == 17
    assert "... 17 more" in render.to_plain_text(chain)


def test_a_path_goes_from_a_system_call_through_a_table() -> None:
    for ends in (("open", "foo_open"), ("foo_open", "sys_open")):
        path = shortest_path(VIEW, *ends)
        assert path is not None
        assert [edge.caller.name for edge in path.edges] == ["sys_open", "vfs_open", "do_open"]
        last = path.edges[-1]
        assert last.callee is not None and last.callee.name == "foo_open" and last.operation == "foo_ops.open"
        assert [edge.line for edge in path.edges] == [15, 11, 6]


def test_no_path_and_no_function_differ() -> None:
    path = shortest_path(VIEW, "bar_run", "foo_close")
    assert path is not None and path.edges == [] and not path.is_limited
    assert shortest_path(VIEW, "bar_run", "no_such_function") is None
    assert call_chain(VIEW, "no_such_function", ChainLimits()) is None


def test_json_names_each_call_with_its_place() -> None:
    chain = call_chain(VIEW, "do_open", ChainLimits())
    assert chain is not None
    answer = render.to_json(chain)
    (callee,) = answer["callees"]["children"]
    assert (callee["name"], callee["path"], callee["line"]) == ("foo_open", "fs/foo/foo.c", 10)
    assert callee["call"] == {
        "path": "fs/open.c", "line": 7, "through": "ops table", "certainty": "by syntax", "operation": "foo_ops.open",
        "implementations": 1,
        "table": {"operation": "foo_ops.open", "table": "foo_fops", "path": "fs/foo/foo.c", "line": 19},
    }  # fmt: skip
    path = shortest_path(VIEW, "sys_open", "do_open")
    assert path is not None and [edge["line"] for edge in render.path_to_json(path)["edges"]] == [16, 12]
