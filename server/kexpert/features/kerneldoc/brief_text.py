"""The first line of a comment where nobody wrote one: made from how a function is used and what it is called."""

from __future__ import annotations

import re

from kexpert.features.kerneldoc.code_facts import CodeFacts
from kexpert.features.kerneldoc.declaration import Declaration
from kexpert.features.kerneldoc.parameter_texts import words_of

_VERBS = {
    "acquire": "acquire", "activate": "activate", "add": "add", "alloc": "allocate", "allocate": "allocate",
    "append": "append", "apply": "apply", "assign": "assign", "attach": "attach", "begin": "begin", "bind": "bind",
    "build": "build", "calc": "calculate", "calculate": "calculate", "cancel": "cancel", "change": "change",
    "check": "check", "choose": "choose", "claim": "claim", "clean": "clean", "cleanup": "clean up", "clear": "clear",
    "clone": "clone", "close": "close", "cmp": "compare", "compare": "compare", "compute": "compute",
    "configure": "configure", "config": "configure", "connect": "connect", "convert": "convert", "copy": "copy",
    "create": "create", "deactivate": "deactivate", "decode": "decode", "del": "delete", "delete": "delete",
    "dequeue": "dequeue", "deregister": "deregister", "destroy": "destroy", "detach": "detach", "detect": "detect",
    "determine": "determine", "disable": "disable", "discard": "discard", "disconnect": "disconnect", "drain": "drain",
    "drop": "drop", "dump": "dump", "emit": "emit", "enable": "enable", "encode": "encode", "end": "end",
    "enqueue": "enqueue", "erase": "erase", "expand": "expand", "fetch": "fetch", "fill": "fill", "find": "find",
    "finish": "finish", "fix": "fix", "fixup": "fix up", "flush": "flush", "free": "free", "get": "get",
    "handle": "handle", "hash": "hash", "init": "initialize", "initialize": "initialize", "insert": "insert",
    "invalidate": "invalidate", "iterate": "iterate over", "join": "join", "kill": "kill", "load": "load",
    "lock": "lock", "lookup": "look up", "map": "map", "mark": "mark", "match": "match", "merge": "merge",
    "migrate": "migrate", "modify": "modify", "move": "move", "notify": "notify", "open": "open", "parse": "parse",
    "poll": "poll", "pop": "pop", "populate": "populate", "prepare": "prepare", "print": "print", "probe": "probe",
    "process": "process", "program": "program", "push": "push", "put": "put", "queue": "queue", "read": "read",
    "recalc": "recalculate", "receive": "receive", "recover": "recover", "recv": "receive", "refresh": "refresh",
    "register": "register", "release": "release", "reload": "reload", "remove": "remove", "replace": "replace",
    "report": "report", "request": "request", "reserve": "reserve", "reset": "reset", "resize": "resize",
    "resolve": "resolve", "restart": "restart", "restore": "restore", "resume": "resume", "retry": "retry",
    "rm": "remove", "run": "run", "save": "save", "scan": "scan", "schedule": "schedule", "search": "search",
    "select": "select", "send": "send", "set": "set", "setup": "set up", "show": "show", "shutdown": "shut down",
    "sort": "sort", "split": "split", "start": "start", "stop": "stop", "store": "store", "submit": "submit",
    "suspend": "suspend", "switch": "switch", "sync": "synchronize", "test": "test", "toggle": "toggle",
    "translate": "translate", "transmit": "transmit", "trigger": "trigger", "truncate": "truncate", "try": "try",
    "unbind": "unbind", "uninit": "undo the initialization of", "unlock": "unlock", "unmap": "unmap",
    "unregister": "unregister", "unuse": "stop using", "update": "update", "validate": "validate",
    "verify": "verify", "wait": "wait for", "wake": "wake", "wakeup": "wake up", "walk": "walk", "write": "write",
    "xmit": "transmit", "exit": "clean up", "deinit": "undo the initialization of", "disarm": "disarm", "arm": "arm",
}  # fmt: skip
_IS = ("is", "has", "can", "should", "needs", "may", "supports")
_MAX_CHARS = 90


def factual_brief(declaration: Declaration, facts: CodeFacts) -> str:
    """A brief line that is true: from a table of functions, an only statement, or the words of the name."""
    if facts.entry:
        return facts.entry
    if facts.only_step and len(facts.only_step) <= _MAX_CHARS:
        return facts.only_step
    if declaration.kind in ("struct", "union", "enum"):
        return words_of(declaration.name)
    return _by_name(declaration.name)


def _by_name(name: str) -> str:
    """"foo_bar_init" -> "initialize foo bar"; words without a verb stay as they are."""
    parts = [part for part in re.split(r"_+|(?<=[a-z])(?=[A-Z])", name.removeprefix("sys_")) if part]
    for at in range(len(parts) - 1, -1, -1):
        word = parts[at].lower()
        if word in _IS and at + 1 < len(parts):
            return f"tell whether {_words(parts[:at])} {word} {_words(parts[at + 1 :])}".replace("  ", " ")
        if word in _VERBS and (at == 0 or at >= len(parts) - 3):
            after, before = _words(parts[at + 1 :]), _words(parts[:at])
            thing = f"{after} of {before}" if after and before else after or before
            return f"{_VERBS[word]} {thing}".strip()
    return _words(parts) or name


def _words(parts: list[str]) -> str:
    return words_of("_".join(parts)) if parts else ""
