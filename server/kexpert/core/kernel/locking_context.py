"""Locking and context rules stated by a function's own text: annotations, assertions, calls that sleep.

Only the declaration and the direct calls of the body are read; callees need the index. The names are those of the
kernel: include/linux/compiler_types.h, lockdep.h, kernel.h, gfp.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kexpert.core.c.lex import blank_comments
from kexpert.core.text import decode

#: Functions that may sleep.
SLEEPING = frozenset((
    "might_sleep", "might_sleep_if", "might_fault", "might_alloc", "cond_resched", "cond_resched_lock", "schedule",
    "schedule_timeout", "schedule_timeout_interruptible", "schedule_timeout_uninterruptible",
    "schedule_timeout_killable", "io_schedule", "msleep", "msleep_interruptible", "ssleep", "fsleep", "usleep_range",
    "usleep_idle_range", "mutex_lock", "mutex_lock_nested", "mutex_lock_interruptible", "mutex_lock_killable",
    "mutex_lock_io", "rt_mutex_lock", "ww_mutex_lock", "down", "down_interruptible", "down_killable", "down_read",
    "down_read_killable", "down_read_interruptible", "down_write", "down_write_killable", "down_write_nested",
    "down_read_nested", "inode_lock", "inode_lock_shared", "device_lock", "rtnl_lock", "mmap_read_lock",
    "mmap_write_lock", "lock_page", "folio_lock", "lock_sock", "wait_event", "wait_event_interruptible",
    "wait_event_timeout", "wait_event_interruptible_timeout", "wait_event_killable", "wait_for_completion",
    "wait_for_completion_timeout", "wait_for_completion_interruptible", "wait_for_completion_killable",
    "wait_for_completion_interruptible_timeout", "wait_on_bit", "wait_on_page_bit", "wait_on_buffer",
    "synchronize_rcu", "synchronize_srcu", "synchronize_net", "synchronize_irq", "rcu_barrier", "flush_work",
    "flush_workqueue", "flush_delayed_work", "cancel_work_sync", "cancel_delayed_work_sync", "copy_from_user",
    "copy_to_user", "get_user", "put_user", "clear_user", "strncpy_from_user", "vmalloc", "vzalloc", "kthread_stop",
    "free_irq", "request_threaded_irq",
))  # fmt: skip
#: GFP flags with which an allocation may sleep.
SLEEPING_GFP = frozenset((
    "GFP_KERNEL", "GFP_KERNEL_ACCOUNT", "GFP_USER", "GFP_HIGHUSER", "GFP_HIGHUSER_MOVABLE", "GFP_NOIO", "GFP_NOFS",
    "GFP_TRANSHUGE",
))  # fmt: skip
#: GFP flags with which an allocation does not sleep.
ATOMIC_GFP = frozenset(("GFP_ATOMIC", "GFP_NOWAIT"))

_SECTIONS = (
    "__init", "__exit", "__meminit", "__memexit", "__cpuinit", "__net_init", "__net_exit", "__init_or_module",
    "__ref", "noinstr", "notrace", "__sched", "__cpuidle", "__kprobes", "nokprobe_inline", "__head",
)  # fmt: skip
#: Assertion about the lock that is its argument -> state of that lock.
_LOCKDEP = {
    "lockdep_assert_held": "held",
    "lockdep_assert": "asserted",
    "lockdep_assert_held_write": "held for writing",
    "lockdep_assert_held_read": "held for reading",
    "lockdep_assert_held_exclusive": "held for writing",
    "lockdep_assert_held_once": "held",
    "lockdep_assert_not_held": "not held",
    "assert_spin_locked": "held",
    "assert_raw_spin_locked": "held",
    "mmap_assert_locked": "held",
    "mmap_assert_write_locked": "held for writing",
    "rwsem_assert_held": "held",
    "rwsem_assert_held_write": "held for writing",
    "sock_owned_by_me": "held",
}
#: Assertion without such an argument -> required context.
_BARE_ASSERTIONS = {
    "lockdep_assert_none_held_once": "no lock held",
    "lockdep_assert_irqs_disabled": "interrupts disabled",
    "lockdep_assert_irqs_enabled": "interrupts enabled",
    "lockdep_assert_in_irq": "in hard interrupt",
    "lockdep_assert_no_hardirq": "not in hard interrupt",
    "lockdep_assert_in_softirq": "in softirq",
    "lockdep_assert_preemption_disabled": "preemption disabled",
    "lockdep_assert_preemption_enabled": "preemption enabled",
    "lockdep_assert_RT_in_threaded_ctx": "in threaded context on PREEMPT_RT",
    "lockdep_assert_in_rcu_read_lock": "in an RCU read-side section",
    "lockdep_assert_in_rcu_read_lock_bh": "in an RCU-bh read-side section",
    "lockdep_assert_in_rcu_read_lock_sched": "in an RCU-sched read-side section",
    "lockdep_assert_in_rcu_reader": "in an RCU read-side section",
    "lockdep_assert_cpus_held": "CPU hotplug lock held",
    "ASSERT_RTNL": "rtnl_lock held",
}
#: Condition of a WARN_ON or BUG_ON -> the context that is therefore required.
_WARNED = {
    "!irqs_disabled()": "interrupts disabled",
    "irqs_disabled()": "interrupts enabled",
    "in_interrupt()": "not in interrupt",
    "!in_interrupt()": "in interrupt",
    "in_irq()": "not in hard interrupt",
    "in_hardirq()": "not in hard interrupt",
    "in_nmi()": "not in NMI",
    "in_atomic()": "not in atomic context",
    "preemptible()": "preemption disabled",
    "!in_task()": "in task context",
    "in_task()": "not in task context",
    "!rcu_read_lock_held()": "in an RCU read-side section",
}
_HELD_CHECK = re.compile(r"!(?:lockdep_is_held|spin_is_locked|mutex_is_locked|rwsem_is_locked)\((.*)\)")
_ANNOTATION = re.compile(
    rb"\b__(must_hold|must_hold_shared|acquires|acquires_shared|releases|releases_shared|cond_acquires"
    rb"|cond_acquires_shared|must_not_hold|excludes|guarded_by|pt_guarded_by)\s*\("
)
_WORD = re.compile(rb"[A-Za-z_]\w*")
_MAX_ARGUMENT_BYTES = 400  # of the arguments of one call


@dataclass(slots=True)
class LockingRules:
    """The rules of one function. Lists are in order of appearance, without repetitions; expressions are as written."""

    must_hold: list[str] = field(default_factory=list)  # __must_hold(x); "x (shared)" for the shared form
    must_not_hold: list[str] = field(default_factory=list)
    acquires: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    guarded_by: list[str] = field(default_factory=list)
    asserts: list[tuple[str, str]] = field(default_factory=list)  # (lock, "held" | "held for reading" | "not held"...)
    context: list[str] = field(default_factory=list)  # "interrupts disabled", "not in interrupt", ...
    sleeps: list[str] = field(default_factory=list)  # functions called directly that may sleep
    gfp: list[str] = field(default_factory=list)  # GFP flags in the body
    sections: list[str] = field(default_factory=list)  # "__init", "noinstr", ...
    rcu_dereference: bool = False  # without an rcu_read_lock(), which the caller must therefore hold

    @property
    def may_sleep(self) -> bool:
        """True if the body calls a function that sleeps, or allocates with a flag that allows it."""
        return bool(self.sleeps) or any(flag in SLEEPING_GFP for flag in self.gfp)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def locking_rules(text: bytes) -> LockingRules:
    """Extract the rules from the text of a function: its declaration, with or without the body."""
    code = blank_comments(text)
    brace = code.find(b"{")
    head, body = (code, b"") if brace < 0 else (code[:brace], code[brace:])
    rules = LockingRules()
    _annotations(rules, head)
    words = {match.group() for match in _WORD.finditer(head)}
    rules.sections = [name for name in _SECTIONS if name.encode() in words]
    _body(rules, body)
    return rules


def _annotations(rules: LockingRules, head: bytes) -> None:
    for match in _ANNOTATION.finditer(head):
        name = match[1].decode()
        arguments = _argument(head, match.end() - 1)
        shared = name.endswith("_shared")
        name = name.removesuffix("_shared").removeprefix("cond_").removeprefix("pt_")
        if match[1].startswith(b"cond_"):
            arguments = f"{arguments.rpartition(',')[2].strip()} (on success)"
        target = {
            "must_hold": rules.must_hold,
            "acquires": rules.acquires,
            "releases": rules.releases,
            "guarded_by": rules.guarded_by,
        }.get(name, rules.must_not_hold)
        _append_new(target, f"{arguments} (shared)" if shared else arguments)


def _body(rules: LockingRules, body: bytes) -> None:
    locked = False
    dereferenced = False
    for match in _WORD.finditer(body):
        word = decode(match.group())
        if word.startswith("GFP_"):
            _append_new(rules.gfp, word)
            continue
        opening = match.end()
        while body[opening : opening + 1] == b" ":
            opening += 1
        if body[opening : opening + 1] != b"(":
            continue
        if word in SLEEPING:
            _append_new(rules.sleeps, word)
        elif word in _BARE_ASSERTIONS:
            _append_new(rules.context, _BARE_ASSERTIONS[word])
        elif word in _LOCKDEP:
            lock = _argument(body, opening)
            if lock and (lock, _LOCKDEP[word]) not in rules.asserts:
                rules.asserts.append((lock, _LOCKDEP[word]))
        elif word in ("WARN_ON", "WARN_ON_ONCE", "BUG_ON", "VM_BUG_ON", "lockdep_WARN_ON"):
            _warned(rules, _argument(body, opening))
        elif word in ("rcu_dereference", "rcu_dereference_raw_check", "list_for_each_entry_rcu"):
            dereferenced = True
        elif word == "rcu_read_lock" or (
            word in ("guard", "scoped_guard") and _argument(body, opening).partition(",")[0] == "rcu"
        ):
            locked = True
    rules.rcu_dereference = dereferenced and not locked


def _warned(rules: LockingRules, condition: str) -> None:
    condition = "".join(condition.split())
    if requirement := _WARNED.get(condition):
        _append_new(rules.context, requirement)
    elif (held := _HELD_CHECK.fullmatch(condition)) and (held[1], "held") not in rules.asserts:
        rules.asserts.append((held[1], "held"))


def _argument(code: bytes, opening: int) -> str:
    """The text between the bracket at ``opening`` and its partner, blanks squeezed; "" if that is too far away."""
    depth = 0
    for at in range(opening, min(len(code), opening + _MAX_ARGUMENT_BYTES)):
        depth += (code[at] == 0x28) - (code[at] == 0x29)
        if not depth:
            return " ".join(decode(code[opening + 1 : at]).split())
    return ""


def _append_new(items: list[str], item: str) -> None:
    if item and item not in items:
        items.append(item)
