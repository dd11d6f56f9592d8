"""Locks: taken, released, required, left held; and what only looks like one."""

from __future__ import annotations

import pytest

from kexpert.core.kernel.lock_calls import GUARDS, LOCK_CALLS
from tests.features.explain.facts_of import check, explained


def test_takes_and_releases_are_named_with_kind_and_condition() -> None:
    found = check("""
int f(struct dev *dev, int x)
{
	unsigned long flags;

	mutex_lock(&dev->mutex); //= lock: takes `&dev->mutex` (mutex)
	spin_lock_irqsave(&dev->lock, flags); //= lock: takes `&dev->lock` (spinlock, interrupts off)
	dev->count++;
	spin_unlock_irqrestore(&dev->lock, flags); //= lock: releases `&dev->lock`
	if (x)
		rcu_read_lock(); //= lock: takes the RCU read side if `x`
	if (x)
		rcu_read_unlock(); //= lock: releases the RCU read side if `x`
	mutex_unlock(&dev->mutex); //= lock: releases `&dev->mutex`
	return 0;
}
""", "lock")  # fmt: skip
    texts = [statement.text for statement in found.calling]
    assert "Takes `&dev->mutex` (mutex), released before it returns" in texts
    assert "Takes the RCU read side; releases it too" in texts  # the paths of the two conditions are not related


def test_guards_are_released_at_the_end_of_their_scope() -> None:
    check("""
int f(struct dev *dev)
{
	guard(mutex)(&dev->mutex); //= lock: takes `&dev->mutex` (mutex) until the end of the scope
	scoped_guard(spinlock_irqsave, &dev->lock) {
//= lock: takes `&dev->lock` (spinlock, interrupts off) until the end of the scope
		dev->count++;
	}
	guard(pm_runtime)(dev);
	return 0;
}
""", "lock")  # fmt: skip


def test_trylocks_and_locks_that_a_signal_interrupts_are_tries() -> None:
    found = check("""
int f(struct dev *dev)
{
	if (!spin_trylock(&dev->lock)) //= lock: tries to take `&dev->lock` (spinlock)
		return -EBUSY;
	spin_unlock(&dev->lock); //= lock: releases `&dev->lock`
	if (mutex_lock_interruptible(&dev->mutex)) //= lock: tries to take `&dev->mutex` (mutex)
		return -EINTR;
	mutex_unlock(&dev->mutex); //= lock: releases `&dev->mutex`
	return 0;
}
""", "lock")  # fmt: skip
    texts = [one.text for one in found.calling]
    assert "Tries to take `&dev->lock` (spinlock), released before it returns" in texts
    assert "Tries to take `&dev->mutex` (mutex), released before it returns" in texts


def test_required_locks_come_from_annotations_and_unconditional_assertions() -> None:
    check("""
static void f(struct dev *dev, int x) __must_hold(&dev->a) //= lock: The caller holds `&dev->a`
{
	lockdep_assert_held(&dev->b); //= lock: The caller holds `&dev->b`
	lockdep_assert_held_write(&dev->c); //= lock: The caller holds `&dev->c` for writing
	if (x)
		lockdep_assert_held(&dev->d);
	lockdep_assert_not_held(&dev->e); //= lock: The caller must not hold `&dev->e`
	WARN_ON(in_interrupt()); //= lock: Requires: not in interrupt
}
""", "lock")  # fmt: skip


def test_a_lock_is_left_held_if_all_paths_and_the_name_say_so() -> None:
    locks = "{\n\tspin_lock(&d->lock);\n\td->x = 1;\n}\n"
    held = "Returns with `&d->lock` (spinlock) held"

    def texts(code: str, name: str) -> list[str]:
        return [fact.text for fact in explained(code, name).facts if fact.kind == "lock"]

    assert held in texts(f"void dev_lock(struct d *d)\n{locks}", "dev_lock")
    assert held not in texts(f"void dev_update(struct d *d)\n{locks}", "dev_update")
    conditional = "void dev_lock(struct d *d, int x)\n{\n\tif (x)\n\t\tspin_lock(&d->lock);\n}\n"
    assert held not in texts(conditional, "dev_lock")
    released = "void dev_lock(struct d *d, spinlock_t *l)\n{\n\tspin_lock(&d->lock);\n\tspin_unlock(l);\n}\n"
    assert held not in texts(released, "dev_lock")
    early = "int dev_lock(struct d *d, int x)\n{\n\tif (x)\n\t\treturn 1;\n\tspin_lock(&d->lock);\n\treturn 0;\n}\n"
    assert held not in texts(early, "dev_lock")
    drops = "void dev_unlock(struct d *d)\n{\n\tspin_unlock(&d->lock);\n}\n"
    assert "Releases `&d->lock` (spinlock), which the caller holds" in texts(drops, "dev_unlock")


