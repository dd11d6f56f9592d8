"""The text of a numbered source of an answer, made from a fact: the same in training and in serving.

A source is (``path:line``, text). The text is one plain sentence without a full stop: "foo_open() takes &foo->lock
(spinlock)". Code in it is as written, without backticks. ``chat.answer_prompt`` numbers the sources and cuts them.
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"\s+")
#: A fact's text that needs "is" after the name of what it is about.
_PASSIVE = ("called by ", "reached from ", "built with ", "compiled under ", "named in ", "similar to ")


def fact_source(subject: str, text: str) -> str:
    """A fact of ``features.explain`` about a function or macro, as a sentence.

    >>> fact_source("foo_open()", "takes `&foo->lock` (spinlock)")
    'foo_open() takes &foo->lock (spinlock)'
    >>> fact_source("foo_open()", "called by `bar()`")
    'foo_open() is called by bar()'
    """
    text = plain(text)
    return f"{subject} {'is ' if text.startswith(_PASSIVE) else ''}{text}"


def lock_source(function: str, lock: str, kind: str) -> str:
    """``kind``: as ``core.kernel.lock_calls`` names it.

    >>> lock_source("foo_open", "&foo->lock", "spinlock")
    'foo_open() takes &foo->lock (spinlock)'
    """
    return fact_source(f"{function}()", f"takes {lock} ({kind})" if lock else f"takes the {kind}")


def return_source(function: str, value: str, condition: str = "") -> str:
    """``condition``: C, "" where the value is returned on no condition or on one that is not known.

    >>> return_source("foo_open", "-EINVAL", "len < 0")
    'foo_open() returns -EINVAL if len < 0'
    """
    return fact_source(f"{function}()", f"returns {value}" + (f" if {condition}" if condition else ""))


def caller_source(function: str, caller: str) -> str:
    """
    >>> caller_source("foo_open", "bar_probe")
    'foo_open() is called by bar_probe()'
    """
    return fact_source(f"{function}()", f"called by {caller}()")


def option_source(option: str, relation: str, expression: str, condition: str = "") -> str:
    """``option`` without ``CONFIG_``; ``relation``: "depends on", "selects", "implies" or "defaults to".

    >>> option_source("FOO", "selects", "BAR", "BAZ")
    'CONFIG_FOO selects BAR if BAZ'
    """
    return fact_source(f"CONFIG_{option}", f"{relation} {expression}" + (f" if {condition}" if condition else ""))


def member_source(function: str, member: str, struct: str = "", table: str = "") -> str:
    """A function in a table of functions.

    >>> member_source("foo_open", "open", "file_operations", "foo_fops")
    'foo_open() is .open of struct file_operations in foo_fops'
    """
    of = f" of struct {struct}" if struct else ""
    return fact_source(f"{function}()", f"is .{member}{of}" + (f" in {table}" if table else ""))


def plain(text: str) -> str:
    """A fact's text on one line without its backticks."""
    return _SPACE.sub(" ", text.replace("`", "")).strip()
