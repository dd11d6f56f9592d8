"""What a comment claims about a function, as far as the function's text can contradict it."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from kexpert.prompt.chat import Task
from kexpert_trainer.data.rows import Pair, Row

#: include/uapi/asm-generic/errno*.h and include/linux/errno.h.
ERRNOS = frozenset(errno.errorcode.values()) | {
    "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK", "EPROBE_DEFER",
    "EOPENSTALE", "ENOPARAM", "EBADHANDLE", "ENOTSYNC", "EBADCOOKIE", "ENOTSUPP", "ETOOSMALL", "ESERVERFAULT",
    "EBADTYPE", "EJUKEBOX", "EIOCBQUEUED", "ERECALLCONFLICT", "ENOGRACE", "EWOULDBLOCK", "EFSCORRUPTED", "EFSBADCRC",
}  # fmt: skip
#: Two names of one number.
_SAME = {"EWOULDBLOCK": "EAGAIN", "EDEADLOCK": "EDEADLK", "EFSCORRUPTED": "EUCLEAN", "EFSBADCRC": "EBADMSG"}

_ERRNO = re.compile(r"(?<![\w-])-?(E[A-Z][A-Z0-9_]+)\b")
_AT = re.compile(r"(?<![\w@])@([A-Za-z_]\w*)")
_PARAM_LINE = re.compile(r"@([A-Za-z_]\w*|\w*\.\.\.)([\w.\[\]>-]*): (.+)")
_RETURN_LINE = re.compile(r"Return: (.+)")
#: A text that names what it describes before it says anything: ``foo_bar() - …``, ``foo_bar: …``.
_SUBJECT = re.compile(r"(?:the |this )?(?:function )?([a-z_][a-z0-9]*_[a-z0-9_]+)(?:\(\)(?=\W|$)|(?=\s*[-:]\s))", re.I)

_LOCK_WORD = r"(?:the |a |an )?[@&%]?((?:\w+(?:->|\.))*\w+)(?:\(\))?(?: (?:lock|mutex|semaphore|spinlock|spin lock))?"
_CALLER_HOLDS = (
    re.compile(rf"(?:callers?|you) (?:must|should|has to|have to|needs? to) (?:be )?hold(?:ing)? {_LOCK_WORD}", re.I),
    re.compile(rf"(?:must be |should be |is |be )?called (?:with|under) {_LOCK_WORD} (?:being )?(?:held|taken|locked)",
               re.I),
    re.compile(rf"{_LOCK_WORD} (?:must|should|has to|needs to) be (?:held|taken|locked)\b", re.I),
)  # fmt: skip
_CALLER_DOES_NOT_HOLD = (
    re.compile(rf"(?:callers?|you) (?:must|should) not (?:be )?hold(?:ing)? {_LOCK_WORD}", re.I),
    re.compile(rf"called without {_LOCK_WORD} (?:being )?(?:held|taken|locked)", re.I),
)
_NEVER_SLEEPS = re.compile(
    r"\b(?:does not|doesn't|never|cannot|can't|won't|will not) sleeps?\b"
    r"|\b(?:can|may|could) be (?:called|used|invoked) (?:from|in|by) (?:any|atomic|interrupt|irq|hardirq|softirq)\b"
    r"|\bsafe to (?:be )?call(?:ed)? (?:this )?(?:from|in) (?:any|atomic|interrupt|irq|hardirq|softirq)\b"
    r"|\bContext: (?:any|atomic|interrupt|irq|hardirq|softirq)\b",
    re.I,
)
_INTERRUPTS_OFF = re.compile(r"called with (?:local )?(?:interrupts|irqs) (?:disabled|off)", re.I)
_INTERRUPTS_ON = re.compile(r"called with (?:local )?(?:interrupts|irqs) (?:enabled|on)", re.I)
_LOCK_NAMES = re.compile(r"lock|mutex|sem|mtx|rwsem", re.I)


@dataclass(frozen=True, slots=True)
class LockClaims:
    """Claims about locks and contexts. Locks are named by their last word: "lock" for ``foo->lock``."""

    held: frozenset[str]
    not_held: frozenset[str]
    never_sleeps: bool
    interrupts_off: bool
    interrupts_on: bool

    def __bool__(self) -> bool:
        return bool(
            self.held or self.not_held or self.never_sleeps or self.interrupts_off or self.interrupts_on
        )


def errnos(text: str) -> set[str]:
    """The names of errors in a text, each by its usual name."""
    return {same_errno(name) for name in _ERRNO.findall(text) if name in ERRNOS}


def same_errno(name: str) -> str:
    """EAGAIN for EWOULDBLOCK, and the like."""
    return _SAME.get(name, name)


def mentioned_params(text: str) -> set[str]:
    """The parameters that a text marks: ``@foo``."""
    return set(_AT.findall(text))


def subject(text: str) -> str:
    """The function that a text says it is about, in its first words; "" if it names none."""
    match = _SUBJECT.match(text)
    return match[1] if match else ""


def lock_claims(text: str) -> LockClaims:
    """What a text says about locks and contexts."""
    def named(patterns: tuple[re.Pattern[str], ...]) -> frozenset[str]:
        locks = (re.split(r"->|\.", lock)[-1] for pattern in patterns for lock in pattern.findall(text))
        return frozenset(lock for lock in locks if _LOCK_NAMES.search(lock) and lock.lower() not in _NO_NAMES)

    return LockClaims(
        named(_CALLER_HOLDS), named(_CALLER_DOES_NOT_HOLD), _NEVER_SLEEPS.search(text) is not None,
        _INTERRUPTS_OFF.search(text) is not None, _INTERRUPTS_ON.search(text) is not None,
    )  # fmt: skip


_NO_NAMES = frozenset(("lock", "locks", "mutex", "semaphore", "spinlock", "mutexes", "locking"))


@dataclass(frozen=True, slots=True)
class KernelDocAnswer:
    """The lines of an answer to the task kernel-doc. ``malformed`` are lines of another form."""

    params: tuple[Pair, ...]
    returns: str
    malformed: tuple[str, ...]


def parse_kernel_doc(output: str) -> KernelDocAnswer:
    """The inverse of ``prompt.chat.kernel_doc_answer``."""
    params: list[Pair] = []
    malformed: list[str] = []
    returns = ""
    for line in output.split("\n"):
        if match := _PARAM_LINE.fullmatch(line):
            params.append((match[1], match[3]))
        elif (match := _RETURN_LINE.fullmatch(line)) and not returns:
            returns = match[1]
        else:
            malformed.append(line)
    return KernelDocAnswer(tuple(params), returns, tuple(malformed))


def is_about_function(row: Row) -> bool:
    """True if the answer describes a function whose text is in the row."""
    return row.kind == "function" and row.task is not Task.ANSWER