@pytest.mark.parametrize(
    "body",
    [
        "/* mutex_lock(&d->lock); */",
        'log("mutex_lock(&d->lock)");',
        "d->ops->mutex_lock(&d->lock);",
        "mutex_lock;",
        "fn = mutex_lock;",
        "register_lock(mutex_lock);",
        "my_mutex_lock(&d->lock);",
        "mutex_lock();",
        "rcu_read_lock(x);",
        "guard(thing)(d);",
        "void (*down)(int) = g; down(3);",
        "spin_lock_init(&d->lock);",
        "spin_is_locked(&d->lock);",
    ],
)
def test_what_only_looks_like_a_lock_is_none(body: str) -> None:
    found = explained(f"void f(struct d *d)\n{{\n\t{body}\n}}\n")
    assert [fact for fact in found.facts if fact.kind == "lock"] == []


def test_a_lock_that_is_held_on_one_path_is_not_said_to_be_released() -> None:
    found = explained("""
int f(struct d *d, int x)
{
	mutex_lock(&d->m);
	if (x)
		return -EIO;
	mutex_unlock(&d->m);
	return 0;
}
""")
    assert "Takes `&d->m` (mutex); releases it too" in [one.text for one in found.calling]


def test_a_lock_that_is_dropped_for_a_while_is_said_to_be_taken_again() -> None:
    found = explained("void f(struct d *d)\n{\n\tspin_unlock(&d->lock);\n\tg(d);\n\tspin_lock(&d->lock);\n}\n")
    assert [one.text for one in found.calling] == ["Releases `&d->lock` (spinlock) and takes it again"]


def test_code_that_cannot_be_parsed_gives_no_claim_about_all_paths() -> None:
    found = explained("""
int f(struct d *d, int x)
{
	mutex_lock(&d->m);
	if (x) { ] ) @ } }
	mutex_unlock(&d->m);
	return 0;
}
""")
    assert not any("released before it returns" in one.text for one in found.calling)
    assert found.gaps


@pytest.mark.parametrize(("macro", "label"), [("RETURN_IF(x);", ""), ("CHECK(x);", "error:\n\treturn -EIO;\n")])
def test_a_jump_that_a_macro_hides_allows_no_claim_about_all_paths(macro: str, label: str) -> None:
    unlocked = "\tmutex_unlock(&d->m);\n\treturn 0;\n"
    found = explained(f"int f(struct d *d, int x)\n{{\n\tmutex_lock(&d->m);\n\t{macro}\n{unlocked}{label}}}\n")
    assert "Takes `&d->m` (mutex); releases it too" in [one.text for one in found.calling]
    assert found.gaps == ("Not all paths through this code could be followed: facts and steps may be missing",)


def test_every_lock_that_can_be_taken_can_be_released() -> None:
    takes = {call.kind for call in LOCK_CALLS.values() if call.action != "release"}
    releases = {call.kind for call in LOCK_CALLS.values() if call.action == "release"}
    assert takes == releases
    assert {guard.action for guard in GUARDS.values()} == {"take"}


def test_a_lock_that_is_released_first_is_one_that_the_caller_holds() -> None:
    found = check("""
static int f(struct dev *dev) __releases(&dev->lock) __acquires(&dev->lock)
//= lock: The caller holds `&dev->lock`; releases it and takes it again
{
again:
	if (dev->busy) {
		spin_unlock(&dev->lock); //= lock: releases `&dev->lock` if `dev->busy`
		wait(dev);
		spin_lock(&dev->lock); //= lock: takes `&dev->lock` (spinlock) if `dev->busy`
		goto again;
	}
	return 0;
}
""", "lock")  # fmt: skip
    assert [one.text for one in found.calling if "lock`" in one.text] == [
        "The caller holds `&dev->lock`; releases it and takes it again"
    ]
    found = explained("""
static void f(struct dev *dev)
{
	while (dev->busy) {
		spin_unlock(&dev->lock);
		wait(dev);
		spin_lock(&dev->lock);
	}
}
""")
    assert [one.text for one in found.calling] == ["Releases `&dev->lock` (spinlock) and takes it again"]


def test_an_annotation_of_a_lock_that_some_paths_release_is_no_claim_about_all() -> None:
    code = """
bool f(struct dev *dev) __acquires(&dev->lock)
{
	spin_lock(&dev->lock);
	if (!dev->busy)
		return false;
	wait(dev);
	spin_unlock(&dev->lock);
	return VALUE;
}
"""
    held = [one.text for one in explained(code.replace("VALUE", "true")).calling if one.text.startswith("Returns")]
    assert held == ["Returns with `&dev->lock` held if it returns `false`"]
    assert not [one for one in explained(code.replace("VALUE", "false")).calling if one.text.startswith("Returns")]


@pytest.mark.parametrize(("name", "is_said"), [("try_lock_dev", True), ("start_dev", False)])
def test_a_lock_is_held_for_some_returned_values_if_the_name_says_so(name: str, is_said: bool) -> None:
    found = explained(f"""
int {name}(struct dev *dev)
{{
	if (mutex_trylock(&dev->mutex)) {{
		if (dev->alive)
			return 1;
		mutex_unlock(&dev->mutex);
	}}
	return 0;
}}
""", name)  # fmt: skip
    text = "Returns with `&dev->mutex` (mutex) held if it returns `1`"
    assert (text in [one.text for one in found.calling]) is is_said


