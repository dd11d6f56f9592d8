"""What a question asks about: names of the tree that it holds, and its topics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from kexpert.core.retrieval.words import STOP_WORDS
from kexpert.core.symbols import Kind
from kexpert.features.named.definitions import CODE
from kexpert.view import View

_MAX_CHARS = 600
_MAX_NAMES = 4
_LOOKED_UP = (
    Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.VARIABLE,
    Kind.CONFIG, Kind.ENUMERATOR,
)  # fmt: skip
_RECORDS = (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)
_WORD = re.compile(r"(?<![\w./>-])([A-Za-z_]\w*)(\s?\(\s?\)|\()?")
_SYSTEM_CALL = re.compile(r"\b(?:(\w+) )?(?:system call|syscall)\b(?: (\w+))?")
_TAGGED = re.compile(r"\b(?:struct|union|enum)\s+\Z")
#: What comes before a plain word that is meant as a name: "what does schedule do".
_ASKED_ABOUT = re.compile(r"\b(?:does|calls?|calling|explain|function|where is)\s+\Z", re.I)
_COMPARED = re.compile(r"difference between (\w+)(?:\(\))? and (\w+)", re.I)
#: "what is a folio?": a type.
_WHAT_IS = re.compile(r"what(?:'s| is) (?:an? |the )?(?:struct(?:ure)? )?([a-z]\w+)\s*\??", re.I)
_FILE = re.compile(r"(?<![\w/])((?:[\w.+-]+/)+[\w.+-]+\.[chS]|[\w.+-]+\.[ch])\b")
_PATH = re.compile(r"(?<![\w/])((?:[\w.+-]+/)+[\w.+-]*)")
_PARAMETER = re.compile(r"\b(?:module|kernel|boot|driver)[ -]?param\w*", re.I)
_OF_MODULE = re.compile(r"\b([a-z]\w*)\.([a-z_]\w*)\b(?!\()")
_MEMBER = re.compile(r"(?<![\w)])\.([a-z_]\w*)|\b(\w+)\.([a-z_]\w*)\b(?!\()")
#: "flags of struct inode"
MEMBER_OF = re.compile(r"\b([a-z_]\w*) (?:in|of) (?:struct|union) (\w+)")
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
    PLACE = "place"  # where it is defined
    MEANING = "meaning"  # what it is, or is for
    SIZE = "size"  # of a type, or where its members are
    ARGUMENT = "argument"  # of a function
    PARAMETER = "parameter"  # of a module
    IMPLEMENTS = "implements"  # which functions are an operation
    MAINTAINERS = "maintainers"
    PROTECTION = "protection"  # which lock protects a member or a variable


#: What the definition of a name, or a file beside it, says; the others are about what code does.
NAMED = (
    Topic.PLACE, Topic.MEANING, Topic.SIZE, Topic.ARGUMENT, Topic.PARAMETER, Topic.IMPLEMENTS, Topic.MAINTAINERS,
    Topic.PROTECTION,
)  # fmt: skip


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
_MAINTAINERS = _any_of(r"maintain", r"who (?:should|do|must|can) (?:i|we) (?:send|cc|mail|ask)", r"send\b.*\bpatch")
_PLACE = _any_of(
    r"where\b.*\b(?:defin|declar|implemented|live)",
    r"(?:which|what) (?:file|header)s?\b.*\b(?:ha[sv]|hold|defin|declar|contain)",
    r"where (?:is|are|can i find) (?:the )?(?:struct|union|enum|function|macro|type|variable)?[\s()]*\??$",
)  # fmt: skip
_MEANING = _any_of(
    r"mean", r"purpose\b", r"difference\b", r"what(?:'s| is| are)\b", r"what (?:does|do)\b.*\bdo\b", r"for\s*\??$",
    r"which (?:config |kconfig |build )*option\b",
)  # fmt: skip
_SIZE = _any_of(r"size\b", r"how (?:big|large)\b", r"bytes\b", r"offset", r"layout\b")
_PROTECTION = _any_of(r"protects?\b", r"protected\b", r"guard(?:s|ed)\b", r"seriali[sz]e[sd]?\b")
_ARGUMENT = _any_of(r"(?:parameter|argument|arg)s?\b")
_IMPLEMENTS = _any_of(r"implement")
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
    folders: tuple[str, ...] = ()
    #: (module, name) of module parameters; the module may be "".
    parameters: tuple[tuple[str, str], ...] = ()
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
    paths = (path.rstrip("/.") for path in _PATH.findall(bare))
    folders = tuple(path for path in dict.fromkeys(paths) if view.list_dir(path))
    if parameters := _parameters(view, text):
        return Question(text, files=files, folders=folders, parameters=parameters, topics=(Topic.PARAMETER,))
    if _MAINTAINERS.search(text):
        return Question(text, _names(view, bare, ()), (), files, folders, topics=(Topic.MAINTAINERS,))
    bare = _PATH.sub(" ", bare) if folders else bare
    options = _options(view, bare)
    names = _names(view, bare, options)
    found = (match[1] or match[3] for match in _MEMBER.finditer(bare) if match[1] or match[2] in names)
    members = tuple(dict.fromkeys(found))
    is_record = bool(names) and _is_record(view, names[0])
    if not members and is_record:
        members = tuple(match[1] for match in MEMBER_OF.finditer(text))
    if not members and names and _is_table(view, names[0]):
        members = tuple(dict.fromkeys(word for word in re.findall(r"[a-z_]\w+", bare) if word not in STOP_WORDS))
    topics = _topics(bare, names, options, files, members, is_record)
    if _PROTECTION.search(text):
        topics = (Topic.PROTECTION, *topics)
    return Question(text, names, options, files, folders, members=members, topics=topics)


def _parameters(view: View, text: str) -> tuple[tuple[str, str], ...]:
    """The module parameters that a question names; none if it does not say that it is about one."""
    if not _PARAMETER.search(text):
        return ()
    dotted = {match[2]: match[1] for match in _OF_MODULE.finditer(text)}
    words = list(dict.fromkeys([*dotted, *re.findall(r"[a-z_]\w+", text)]))
    known = [word for word in words if word not in STOP_WORDS and view.lookup(word, (Kind.MODULE_PARAM,), 1)]
    return tuple((dotted.get(word, ""), word) for word in known[:_MAX_NAMES] if word in dotted or not dotted)


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
    if (asked := _WHAT_IS.fullmatch(text.strip())) and view.lookup(asked[1], (Kind.STRUCT,), 1):
        return (asked[1],)
    if (compared := _COMPARED.search(text)) and all(view.lookup(name, CODE, 1) for name in compared.groups()):
        return compared.groups()
    words = [name for name in plain if view.lookup(name, CODE, 1)]
    return tuple(words[:1]) if len(words) == 1 else ()


def _is_known(view: View, name: str) -> bool:
    return bool(view.lookup(name, _LOOKED_UP, 1) or view.lookup(f"sys_{name}", (Kind.SYSCALL,), 1))


def _is_table(view: View, name: str) -> bool:
    return bool(view.lookup(name, (Kind.VARIABLE,), 1)) and not view.lookup(name, (Kind.FUNCTION, Kind.SYSCALL), 1)


def _is_record(view: View, name: str) -> bool:
    return bool(view.lookup(name, _RECORDS, 1))


def _topics(
    text: str, names: tuple[str, ...], options: tuple[str, ...], files: tuple[str, ...], members: tuple[str, ...],
    is_record: bool,
) -> tuple[Topic, ...]:  # fmt: skip
    found: list[Topic] = []
    if options and not names:
        found = [topic for topic, pattern in _OPTION_TOPICS if pattern.search(text)]
        return tuple(found[:1]) or ((Topic.MEANING if _MEANING.search(text) else Topic.DEPENDS),)
    if files and not names and _BUILDS.search(text):
        return (Topic.BUILDS,)
    words = text
    for name in names:
        words = re.sub(rf"\b{re.escape(name)}\b", " ", words)
    found = [topic for topic, pattern in _TOPICS if pattern.search(words)]
    if members and not is_record:
        found = [Topic.MEMBER, Topic.TABLE, *found]
    if Topic.HELD in found:
        found = [topic for topic in found if topic not in (Topic.CALLERS, Topic.LOCK)]
    if Topic.CONTEXT in found:
        found = [topic for topic in found if topic is not Topic.CALLERS]  # "may I call it in an interrupt?"
    if names:
        found = [*_named_topics(words, not found, bool(members), is_record), *found]
    return tuple(dict.fromkeys(found))


def _named_topics(text: str, alone: bool, has_members: bool, is_record: bool) -> Iterator[Topic]:
    """``alone``: nothing is asked about what the code does."""
    if has_members and is_record and _IMPLEMENTS.search(text):
        yield Topic.IMPLEMENTS
    if is_record and _SIZE.search(text):
        yield Topic.SIZE
    if _PLACE.search(text):
        yield Topic.PLACE
    if alone and _ARGUMENT.search(text):
        yield Topic.ARGUMENT
    if alone and _MEANING.search(text):
        yield Topic.MEANING
