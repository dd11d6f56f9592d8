"""Contexts, allocations, references, state, users and surroundings."""

from __future__ import annotations

import pytest

from kexpert.core.kernel.resource_calls import ALLOCATORS, FREES
from tests.features.explain.facts_of import check, explained


def test_what_sleeps_always_and_what_only_under_a_condition() -> None:
    check("""
int f(struct d *d)
{
	msleep(1); //= context: may sleep: `msleep()`, `kmalloc(GFP_KERNEL)`
	d->p = kmalloc(8, GFP_KERNEL);
	if (d->p)
		schedule();
	return 0;
}
""", "context")  # fmt: skip
    check("""
int f(struct d *d, gfp_t gfp)
{
	if (gfpflags_allow_blocking(gfp))
		cond_resched(); //= context: may sleep: `cond_resched()` if `gfpflags_allow_blocking(gfp)`
	return 0;
}
""", "context")  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "/* msleep(1); */",
        "d->ops->msleep(1);",
        "mask = d->gfp & GFP_KERNEL;",
        "INIT_RADIX_TREE(&d->tree, GFP_KERNEL);",
        "mapping_set_gfp_mask(m, GFP_KERNEL);",
        "d->p = kmalloc(8, GFP_NOWAIT);",
        "d->p = kmalloc(8, wait ? GFP_KERNEL : GFP_ATOMIC);",
        "d->p = kmalloc(8, GFP_KERNEL & ~__GFP_RECLAIM);",
        "goto out; msleep(1); out: ;",
    ],
)
def test_what_does_not_certainly_sleep(body: str) -> None:
    found = explained(f"void f(struct d *d)\n{{\n\t{body}\n}}\n")
    assert [fact.text for fact in found.facts if fact.kind == "context" and "may sleep" in fact.text] == []


def test_atomic_allocations_interrupts_and_sections() -> None:
    check("""
static int __init f(struct d *d) //= context: marked `__init`: its code is freed once the kernel has started
{
	d->p = kmalloc(8, GFP_ATOMIC); //= context: `kmalloc()` allocates with `GFP_ATOMIC`, which does not sleep
	local_irq_disable(); //= context: turns interrupts off (`local_irq_disable()`)
	return 0;
}
""", "context")  # fmt: skip


def test_interrupt_handlers_and_callbacks_say_how_they_run() -> None:
    check("""
static irqreturn_t f(int irq, void *data)
{
	return IRQ_HANDLED;
}
/* request_irq(irq, f, 0, "x", d) */
int g(struct d *d)
{
	return request_irq(d->irq, f, 0, "x", d); //= context: runs as an interrupt handler (`request_irq()`)
}
""", "context")  # fmt: skip
    check("""
static irqreturn_t f(int irq, void *data) //= context: handles an interrupt: returns `irqreturn_t`
{
	return IRQ_HANDLED;
}
""", "context")  # fmt: skip
    check("""
static irqreturn_t f(int irq, void *data)
{
	return IRQ_HANDLED;
}
int g(struct d *d)
{
	INIT_WORK(&d->work, other);
	return request_threaded_irq(d->irq, hard, f, 0, "x", d);
//= context: runs as the thread of an interrupt: it may sleep (`request_threaded_irq()`)
}
""", "context")  # fmt: skip
    check("""
static void f(struct work_struct *work)
{
}
int g(struct d *d)
{
	INIT_WORK(&d->work, f); //= context: runs as a work item, in process context (`INIT_WORK()`)
	return 0;
}
""", "context")  # fmt: skip


def test_allocations_and_frees() -> None:
    found = check("""
int f(struct d *d, int x)
{
	char *name = kstrdup("x", GFP_KERNEL); //= allocation: allocates `name` (`kstrdup()`, `GFP_KERNEL`)

	d->p = devm_kzalloc(d->dev, 8, GFP_KERNEL);
//= allocation: allocates `d->p` (`devm_kzalloc()`, `GFP_KERNEL`, freed with the device)
	if (x)
		kfree(name); //= allocation: frees `name` (`kfree()`) if `x`
	kmem_cache_free(cache, d->q); //= allocation: frees `d->q` (`kmem_cache_free()`)
	d->ops->kfree(name);
	return consume(kmalloc(8, gfp)); //= allocation: allocates memory (`kmalloc()`)
}
""", "allocation")  # fmt: skip
    assert "Allocates `name` (`kstrdup()`, `GFP_KERNEL`)" in [one.text for one in found.calling]


def test_what_frees_an_allocation_is_known() -> None:
    unknown = {free for allocator in ALLOCATORS.values() for free in allocator.frees} - FREES.keys()
    assert unknown <= {"folio_put", "put_page"}  # they drop references


