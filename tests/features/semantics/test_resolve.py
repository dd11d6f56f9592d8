"""The meaning of the name under the cursor, and the type of an expression."""

from __future__ import annotations

import pytest

from kexpert.features.semantics.resolve import Resolved, resolve, type_of
from tests.support.memory_view import at_cursor

TREE = """
//- include/linux/fs.h
struct list_head { struct list_head *next, *prev; };
struct inode {
	int i_mode;
	struct list_head i_list;
	struct inode *i_peer;
	union {
		u32 i_low;
		struct { u8 i_high; } deep;
	};
	struct_group(both, int g_one; int g_two;);
	DECLARE_BITMAP(i_map, 8);
	struct bar { int b; } bars[4];
	const struct file_operations *i_fop;
};
struct file_operations {
	int (*open)(struct inode *inode, int flags);
	struct { int depth; } limits;
};
typedef struct inode node_t;
typedef struct { int seconds; } moment_t;
int vfs_thing(struct inode *inode);
struct inode *iget(int ino);
extern struct inode *root_inode;
DEFINE_MUTEX(big_lock);
DECLARE_PER_CPU(struct inode, cpu_inode);
enum color { RED, GREEN };
#define to_inode(entry) container_of(entry, struct inode, i_list)
#define peer_of(node) ({ \\
	typeof(node) __peer = (node)->i_peer; \\
	__peer; })
#define LIMIT 3
//- kernel/thing.c
int vfs_thing(struct inode *inode)
{
	return helper();
}
static int helper(void)
{
	return 2;
}
struct page { long wrong; };
//- tools/thing.c
int vfs_thing(struct inode *inode)
{
	return 3;
}
//- init/Kconfig
config NUMA
	bool "NUMA"
//- Documentation/vm/numa.rst
NUMA
//- drivers/a/a.h
struct page { int flags; };
//- drivers/a/a.c
#include <linux/fs.h>
#include "a.h"
static int helper(void)
{
	return 1;
}
"""


def resolved(code: str) -> Resolved | None:
    return resolve(*at_cursor(TREE + code))


def body(code: str, parameters: str = "struct inode *i, struct list_head *l") -> str:
    return f"int f({parameters})\n{{\n\t{code}\n}}\n"


@pytest.mark.parametrize(
    ("code", "path", "kind"),
    [
        (body("hel/*|*/per();"), "drivers/a/a.c", "FUNCTION"),
        (body("vfs_thi/*|*/ng(i);"), "kernel/thing.c", "FUNCTION"),
        (body("struct pa/*|*/ge *p;"), "drivers/a/a.h", "STRUCT"),
        (body("return LIM/*|*/IT;"), "include/linux/fs.h", "MACRO"),
        (body("return RE/*|*/D;"), "include/linux/fs.h", "ENUMERATOR"),
        (body("nod/*|*/e_t *n;"), "include/linux/fs.h", "TYPEDEF"),
        ("#ifdef LIM/*|*/IT\n#endif\n", "include/linux/fs.h", "MACRO"),
        ("#define twice(x) vfs_thi/*|*/ng(x)\n", "kernel/thing.c", "FUNCTION"),
        ("/**\n * f() - like &struct pa/*|*/ge\n */\n", "drivers/a/a.h", "STRUCT"),
        ("/* see vfs_thi/*|*/ng() */\n", "kernel/thing.c", "FUNCTION"),
    ],
)
def test_name_means_the_visible_definition(code: str, path: str, kind: str) -> None:
    found = resolved(code)
    assert found is not None
    assert (found.kind, found.symbols[0].path, found.symbols[0].kind.name) == ("symbol", path, kind)


@pytest.mark.parametrize(
    ("code", "struct", "type_text"),
    [
        (body("i->i_mo/*|*/de;"), "struct inode", "int"),
        (body("i->i_l/*|*/ow;"), "struct inode", "u32"),
        (body("i->deep.i_hi/*|*/gh;"), "struct inode.deep", "u8"),
        (body("i->g_t/*|*/wo;"), "struct inode", "int"),
        (body("i->bars[2].b/*|*/;"), "struct bar", "int"),
        (body("to_inode(l)->i_mo/*|*/de;"), "struct inode", "int"),
        (body("i->i_fop->op/*|*/en(i, 0);"), "struct file_operations", "int (*)(struct inode *, int)"),
        (body("container_of(l, struct inode, i_li/*|*/st);"), "struct inode", "struct list_head"),
        (body("list_for_each_entry(i, l, i_li/*|*/st) {\n\t}"), "struct inode", "struct list_head"),
        (body("*i = (struct inode){ .i_mo/*|*/de = 1 };"), "struct inode", "int"),
        (body("struct inode n = {\n\t\t.i_mo/*|*/de = 1,\n\t};"), "struct inode", "int"),
        ("struct file_operations o = { .op/*|*/en = f };\n", "struct file_operations", "int (*)(struct inode *, int)"),
        (
            "struct file_operations o[] = {\n\t[1] = { .limits = { .dep/*|*/th = 2 } },\n};\n",
            "struct file_operations.limits",
            "int",
        ),
        ("struct file_operations o[] = {\n\t{ .limits.dep/*|*/th = 2 },\n};\n", "struct file_operations.limits", "int"),
        ("struct mine { struct inode *own/*|*/ed; };\n", "struct mine", "struct inode *"),
        (body("i->i_peer->\n\ti->i_mo/*|*/de = 1;"), "struct inode", "int"),
    ],
)
def test_member_belongs_to_the_struct_it_is_reached_through(code: str, struct: str, type_text: str) -> None:
    found = resolved(code)
    assert found is not None
    assert found.member is not None
    assert (found.kind, found.member.struct, found.member.type_text) == ("member", struct, type_text)


