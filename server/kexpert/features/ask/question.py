"""What a question asks about: names of the tree that it holds, and its topics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kexpert.core.retrieval.words import STOP_WORDS
from kexpert.core.symbols import Kind
from kexpert.view import View

_MAX_CHARS = 600
_MAX_NAMES = 4
_LOOKED_UP = (
    Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.VARIABLE,
    Kind.CONFIG,
)  # fmt: skip
_WORD = re.compile(r"(?<![\w./>-])([A-Za-z_]\w*)(\s?\(\s?\)|\()?")
_SYSTEM_CALL = re.compile(r"\b(?:(\w+) )?(?:system call|syscall)\b(?: (\w+))?")
_TAGGED = re.compile(r"\b(?:struct|union|enum)\s+\Z")
#: What comes before a plain word that is meant as a name: "what does schedule do".
_ASKED_ABOUT = re.compile(r"\b(?:does|calls?|calling|explain|function)\s+\Z", re.I)
_FILE = re.compile(r"(?<![\w/])((?:[\w.+-]+/)+[\w.+-]+\.[chS]|[\w.+-]+\.[ch])\b")
_MEMBER = re.compile(r"(?<![\w)])\.([a-z_]\w*)|\b(\w+)\.([a-z_]\w*)\b(?!\()")
_OPTION = re.compile(r"\b(?:CONFIG_)?([A-Z][A-Z0-9_]{1,})\b")
#: Capitals that are no options.
_NO_OPTIONS = frozenset(("NULL", "CONFIG", "RCU", "IRQ", "CPU", "DMA", "API", "PCI", "USB", "ERR_PTR", "IS_ERR"))
#: Words of questions that are also functions somewhere.
_PLAIN_WORDS = frozenset((
    "acquire", "add", "after", "allocate", "assigned", "before", "build", "builds", "built", "call", "called",
    "caller", "calls", "case", "causes", "check", "close", "code", "condition", "config", "context", "copy",
    "depend", "depends", "device", "does", "driver", "enable", "enabled", "error", "fail", "fails", "false", "field",
    "file", "find", "free", "frees", "function", "get", "handler", "happens", "held", "hold", "implement",
    "implemented", "implements", "init", "inside", "interrupt", "kernel", "line", "list", "lock", "locking", "locks",
    "make", "may", "member", "memory", "must", "mutex", "name", "names", "need", "null", "open", "option", "options",
    "page", "points", "print", "process", "protect", "protects", "read", "receive", "register", "release", "remove",
    "return", "returns", "run", "select", "selects", "semaphore", "send", "set", "sleep", "spinlock", "start",
    "stop", "struct", "system", "table", "take", "takes", "time", "true", "under", "use", "used", "uses", "value",
    "variable", "wait", "when", "work", "works", "write", "zero",
))  # fmt: skip


class Topic(StrEnum):
    """What is asked about a name."""

    LOCK = "lock"
    HELD = "held"  # a lock that the caller holds
    RETURN = "return"
    CALLERS = "callers"
    TABLE = "table"  # in which table of functions
    MEMBER = "member"  # which function a table holds
    CONTEXT = "context"
    MEMORY = "memory"  # allocations and references
    STATE = "state"
    DEPENDS = "depends"
    SELECTS = "selects"
    BUILDS = "builds"


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b(?:{each})" for each in patterns), re.I)


_TOPICS = (
    (Topic.HELD, _any_of(
        r"(?:must|needs?|expects?|callers?|before|under|requires?|asserts?|has to)\b.*\b(?:lock|held|hold)",
        r"lock\w*\b.*\b(?:must|needs?|requires?|before|for the caller)\b",
    )),
    (Topic.LOCK, _any_of(
        r"(?:un)?lock", "mutex", "raw_spinlock", "spinlock", "semaphore", r"rw_?sem", r"rcu\b", "acquire",
    )),
    (Topic.RETURN, _any_of(
        "return", r"errors?\b", r"errno\b", r"fails?\b", r"cause[sd]?\b", r"get\b.*\bfrom\b", r"(?-i:E[A-Z]{3,})\b",
    )),
    (Topic.CONTEXT, _any_of(
        "sleep", r"atomic\b", "interrupt", r"context\b", "preempt", r"safe\b", r"block(?:s|ing)?\b",
    )),
    (Topic.CALLERS, _any_of(r"call(?:s|ed|er|ers|ing)?\b", r"who uses\b", r"used by\b", "invoke")),
    (Topic.TABLE, _any_of(
        "table", r"ops\b", r"assigned\b", r"points? to\b", r"which (?:struct|variable)\b", r"holds\b",
    )),
    (Topic.MEMORY, _any_of(
        "allocat", r"free[sd]?\b", r"references?\b", "refcount", r"memory\b", "leak", r"gfp\b",
    )),
    (Topic.STATE, _any_of(r"writ(?:e|es|ten)\b", "modif", r"changes?\b", r"sets\b", r"updates?\b")),
)  # fmt: skip
_OPTION_TOPICS = (
    (Topic.SELECTS, _any_of(
        r"selects?\b(?!.*\bdepend)", r"selected by\b", r"switched on\b", r"else is enabled\b", "impl",
    )),
    (Topic.DEPENDS, _any_of("depend", r"needs?\b", r"to be able\b", r"before\b", "require", r"enable\b")),
)  # fmt: skip
_BUILDS = re.compile(r"\bbuil[dt]\w*|\bcompil|\boption|\bconfig\b|\benable\b", re.I)


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what of the tree it names, in its order."""

    text: str
    names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # without CONFIG_
    files: tuple[str, ...] = ()
    #: "open" of ".open"; where a table is named and no member, all words, of which some may be members.
    members: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()

    @property
    def is_about_names(self) -> bool:
        return bool(self.names or self.options or self.files)


