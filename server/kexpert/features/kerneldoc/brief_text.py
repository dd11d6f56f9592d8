"""The first line of a comment where nobody wrote one: made from how a function is used and what it is called."""

from __future__ import annotations

import re

from kexpert.features.kerneldoc.code_facts import CodeFacts
from kexpert.features.kerneldoc.declaration import Declaration
from kexpert.features.kerneldoc.parameter_texts import expanded

#: Verbs in the names of functions.
_PLAIN_VERBS = (
    "acquire", "activate", "add", "allocate", "append", "apply", "arm", "assign", "attach", "begin", "bind", "build",
    "calculate", "cancel", "change", "check", "choose", "claim", "clean", "clear", "clone", "close", "compare",
    "compute", "configure", "connect", "convert", "copy", "create", "deactivate", "decode", "delete", "dequeue",
    "deregister", "destroy", "detach", "detect", "determine", "disable", "disarm", "discard", "disconnect", "drain",
    "drop", "dump", "emit", "enable", "encode", "end", "enqueue", "erase", "expand", "fetch", "fill", "finalize",
    "find", "finish", "fix", "flush", "free", "get", "handle", "hash", "initialize", "insert", "invalidate", "join",
    "kill", "load", "lock", "map", "mark", "match", "merge", "migrate", "modify", "move", "notify", "open", "parse",
    "poll", "pop", "populate", "prepare", "print", "probe", "process", "program", "push", "put", "queue", "read",
    "receive", "recover", "refresh", "register", "release", "reload", "remove", "replace", "report", "request",
    "reserve", "reset", "resize", "resolve", "restart", "restore", "resume", "retry", "run", "save", "scan",
    "schedule", "search", "select", "send", "set", "show", "sort", "split", "start", "stop", "store", "submit",
    "suspend", "switch", "test", "toggle", "translate", "transmit", "trigger", "truncate", "try", "unbind", "unlock",
    "unmap", "unregister", "update", "validate", "verify", "wake", "walk", "write",
)  # fmt: skip
_VERBS = {verb: verb for verb in _PLAIN_VERBS} | {
    "alloc": "allocate", "calc": "calculate", "cleanup": "clean up", "cmp": "compare", "config": "configure",
    "deinit": "undo the initialization of", "del": "delete", "exit": "clean up", "fixup": "fix up",
    "init": "initialize", "iterate": "iterate over", "lookup": "look up", "recalc": "recalculate",
    "recv": "receive", "rm": "remove", "setup": "set up", "shutdown": "shut down", "sync": "synchronize",
    "uninit": "undo the initialization of", "unuse": "stop using", "wait": "wait for", "wakeup": "wake up",
    "xmit": "transmit",
}  # fmt: skip
_IS = ("is", "has", "can", "should", "needs", "may", "supports")
_POWER = ("on", "off", "up", "down")
_MAX_CHARS = 90


def factual_brief(declaration: Declaration, facts: CodeFacts) -> str:
    """A brief line that is true: from a table of functions, an only statement, or the words of the name."""
    if facts.entry:
        return facts.entry
    if facts.only_step and len(facts.only_step) <= _MAX_CHARS:
        return facts.only_step
    if declaration.kind in ("struct", "union", "enum"):
        return expanded(declaration.name)
    return _by_name(declaration.name)


def _by_name(name: str) -> str:
    """"foo_bar_init" -> "initialize foo bar". Words without a verb, or with several, stay in their order."""
    parts = [part for part in re.split(r"_+|(?<=[a-z])(?=[A-Z])", name.removeprefix("sys_")) if part]
    lower = [part.lower() for part in parts]
    for at, word in enumerate(lower):
        if word in _IS and at + 1 < len(parts):
            return f"tell whether {_words(parts[:at]) or 'it'} {word} {_words(parts[at + 1 :])}"
    verbs = [at for at, word in enumerate(lower) if word in _VERBS]
    powers = [at for at, word in enumerate(lower[:-1]) if word in ("power", "turn") and lower[at + 1] in _POWER]
    if len(powers) == 1 and not verbs:
        at = powers[0]
        return f"{lower[at]} {lower[at + 1]} {_words(parts[:at] + parts[at + 2 :])}".strip()
    if 0 in verbs:
        return f"{_VERBS[lower[0]]} {_words(parts[1:])}".strip()
    if len(verbs) == 1 and verbs[0] >= len(parts) - 3:
        at = verbs[0]
        after, before = _words(parts[at + 1 :]), _words(parts[:at])
        return f"{_VERBS[lower[at]]} {f'{after} of {before}' if after else before}".strip()
    return _words(parts) or name


def _words(parts: list[str]) -> str:
    return expanded("_".join(parts)) if parts else ""