@pytest.mark.parametrize(
    "code",
    [
        "__auto_type peer = i->i_peer;", "typeof(*i) *peer = i;", "DEFINE_RAW_FLEX(struct inode, peer, i_map, 4);",
        "__auto_type first = i, peer = first->i_peer;",
    ],
)  # fmt: skip
def test_the_type_of_a_local_can_be_that_of_an_expression(code: str) -> None:
    found = resolved(body(f"{code}\n\treturn peer->i_mo/*|*/de;"))
    assert found is not None
    assert found.member is not None
    assert found.member.struct == "struct inode"


def test_a_local_that_is_its_own_type_has_none() -> None:
    found = resolved(body("__auto_type own = own;\n\treturn own->i_mo/*|*/de;"))
    assert found is None or found.member is None


def test_variable_and_struct_of_the_same_name_differ() -> None:
    tag = resolved(body("struct page *page;\n\tstruct pa/*|*/ge *q;"))
    variable = resolved(body("struct page *page;\n\tpa/*|*/ge->flags = 1;"))
    member = resolved(body("struct page *page;\n\tpage->fla/*|*/gs = 1;"))
    assert tag is not None
    assert variable is not None
    assert member is not None
    assert (tag.kind, variable.kind, member.kind) == ("symbol", "local", "member")
    assert member.member is not None
    assert member.member.path == "drivers/a/a.h"


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        (body("if (IS_ENABLED(CONFIG_NU/*|*/MA))\n\t\treturn 1;"), "config", "CONFIG_NUMA"),
        ("#ifdef CONFIG_NU/*|*/MA\n#endif\n", "config", "CONFIG_NUMA"),
        (body("goto ou/*|*/t;\nout:\n\treturn 0;"), "label", "out"),
        (body("return l/*|*/;"), "local", "l"),
        ("/**\n * f() - it\n * @no/*|*/de: a\n */\n" + body("", "int node"), "local", "node"),
    ],
)
def test_options_labels_and_locals(code: str, kind: str, name: str) -> None:
    found = resolved(code)
    assert found is not None
    assert (found.kind, found.name) == (kind, name)


@pytest.mark.parametrize(
    ("code", "kind", "path"),
    [
        ("#include <linux/f/*|*/s.h>\n", "include", "include/linux/fs.h"),
        ('#include "a/*|*/.h"\n', "include", "drivers/a/a.h"),
        ("#include <generated/x/*|*/.h>\n", "include", None),
        ("/* see Documentation/vm/nu/*|*/ma.rst. */\n", "document", "Documentation/vm/numa.rst"),
        ("/* see Documentation/vm/go/*|*/ne.rst */\n", "document", None),
    ],
)
def test_paths(code: str, kind: str, path: str | None) -> None:
    found = resolved(code)
    assert found is not None
    assert (found.kind, found.path) == (kind, path)


@pytest.mark.parametrize(
    "code", ['char *s = "vfs_thi/*|*/ng";\n', "int x = 12/*|*/34;\n", body("unknown/*|*/();"), "/*|*/"]
)
def test_unknown_names_resolve_to_nothing(code: str) -> None:
    assert resolved(code) is None


@pytest.mark.parametrize(
    ("expression", "type_text"),
    [
        ("root_inode", "struct inode *"),
        ("i->i_peer->i_fop", "const struct file_operations *"),
        ("iget(3)->i_peer", "struct inode *"),
        ("peer_of(i)->i_peer", "struct inode *"),
        ("((struct inode *)p)->i_map", "unsigned long []"),
        ("(*i).i_list.next", "struct list_head *"),
        ("(&i->i_list)->prev", "struct list_head *"),
        ("this_cpu_ptr(&cpu_inode)->i_fop", "const struct file_operations *"),
        ("READ_ONCE(i->i_peer)->i_peer", "struct inode *"),
        ("list_first_entry(l, struct inode, i_list)->i_peer", "struct inode *"),
        ("(a ? NULL : i)->i_peer", "struct inode *"),
        ("(l, i)->i_peer", "struct inode *"),
        ("current", "struct task_struct *"),
        ("big_lock", "struct mutex"),
        ("n->i_peer", "struct inode *"),
        ("m.seconds", "int"),
        ("GREEN", "enum color"),
        ("i->i_fop->open", "int (*)(struct inode *, int)"),
    ],
)
def test_types_of_expressions(expression: str, type_text: str) -> None:
    found = type_of(*at_cursor(TREE + body(f"node_t *n;\n\tmoment_t m;\n\tuse({expression}/*|*/);")))
    assert found is not None
    assert found.text == type_text


def test_recursive_macros_end() -> None:
    loop = "#define one(x) two(x)\n#define two(x) one(x)\n#define self self\n"
    assert type_of(*at_cursor(TREE + loop + body("one(i)->i_mo/*|*/de;"))) is None
    assert type_of(*at_cursor(TREE + loop + body("use(se/*|*/lf);"))) is None
