"""The kernel's lock primitives: which function takes or releases which kind of lock.

Only functions and macros whose effect is certain from their name are listed: those of include/linux (spinlock.h,
mutex.h, rwsem.h, rcupdate.h, …) and wrappers that subsystems use everywhere (``inode_lock``, ``lock_sock``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Action = Literal["take", "try", "release"]


@dataclass(frozen=True, slots=True)
class LockCall:
    """What a call does to a lock.

    ``try`` takes the lock or fails: trylocks and the sleeping locks that a signal interrupts.
    """

    action: Action
    kind: str  # "mutex", "spinlock"; also the family in which takes and releases are matched
    argument: int | None  # 0-based index of the argument that names the lock; None: the function names it
    mode: str = ""  # "for reading", "interrupts off"
    sleeps: bool = False
    name: str = ""  # of a lock that no argument names: "rtnl", "RCU"


def _variants(
    table: dict[str, LockCall], base: LockCall, take: str, release: str, suffixes: dict[str, tuple[str, str]]
) -> None:
    """Add ``take + suffix`` and its release for each suffix -> (suffix of the release, mode)."""
    for suffix, (released, mode) in suffixes.items():
        joined = ", ".join(part for part in (base.mode, mode) if part)
        table[take + suffix] = replace(base, action="take", mode=joined)
        table[release + released] = replace(base, action="release", mode=base.mode, sleeps=False)


_IRQS = {
    "": ("", ""),
    "_bh": ("_bh", "softirqs off"),
    "_irq": ("_irq", "interrupts off"),
    "_irqsave": ("_irqrestore", "interrupts off"),
}


def _table() -> dict[str, LockCall]:
    table: dict[str, LockCall] = {}
    for prefix, kind in (("", "spinlock"), ("raw_", "raw spinlock")):
        lock = LockCall("take", kind, 0)
        _variants(table, lock, f"{prefix}spin_lock", f"{prefix}spin_unlock", _IRQS)
        for suffix, mode in (("_nested", ""), ("_nest_lock", ""), ("_irqsave_nested", "interrupts off")):
            table[f"{prefix}spin_lock{suffix}"] = replace(lock, mode=mode)
        for suffix, (_, mode) in _IRQS.items():
            table[f"{prefix}spin_trylock{suffix}"] = replace(lock, action="try", mode=mode)
    table["arch_spin_lock"] = LockCall("take", "arch spinlock", 0)
    table["arch_spin_unlock"] = LockCall("release", "arch spinlock", 0)
    for side, mode in (("read", "for reading"), ("write", "for writing")):
        lock = LockCall("take", "rwlock", 0, mode)
        _variants(table, lock, f"{side}_lock", f"{side}_unlock", _IRQS)
        table[f"{side}_trylock"] = replace(lock, action="try")
        semaphore = LockCall("take", "rw_semaphore", 0, mode, sleeps=True)
        _variants(table, semaphore, f"down_{side}", f"up_{side}", {"": ("", ""), "_nested": ("", "")})
        table[f"down_{side}_trylock"] = replace(semaphore, action="try", sleeps=False)
        table[f"down_{side}_killable"] = replace(semaphore, action="try")
        percpu = replace(semaphore, kind="percpu rw_semaphore")
        _variants(table, percpu, f"percpu_down_{side}", f"percpu_up_{side}", {"": ("", "")})
        mmap = LockCall("take", "mmap lock", 0, mode, sleeps=True)
        _variants(table, mmap, f"mmap_{side}_lock", f"mmap_{side}_unlock", {"": ("", "")})
        table[f"mmap_{side}_lock_killable"] = replace(mmap, action="try")
        table[f"mmap_{side}_trylock"] = replace(mmap, action="try", sleeps=False)
    table["down_read_interruptible"] = LockCall("try", "rw_semaphore", 0, "for reading", sleeps=True)
    _variants(table, LockCall("take", "seqlock", 0, "for writing"), "write_seqlock", "write_sequnlock", _IRQS)
    _variants(table, LockCall("take", "seqlock", 0, "for reading"), "read_seqlock_excl", "read_sequnlock_excl", _IRQS)
    for prefix, kind in (("mutex", "mutex"), ("rt_mutex", "rt_mutex")):
        lock = LockCall("take", kind, 0, sleeps=True)
        _variants(table, lock, f"{prefix}_lock", f"{prefix}_unlock", {"": ("", ""), "_nested": ("", "")})
        for suffix in ("_interruptible", "_killable", "_interruptible_nested", "_killable_nested"):
            table[f"{prefix}_lock{suffix}"] = replace(lock, action="try")
        table[f"{prefix}_trylock"] = replace(lock, action="try", sleeps=False)
    table["mutex_lock_io"] = table["mutex_lock"]
    table["atomic_dec_and_mutex_lock"] = LockCall("try", "mutex", 1, sleeps=True)
    table["atomic_dec_and_lock"] = table["refcount_dec_and_lock"] = LockCall("try", "spinlock", 1)
    table["refcount_dec_and_mutex_lock"] = LockCall("try", "mutex", 1, sleeps=True)
    table["ww_mutex_lock"] = table["ww_mutex_lock_interruptible"] = LockCall("try", "ww_mutex", 0, sleeps=True)
    table["ww_mutex_trylock"] = LockCall("try", "ww_mutex", 0)
    table["ww_mutex_unlock"] = LockCall("release", "ww_mutex", 0)
    table["down"] = LockCall("take", "semaphore", 0, sleeps=True)
    table["down_interruptible"] = table["down_killable"] = LockCall("try", "semaphore", 0, sleeps=True)
    table["down_timeout"] = table["down_interruptible"]
    table["down_trylock"] = LockCall("try", "semaphore", 0)
    table["up"] = LockCall("release", "semaphore", 0)
    table["bit_spin_lock"] = LockCall("take", "bit spinlock", 1)
    table["bit_spin_trylock"] = LockCall("try", "bit spinlock", 1)
    table["bit_spin_unlock"] = table["__bit_spin_unlock"] = LockCall("release", "bit spinlock", 1)
    for flavour in ("", "_bh", "_sched"):
        table[f"rcu_read_lock{flavour}"] = LockCall("take", "RCU read side", None, name=f"rcu{flavour}")
        table[f"rcu_read_unlock{flavour}"] = LockCall("release", "RCU read side", None, name=f"rcu{flavour}")
    table["srcu_read_lock"] = LockCall("take", "SRCU read side", 0)
    table["srcu_read_unlock"] = LockCall("release", "SRCU read side", 0)
    for take, release, kind, sleeps in (
        ("inode_lock", "inode_unlock", "inode lock", True), ("device_lock", "device_unlock", "device lock", True),
        ("folio_lock", "folio_unlock", "folio lock", True), ("lock_page", "unlock_page", "page lock", True),
        ("lock_sock", "release_sock", "socket lock", True), ("lock_buffer", "unlock_buffer", "buffer lock", True),
        ("bh_lock_sock", "bh_unlock_sock", "socket spinlock", False), ("task_lock", "task_unlock", "task lock", False),
        ("local_lock", "local_unlock", "local lock", False),
    ):  # fmt: skip
        table[take] = LockCall("take", kind, 0, sleeps=sleeps)
        table[release] = LockCall("release", kind, 0)
    for suffix in ("", "_irq", "_irqsave"):
        mode = "interrupts off" if suffix else ""
        table[f"rq_lock{suffix}"] = LockCall("take", "run queue lock", 0, mode)
        table[f"rq_unlock{suffix.replace('irqsave', 'irqrestore')}"] = LockCall("release", "run queue lock", 0)
    table["lock_sock_nested"] = table["lock_sock"]
    table["inode_lock_nested"] = table["inode_lock"]
    table["inode_lock_shared"] = LockCall("take", "inode lock", 0, "for reading", sleeps=True)
    table["inode_unlock_shared"] = LockCall("release", "inode lock", 0, "for reading")
    for trylock, kind in (
        ("inode_trylock", "inode lock"), ("device_trylock", "device lock"), ("trylock_page", "page lock"),
        ("folio_trylock", "folio lock"), ("trylock_buffer", "buffer lock"),
    ):  # fmt: skip
        table[trylock] = LockCall("try", kind, 0)
    table["folio_lock_killable"] = LockCall("try", "folio lock", 0, sleeps=True)
    table["device_lock_interruptible"] = LockCall("try", "device lock", 0, sleeps=True)
    table["lock_page_killable"] = LockCall("try", "page lock", 0, sleeps=True)
    for take, release, name in (
        ("rtnl_lock", "rtnl_unlock", "rtnl"), ("cpus_read_lock", "cpus_read_unlock", "CPU hotplug"),
        ("console_lock", "console_unlock", "console"), ("cpus_write_lock", "cpus_write_unlock", "CPU hotplug"),
    ):  # fmt: skip
        table[take] = LockCall("take", f"{name} lock", None, sleeps=True, name=name)
        table[release] = LockCall("release", f"{name} lock", None, name=name)
    table["rtnl_trylock"] = LockCall("try", "rtnl lock", None, name="rtnl")
    table["rtnl_lock_killable"] = LockCall("try", "rtnl lock", None, sleeps=True, name="rtnl")
    return table


LOCK_CALLS: dict[str, LockCall] = _table()

#: Of the calls that may fail, those that return 0 once they have the lock; the others return 0 if they failed.
ZERO_ON_SUCCESS = frozenset(
    name
    for name, call in LOCK_CALLS.items()
    if call.action == "try" and name.endswith(
        ("_interruptible", "_killable", "_nested", "down_timeout", "ww_mutex_lock", "down_trylock")
    )
)

#: Classes of ``guard(class)(lock)`` and ``scoped_guard(class, lock)`` that are locks.
GUARDS: dict[str, LockCall] = {
    "mutex": LOCK_CALLS["mutex_lock"],
    "spinlock": LOCK_CALLS["spin_lock"],
    "spinlock_bh": LOCK_CALLS["spin_lock_bh"],
    "spinlock_irq": LOCK_CALLS["spin_lock_irq"],
    "spinlock_irqsave": LOCK_CALLS["spin_lock_irqsave"],
    "raw_spinlock": LOCK_CALLS["raw_spin_lock"],
    "raw_spinlock_nested": LOCK_CALLS["raw_spin_lock"],
    "raw_spinlock_irq": LOCK_CALLS["raw_spin_lock_irq"],
    "raw_spinlock_irqsave": LOCK_CALLS["raw_spin_lock_irqsave"],
    "read_lock": LOCK_CALLS["read_lock"],
    "read_lock_irq": LOCK_CALLS["read_lock_irq"],
    "read_lock_irqsave": LOCK_CALLS["read_lock_irqsave"],
    "write_lock": LOCK_CALLS["write_lock"],
    "write_lock_irq": LOCK_CALLS["write_lock_irq"],
    "write_lock_irqsave": LOCK_CALLS["write_lock_irqsave"],
    "rwsem_read": LOCK_CALLS["down_read"],
    "rwsem_write": LOCK_CALLS["down_write"],
    "percpu_read": LOCK_CALLS["percpu_down_read"],
    "percpu_write": LOCK_CALLS["percpu_down_write"],
    "rcu": LOCK_CALLS["rcu_read_lock"],
    "srcu": LOCK_CALLS["srcu_read_lock"],
    "device": LOCK_CALLS["device_lock"],
    "cpus_read_lock": LOCK_CALLS["cpus_read_lock"],
}

#: Calls that switch off and on again what may interrupt the code.
INTERRUPTION_CALLS: dict[str, str] = {
    "local_irq_disable": "interrupts off",
    "local_irq_save": "interrupts off",
    "raw_local_irq_disable": "interrupts off",
    "raw_local_irq_save": "interrupts off",
    "local_bh_disable": "softirqs off",
    "preempt_disable": "preemption off",
    "preempt_disable_notrace": "preemption off",
    "get_cpu": "preemption off",
}