def test_references_taken_and_dropped() -> None:
    check("""
int f(struct d *d)
{
	get_device(d->dev); //= reference: takes a reference on `d->dev` (`get_device()`)
	if (!try_module_get(d->owner)) //= reference: tries to take a reference on `d->owner` (`try_module_get()`)
		goto out;
	of_node_put(d->node); //= reference: drops a reference on `d->node` (`of_node_put()`)
	return 0;
out:
	put_device(d->dev); //= reference: drops a reference on `d->dev` (`put_device()`)
	return -ENODEV;
}
""", "reference")  # fmt: skip


def test_state_is_what_is_reached_through_parameters_and_globals() -> None:
    check("""
static int counter;
static struct pool pool;

int f(struct d *d, struct s by_value, int n)
{
	struct inner *inner = d->inner;
	struct inner *copy = make();
	struct inner local;

	counter++; //= state: writes the global `counter`
	pool.used = 3; //= state: writes `pool.used` (`struct pool`)
	d->count = 1; //= state: writes `d->count` (`struct d`)
	d->ring[n].head += 2; //= state: writes `d->ring[n].head`
	inner->x = 1; //= state: writes `inner->x` (`struct inner`)
	WRITE_ONCE(d->flag, 1); //= state: writes `d->flag` (`struct d`)
	list_add_tail(&d->list, &pool.list); //= state: writes `pool.list` (`struct pool`)
	copy->x = 1;
	local.x = 1;
	by_value.x = 1;
	n = 3;
	return d->count == 1;
}
""", "state")  # fmt: skip


def test_members_name_their_struct_where_its_type_is_known() -> None:
    found = explained("""
struct d { int count; struct { int y; } in; };

int f(struct d *d)
{
	d->count = 1;
	d->in.y = 2;
	return 0;
}
""")
    texts = [fact.text for fact in found.facts if fact.kind == "state"]
    assert texts == ["writes `d->count` (`struct d`)", "writes `d->in.y`"]
    assert "Writes `d->count` of `struct d`" in [one.text for one in found.calling]


USERS = """//- fs/file.c
static int file_open(struct inode *inode, struct file *file)
{
	return helper(inode);
}

static int helper(struct inode *inode)
{
	return 0;
}

static const struct file_operations fops = {
	.open = file_open,
};

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return 0;
}
static DEVICE_ATTR_RO(size);
static DEVICE_ATTR(limit, 0600, size_show, NULL);
/* static DEVICE_ATTR_RO(no); */

int do_thing(int fd)
{
	return 0;
}

static int through(int fd)
{
	return do_thing(fd);
}

SYSCALL_DEFINE1(thing, int, fd)
{
	return through(fd);
}
//- fs/other.c
static int helper(struct inode *inode)
{
	return 1;
}
int other(struct inode *inode)
{
	return helper(inode);
}
//- fs/Makefile
obj-$(CONFIG_FILE) += file.o
"""


def test_users_are_tables_callers_sysfs_files_and_system_calls() -> None:
    def texts(name: str) -> list[str]:
        found = explained(USERS, name, "fs/file.c")
        return [fact.text for fact in found.facts if fact.kind in ("caller", "entry")]

    assert texts("file_open") == ["is `.open` of `struct file_operations` in `fops`"]
    assert texts("helper") == ["called by `file_open()`"]  # not by the other file's
    assert texts("size_show") == [
        "serves a read of the sysfs file `size` (`DEVICE_ATTR_RO`)",
        "serves a read of the sysfs file `limit` (`DEVICE_ATTR`)",
    ]
    assert texts("do_thing") == ["is reached from the system call `thing` through `through()`", "called by `through()`"]
    assert texts("sys_thing") == ["is the system call `thing`"]


def test_a_function_that_is_passed_on_says_to_whom() -> None:
    found = """//- net/each.c
static void visit(struct dev *dev)
{
	visit_all(dev, visit);
}
static int start(void) { return 0; }
module_init(start);
EXPORT_SYMBOL(visit);
/* register_it(visit); */
void all(struct host *host)
{
	for_each_dev(host, FLAG(1, 2), &visit, sizeof(visit));
	other(visit(host), revisit);
}
static void done(struct bio *bio) { }
void submit(struct bio *bio, struct host *host)
{
	host->bios[0].end_io = done;
	if (bio->end_io == done)
		return;
}
int attach(void)
{
	return 0;
}
//- net/user.c
int run(void)
{
	return attach_by(attach, 1);
}
"""

    def entries(name: str) -> list[str]:
        return [fact.text for fact in explained(found, name, "net/each.c").facts if fact.kind == "entry"]

    assert entries("visit") == ["is passed to `for_each_dev()` by `all()`"]
    assert entries("done") == ["is assigned to `host->bios[0].end_io` by `submit()`"]
    assert entries("start") == ["is passed to `module_init()`"]
    assert entries("attach") == ["is passed to `attach_by()` by `run()`"]
    assert explained(found, "visit", "net/each.c").summary.text.startswith(
        "A function that is passed to `for_each_dev()` by `all()`"
    )