def test_the_test_of_its_result_says_if_a_lock_was_taken() -> None:
    texts = [one.text for one in explained("""
int f(struct dev *dev)
{
	int err = mutex_lock_interruptible(&dev->mutex);

	if (err)
		return err;
	mutex_unlock(&dev->mutex);
	if (!down_trylock(&dev->sem))
		up(&dev->sem);
	return raw_spin_trylock(&dev->raw);
}
""").calling]  # fmt: skip
    assert "Tries to take `&dev->mutex` (mutex), released before it returns" in texts
    assert "Tries to take `&dev->sem` (semaphore), released before it returns" in texts
    assert "Tries to take `&dev->raw` (raw spinlock)" in texts


def test_a_dropped_lock_may_be_taken_again_on_some_paths_or_in_another_mode() -> None:
    def calling(body: str) -> list[str]:
        return [one.text for one in explained(f"int f(struct d *d)\n{{\n{body}}}\n").calling if "again" in one.text]

    assert calling("\tspin_unlock(&d->a);\n\tif (d->x)\n\t\treturn 1;\n\tspin_lock(&d->a);\n\treturn 0;\n") == [
        "Releases `&d->a` (spinlock) and takes it again on some paths"
    ]
    assert calling("\tup_read(&d->a);\n\tdown_write(&d->a);\n\treturn 0;\n") == [
        "Releases `&d->a` (rw_semaphore, for reading) and takes it again, for writing"
    ]


def test_a_lock_of_the_caller_that_is_taken_again_is_no_lock_that_is_left_held() -> None:
    found = explained("""
int drop_locked(struct d *d)
{
	if (!d->busy)
		return 0;
	spin_unlock(&d->lock);
	wait(d);
	spin_lock(&d->lock);
	return -EAGAIN;
}
""", "drop_locked")  # fmt: skip
    assert [one.text for one in found.calling] == ["Releases `&d->lock` (spinlock) and takes it again"]


WRAPPERS = """//- drivers/dm/dm.h
static inline void dm_lock_map(struct dm *dm)
{
	down_read(&dm->map.sem);
}
static inline void dm_unlock_map(struct dm *dm)
{
	up_read(&dm->map.sem);
}
#define dm_big_lock(h) mutex_lock(&(h)->big)
#define dm_big_unlock(h) mutex_unlock(&(h)->big)
//- drivers/dm/dm.c
#include "dm.h"
static void state_lock(struct dm *dm, int how)
{
	if (how)
		pr_debug("x");
	spin_lock_bh(&state->lock);
}
static void maybe_lock(struct dm *dm)
{
	if (dm->x)
		mutex_lock(&dm->m);
}
static void other_lock(struct dm *dm)
{
	struct map *map = dm->map;
	mutex_lock(&map->m);
}
static void work(struct dm *dm)
{
	mutex_lock(&dm->m);
	mutex_unlock(&dm->m);
}
static void lazy(struct dm *dm)
{
	if (dm->x)
		msleep(3);
}
int f(struct host *host, struct dm *dms)
{
	dm_lock_map(&host->dm);
	dm_unlock_map(&host->dm);
	dm_big_lock(host->up);
	dm_big_unlock(host->up);
	return 0;
}
int g(struct dm *dm)
{
	state_lock(dm, 1);
	maybe_lock(dm);
	other_lock(dm);
	return 0;
}
int h(struct dm *dm)
{
	lazy(dm);
	if (dm->y)
		work(dm);
	return 0;
}
"""


def test_a_driver_s_own_lock_functions_are_looked_into() -> None:
    found = explained(WRAPPERS, "f")
    assert [fact.text for fact in found.facts if fact.kind == "lock"] == [
        "takes `&host->dm.map.sem` (rw_semaphore, for reading, through `dm_lock_map()`)",
        "releases `&host->dm.map.sem`",
        "takes `&host->up->big` (mutex, through `dm_big_lock()`)",
        "releases `&host->up->big`",
    ]
    calling = [statement.text for statement in found.calling]
    assert "Takes `&host->up->big` (mutex, through `dm_big_lock()`), released before it returns" in calling
    assert "May sleep: `dm_lock_map()`, which takes a rw_semaphore, `dm_big_lock()`, which takes a mutex" in calling


def test_a_lock_that_a_callee_takes_is_said_only_if_it_is_certain() -> None:
    """Not one that is taken on some paths, nor one that the caller cannot name."""
    found = explained(WRAPPERS, "g")
    assert [fact.text for fact in found.facts if fact.kind == "lock"] == [
        "takes `&state->lock` (spinlock, softirqs off, through `state_lock()`)"
    ]


def test_a_function_sleeps_if_a_callee_of_its_file_always_does() -> None:
    calling = [statement.text for statement in explained(WRAPPERS, "h").calling]
    assert calling == ["May sleep: `work()` calls `mutex_lock()` if `dm->y`"]
