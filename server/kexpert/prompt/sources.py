"""How a fact of the tree is worded as a source of ``answer_prompt``: one sentence without Markdown.

Training and serving must use the same words, so both take them from here. A change needs a new
``chat.CHAT_PROMPT_VERSION``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kexpert.core.kernel.kconfig import KconfigEntry

#: The answer where no source holds one. A caller shows it as "no answer".
NO_ANSWER = "The sources do not say."

_OUTER_OR = re.compile(r"\|\|")


def plain(text: str) -> str:
    """A text without the backticks around code, on one line."""
    return " ".join(text.replace("`", "").split())


def function_source(name: str, fact: str) -> str:
    """A fact that ``features.explain`` gives about a function, as a sentence that names the function.

    >>> function_source("foo_open", "returns `-EINVAL` if `!foo`")
    'foo_open() returns -EINVAL if !foo'
    >>> function_source("foo_open", "The caller holds `&foo->lock`")
    'foo_open(): the caller holds &foo->lock'
    """
    text = plain(fact)
    if text.startswith("called by "):
        return f"{name}() is {text}"
    if text[:1].isupper() and text[1:2].islower():
        first, _, rest = text.partition(" ")
        if first in ("Returns", "Releases", "Requires:", "Takes", "Tries"):
            return f"{name}() {first[:1].lower()}{first[1:]} {rest}"
        return f"{name}(): {first[:1].lower()}{first[1:]} {rest}".rstrip()
    return f"{name}() {text}"


def config_sources(entry: KconfigEntry) -> list[str]:
    """Sentences about one configuration option: what it is, what it depends on, what it selects, its default."""
    name = f"CONFIG_{entry.name}"
    found = []
    if entry.type or entry.prompt:
        kind = f"a {entry.type} option" if entry.type not in ("int", "") else "an option"
        found.append(f"{name} is {kind}" + (f": {plain(entry.prompt)}" if entry.prompt else ""))
    if entry.depends:
        found.append(f"{name} depends on {all_of(entry.depends)}")
    found += [f"{name} selects {other}" + (f" if {when}" if when else "") for other, when in entry.selects]
    found += [f"{name} implies {other}" + (f" if {when}" if when else "") for other, when in entry.implies]
    found += [f"{name} defaults to {value}" + (f" if {when}" if when else "") for value, when in entry.defaults[:1]]
    return [plain(text) for text in found]


def all_of(conditions: Sequence[str]) -> str:
    """Conditions that must all hold, as one Kconfig expression, each once."""
    distinct = list(dict.fromkeys(conditions))
    if len(distinct) == 1:
        return distinct[0]
    return " && ".join(f"({each})" if _OUTER_OR.search(each) else each for each in distinct)


def built_source(path: str, conditions: Sequence[str]) -> str:
    """By which options a file is built. ``conditions`` are those of ``kbuild.object_conditions``."""
    return f"{path} is built with {' and '.join(conditions)}"