def read_question(view: View, text: str) -> Question:
    """Find what a question names; only what the tree has counts."""
    text = " ".join(text[:_MAX_CHARS].replace("`", "").split())
    files = tuple(path for path in dict.fromkeys(_FILE.findall(text)) if view.exists(path))
    bare = _FILE.sub(" ", text)
    options = _options(view, bare)
    names = _names(view, bare, options)
    found = (match[1] or match[3] for match in _MEMBER.finditer(bare) if match[1] or match[2] in names)
    members = tuple(dict.fromkeys(found))
    if not members and names and _is_table(view, names[0]):
        members = tuple(dict.fromkeys(word for word in re.findall(r"[a-z_]\w+", bare) if word not in STOP_WORDS))
    return Question(text, names, options, files, members, _topics(bare, names, options, files, members))


def _options(view: View, text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for match in _OPTION.finditer(text):
        word = match[1]
        is_certain = match[0].startswith("CONFIG_")
        if not is_certain and (word in _NO_OPTIONS or re.search(rf"-{word}\b|\b{word}\s?\(", text)):
            continue
        if word not in found and view.lookup(f"CONFIG_{word}", (Kind.CONFIG,), 1):
            found[word] = None
    return tuple(found)[:_MAX_NAMES]


def _names(view: View, text: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the code: those written as calls first, then those with a ``_``, then a plain word after "does"."""
    certain: dict[str, None] = {}
    likely: dict[str, None] = {}
    plain: dict[str, None] = {}
    tags: dict[str, None] = {}
    certain.update(dict.fromkeys(word for pair in _SYSTEM_CALL.findall(text) for word in pair if word))
    for match in _WORD.finditer(text):
        word = match[1]
        lower = word.lower()
        if word.removeprefix("CONFIG_") in options or len(word) < 2:
            continue
        if _TAGGED.search(text, 0, match.start()):
            tags[word] = None  # a type: what is done with it is asked of another name
            continue
        if match[2]:
            certain[word] = None
        elif "_" in word or (not word.islower() and not word.istitle() and not word.isupper()):
            likely[word] = None
        elif _ASKED_ABOUT.search(text, 0, match.start()) and lower not in STOP_WORDS | _PLAIN_WORDS:
            plain[word] = None
    for group in (certain, likely):
        if known := [name for name in group if _is_known(view, name)]:
            rest = [name for name in likely if name not in known and _is_known(view, name)] if group is certain else []
            return tuple((known + rest)[:_MAX_NAMES])
    if tags:
        return tuple(name for name in tags if _is_known(view, name))[:_MAX_NAMES]
    words = [name for name in plain if view.lookup(name, (Kind.FUNCTION, Kind.SYSCALL), 1)]
    return tuple(words[:1]) if len(words) == 1 else ()


def _is_known(view: View, name: str) -> bool:
    return bool(view.lookup(name, _LOOKED_UP, 1) or view.lookup(f"sys_{name}", (Kind.SYSCALL,), 1))


def _is_table(view: View, name: str) -> bool:
    return bool(view.lookup(name, (Kind.VARIABLE,), 1)) and not view.lookup(name, (Kind.FUNCTION, Kind.SYSCALL), 1)


def _topics(
    text: str, names: tuple[str, ...], options: tuple[str, ...], files: tuple[str, ...], members: tuple[str, ...]
) -> tuple[Topic, ...]:
    found: list[Topic] = []
    if options and not names:
        found = [topic for topic, pattern in _OPTION_TOPICS if pattern.search(text)]
        return tuple(found[:1]) or (Topic.DEPENDS,)
    if files and not names and _BUILDS.search(text):
        return (Topic.BUILDS,)
    words = text
    for name in names:
        words = re.sub(rf"\b{re.escape(name)}\b", " ", words)
    found = [topic for topic, pattern in _TOPICS if pattern.search(words)]
    if members:
        found = [Topic.MEMBER, Topic.TABLE, *found]
    if Topic.HELD in found:
        found = [topic for topic in found if topic not in (Topic.CALLERS, Topic.LOCK)]
    return tuple(dict.fromkeys(found))