def test_the_conditions_of_the_build() -> None:
    found = explained(USERS, "file_open", "fs/file.c")
    assert "built with `CONFIG_FILE` (Makefile)" in [fact.text for fact in found.facts if fact.kind == "config"]
    inside = explained("#ifdef CONFIG_SMP\nint f(void)\n{\n\treturn 0;\n}\n#endif\n")
    assert [fact.text for fact in inside.facts if fact.kind == "config"] == ["compiled under `#if CONFIG_SMP`"]


def test_documentation_counts_if_it_writes_the_name_out() -> None:
    found = explained("""//- lib/frob.c
int frob_widget(int x)
{
	return x;
}
//- Documentation/core-api/frob.rst
Frobbing widgets
================

Call frob_widget() for every frob widget.

Frob widgets again
==================

The frob widget is frob_widget_all().
""", "frob_widget")
    assert [(fact.text, fact.path, fact.line) for fact in found.facts if fact.kind == "documentation"] == [
        ("named in `Frobbing widgets`", "Documentation/core-api/frob.rst", 3)
    ]


def test_references_of_lookups_and_of_counters() -> None:
    check("""
int f(struct d *d, struct task_struct *task)
{
	const struct cred *cred = get_task_cred(task); //= reference: takes a reference on `cred` (`get_task_cred()`)
	struct file *file = fget(d->fd); //= reference: tries to take a reference on `file` (`fget()`)

	if (atomic_inc_not_zero(&d->refs)) //= reference: tries to take a reference on `&d->refs` (`atomic_inc_not_zero()`)
		atomic_inc(&d->users);
	atomic_dec(&d->io_refcount); //= reference: drops a reference on `&d->io_refcount` (`atomic_dec()`)
	fget(d->fd);
	return 0;
}
""", "reference")  # fmt: skip


def test_caches_sockets_and_managed_mappings_are_allocations() -> None:
    check("""
int f(struct d *d)
{
	d->cache = kmem_cache_create("d", 8, 0, 0, NULL); //= allocation: allocates `d->cache` (`kmem_cache_create()`)
	d->sk = sk_alloc(d->net, 1, GFP_KERNEL, d->p, 0); //= allocation: allocates `d->sk` (`sk_alloc()`, `GFP_KERNEL`)
	d->base = devm_ioremap_resource(d->dev, d->res);
//= allocation: allocates `d->base` (`devm_ioremap_resource()`, freed with the device)
	sk_free(d->sk); //= allocation: frees `d->sk` (`sk_free()`)
	return 0;
}
""", "allocation")  # fmt: skip


def test_a_driver_s_own_functions_for_references_and_memory_are_looked_into() -> None:
    """Said only if the callee does it on every path with what it is given, NULL aside."""
    check("""
struct box *box_get(struct box *box)
{
	if (box)
		kref_get(&box->kref);
	return box;
}
static bool box_tryget(struct box *box)
{
	return !box->dead && refcount_inc_not_zero(&box->users);
}
void box_put(int how, struct box *box)
{
	if (!box)
		return;
	if (refcount_dec_and_test(&box->users))
		box_free(box);
}
static void box_put_if(struct box *box)
{
	if (box->mine)
		kref_put(&box->kref, box_free);
}
static void box_put_unless(struct box *box)
{
	if (!box->mine)
		return;
	kref_put(&box->kref, box_free);
}
static void box_put_owner(struct box *box)
{
	put_device(box->owner);
}
static void box_get_and_put(struct box *box)
{
	kref_get(&box->kref);
	kref_put(&box->kref, box_free);
}
static struct box *box_alloc(void)
{
	struct box *box = kzalloc(sizeof(*box), GFP_KERNEL);

	if (!box)
		return ERR_PTR(-ENOMEM);
	if (box_init(box)) {
		kfree(box);
		return NULL;
	}
	return box;
}
static struct box *box_alloc_or_find(int id)
{
	struct box *box = find(id);

	return box ? box : kzalloc(sizeof(*box), GFP_KERNEL);
}
static void box_free(struct box *box)
{
	if (IS_ERR_OR_NULL(box))
		return;
	kfree(box->lid);
	kfree(box);
}
static void box_free_last(struct box *box)
{
	if (box_tryget(box))
		return;
	kfree(box);
}
int f(struct dev *d)
{
	struct box *mine = box_get(d->box); //= reference: takes a reference on `d->box` (`box_get()`)
	box_tryget(&d->inner); //= reference: tries to take a reference on `&d->inner` (`box_tryget()`)
	box_put(1, mine); //= reference: drops a reference on `mine` (`box_put()`)
	box_put_if(mine);
	box_put_unless(mine);
	box_put_owner(mine);
	box_get_and_put(mine);
	d->box = box_alloc(); //= allocation: allocates `d->box` (`box_alloc()`)
	d->other = box_alloc_or_find(3);
	box_free(d->box); //= allocation: frees `d->box` (`box_free()`)
	box_free_last(d->box);
	return 0;
}
""", "reference", "allocation")  # fmt: skip
