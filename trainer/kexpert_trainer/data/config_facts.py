"""Facts of Kconfig files and Makefiles as sources of answers."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator

from kexpert.core.kernel.kbuild import object_conditions
from kexpert.core.kernel.kconfig import KconfigEntry, parse_kconfig
from kexpert.core.text import decode
from kexpert.prompt.sources import all_of, built_source, config_sources
from kexpert_trainer.data.tree_facts import Asked, Form, TreeFact

_SYMBOL = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
_MAX_SYMBOLS = 4  # in an expression that is asked for
_OPTION = re.compile(r"CONFIG_\w+")


def config_facts(path: str, data: bytes) -> Iterator[TreeFact]:
    """The facts of one Kconfig file."""
    entries = [each for each in parse_kconfig(data, path).entries if each.name and each.kind != "choice"]
    names = Counter(each.name for each in entries)
    for entry in entries:
        for text in config_sources(entry):
            asked = _asked(entry, text) if names[entry.name] == 1 else ()
            yield TreeFact((f"CONFIG_{entry.name}", entry.name), path, entry.line, text, asked)


def _asked(entry: KconfigEntry, text: str) -> tuple[Asked, ...]:
    name = f"CONFIG_{entry.name}"
    if text.startswith(f"{name} depends on "):
        expression = all_of(entry.depends)
        symbols = tuple(dict.fromkeys(_SYMBOL.findall(expression)))
        if 0 < len(symbols) <= _MAX_SYMBOLS and "$" not in expression:
            return (Asked(Form.DEPENDS, "", expression, symbols),)
    if text.startswith(f"{name} selects ") and len(entry.selects) == 1:
        return (Asked(Form.SELECTS, "", entry.selects[0][0], (entry.selects[0][0],)),)
    return ()


def build_fact(path: str, read: Callable[[str], bytes | None]) -> TreeFact | None:
    """Which options build a C file, at the line of its Makefile; None if no option does. ``read``: bytes of a file."""
    conditions = [each for each in object_conditions(path, read) if "CONFIG_" in each]
    if not conditions:
        return None
    makefile, line = _listed_at(path, read)
    if not makefile:
        return None
    own = _OPTION.fullmatch(conditions[-1])
    asked = (Asked(Form.BUILDS, "", own[0], (own[0].removeprefix("CONFIG_"),)),) if own else ()
    return TreeFact((path, posixpath.basename(path)), makefile, line, built_source(path, conditions), asked)


def _listed_at(path: str, read: Callable[[str], bytes | None]) -> tuple[str, int]:
    """The Makefile of a file's folder and the line that lists its object; "" if none does."""
    folder, name = posixpath.split(path)
    wanted = re.compile(rf"(?<![\w-]){re.escape(posixpath.splitext(name)[0])}\.o\b")
    for makefile in ("Kbuild", "Makefile"):
        data = read(posixpath.join(folder, makefile))
        if data is not None and (match := wanted.search(decode(data))):
            return posixpath.join(folder, makefile), decode(data).count("\n", 0, match.start())
    return "", 0
