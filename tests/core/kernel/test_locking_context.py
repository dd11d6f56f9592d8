"""Locking and context rules, read from the text of a function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.kernel.locking_context import LockingRules, locking_rules


def body(code: str) -> LockingRules:
    return locking_rules(f"static int spin(struct widget *w)\n{{\n\t{code}\n}}\n".encode())


def test_annotations_of_declarations_and_definitions() -> None:
    for end in (";", " { return 0; }"):
        rules = locking_rules(
            b"static void __init spin(struct widget *w)\n\t__must_hold(&w->lock) __acquires(rcu)\n"
            b"\t__releases(&w->map[f(1)]) __cond_acquires(true, &w->x) __must_hold_shared(w->sem)" + end.encode()
        )
        assert rules.must_hold == ["&w->lock", "w->sem (shared)"]
        assert rules.acquires == ["rcu", "&w->x (on success)"]
        assert rules.releases == ["&w->map[f(1)]"]
        assert rules.sections == ["__init"]
    assert locking_rules(b"int count __guarded_by(&lock);").guarded_by == ["&lock"]


def test_lockdep_assertions() -> None:
    rules = body(
        "lockdep_assert_held(&w->a); lockdep_assert_held_write(w->b); lockdep_assert_held_read(w->b);\n"
        "lockdep_assert_held_once(&c); lockdep_assert_not_held(&d); lockdep_assert_none_held_once();\n"
        "assert_spin_locked(&e); lockdep_assert_held(&w->a); WARN_ON_ONCE(!lockdep_is_held(&f));"
    )
    assert rules.asserts == [
        ("&w->a", "held"),
        ("w->b", "held for writing"),
        ("w->b", "held for reading"),
        ("&c", "held"),
        ("&d", "not held"),
        ("&e", "held"),
        ("&f", "held"),
    ]
    assert rules.context == ["no lock held"]


@pytest.mark.parametrize(
    ("code", "required"),
    [
        ("lockdep_assert_irqs_disabled();", "interrupts disabled"),
        ("WARN_ON_ONCE(! irqs_disabled());", "interrupts disabled"),
        ("BUG_ON(in_interrupt());", "not in interrupt"),
        ("lockdep_assert_in_rcu_read_lock();", "in an RCU read-side section"),
        ("ASSERT_RTNL();", "rtnl_lock held"),
    ],
)
def test_required_context(code: str, required: str) -> None:
    assert body(code).context == [required]


@pytest.mark.parametrize(
    ("code", "may_sleep"),
    [
        ("might_sleep();", True),
        ("might_sleep_if(x);", True),
        ("cond_resched ();", True),
        ("mutex_lock(&w->m);", True),
        ("p = kmalloc(8, GFP_KERNEL | __GFP_ZERO);", True),
        ("p = kmalloc(8, GFP_ATOMIC);", False),
        ("spin_lock(&w->l);", False),
        ("/* might_sleep(); */ // mutex_lock(x)", False),
        ('pr_info("GFP_KERNEL might_sleep()");', False),
        ("w->might_sleep = 1; my_might_sleep();", False),
    ],
)
def test_calls_and_allocations_that_may_sleep(code: str, may_sleep: bool) -> None:
    assert body(code).may_sleep is may_sleep


def test_caller_must_hold_rcu_only_if_the_body_does_not_take_it() -> None:
    assert body("p = rcu_dereference(w->p);").rcu_dereference
    assert not body("rcu_read_lock(); p = rcu_dereference(w->p); rcu_read_unlock();").rcu_dereference
    assert not body("guard(rcu)(); p = rcu_dereference(w->p);").rcu_dereference
    assert not body("scoped_guard(rcu) { p = rcu_dereference(w->p); }").rcu_dereference


@given(st.binary() | st.lists(st.sampled_from(["__must_hold(", "lockdep_assert_held(", "{", ")", "(", '"'])).map(
    lambda parts: "".join(parts).encode()
))  # fmt: skip
def test_any_bytes_raise_no_error(data: bytes) -> None:
    locking_rules(data)
