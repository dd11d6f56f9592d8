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
    """"foo_bar_init" -> "initialize foo bar"; words without a verb stay as they are."""
    parts = [part for part in re.split(r"_+|(?<=[a-z])(?=[A-Z])", name.removeprefix("sys_")) if part]
    for at in range(len(parts) - 1, -1, -1):
        word = parts[at].lower()
        if word in _IS and at + 1 < len(parts):
            return f"tell whether {_words(parts[:at]) or 'it'} {word} {_words(parts[at + 1 :])}"
        if word in ("power", "turn", "switch") and parts[at + 1 : at + 2] in (["on"], ["off"], ["up"], ["down"]):
            return f"{word} {parts[at + 1]} {_words(parts[:at] + parts[at + 2 :])}".strip()
        if word in _VERBS and (at == 0 or (at >= len(parts) - 3 and parts[0].lower() not in _VERBS)):
            after, before = _words(parts[at + 1 :]), _words(parts[:at])
            thing = f"{after} of {before}" if after and before else after or before
            return f"{_VERBS[word]} {thing}".strip()
    return _words(parts) or name


def _words(parts: list[str]) -> str:
    return expanded("_".join(parts)) if parts else ""
