"""Makefiles of the kernel's build: the CONFIG_ symbols on which a file depends.

Only the declarative part is read (``obj-$(CONFIG_X) += foo.o``, composite objects, ``ifdef``). Functions of make,
generated lists and recipes are not run. An unknown condition is given as written; a file that no list names has no
conditions.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from kexpert.core.c.conditions import negate
from kexpert.core.paths import is_tree_path
from kexpert.core.text import decode

_ASSIGNMENT = re.compile(r"(?:export |override )*([\w$(){},./+ -]*?[\w)}]) ?(\+=|::?=|\?=|=)(?!=)(.*)")
_SELECTED = re.compile(r"([\w+./-]+?)(?:-objs)?-(objs|y|m|n|(?:y|m)?\$[({].*)")
_CONFIG = re.compile(r"CONFIG_\w+")
_ONE_OPTION = re.compile(r"\$[({](CONFIG_\w+)[)}]")
_BRANCH = re.compile(r"(else\b)? ?(ifn?def|ifn?eq|endif\b)? ?(.*)")
_EQUAL = re.compile(r"""\s*\(?\s*["']?(.*?)["']?\s*(?:,|["']\s+["'])\s*["']?(.*?)["']?\s*\)?\s*""")
_REFERENCE = re.compile(r"\$[({]([\w-]+?)(?:-(?:y|m|objs))?[)}]")
_ADDPREFIX = re.compile(r"\$\(addprefix\s+([\w./-]+),([^()]*)\)")
#: Variables whose objects are linked into the kernel or are modules of their own.
_LISTS = frozenset({"obj", "lib", "libs", "core", "drivers", "net", "virt", "head", "subdir"})
_MAX_LINE_CHARS = 1 << 16
_MAX_STEPS = 500  # rules followed for one object
_MAX_REPLACED = 32  # rules above an assignment that it may replace
_MAX_ALTERNATIVES = 8  # conditions of one object that are listed in full


@dataclass(frozen=True, slots=True)
class Rule:
    """One assignment: ``words`` are added to ``target`` if all ``conditions`` hold."""

    target: str  # "obj" for obj-y and obj-$(CONFIG_X), "ext4" for ext4-objs, a variable's name
    words: tuple[str, ...]
    conditions: tuple[str, ...]  # "CONFIG_X", "!CONFIG_X", or the text of an ifeq, outermost first


@dataclass(frozen=True, slots=True)
class Build:
    """How a file is built. ``is_listed``: False where no list of a Makefile names it."""

    conditions: list[str]
    is_listed: bool


@dataclass(slots=True)
class Kbuild:
    """The rules of one Makefile, or of several that include each other."""

    rules: list[Rule] = field(default_factory=list)
    holders: dict[str, list[Rule]] = field(default_factory=dict)  # word -> rules that contain it

    def merged(self, other: Kbuild) -> Kbuild:
        """The rules of both files, as after make's ``include``."""
        holders = dict(self.holders)
        for word, rules in other.holders.items():
            holders[word] = [*holders.get(word, ()), *rules]
        return Kbuild(self.rules + other.rules, holders)

    def conditions_of(self, word: str) -> list[str] | None:
        """The conditions under which an object ("foo.o") or directory ("foo/") is built; None if it is not listed."""
        ways: list[tuple[str, ...]] = []
        pending: list[tuple[str, tuple[str, ...]]] = [(word, ())]
        for bits, condition in (("64", "CONFIG_64BIT"), ("32", "!CONFIG_64BIT")):
            if bits in word and (named := word.replace(bits, "$(BITS)")) in self.holders:
                pending.append((named, (condition,)))
        seen = {word}
        for _ in range(_MAX_STEPS):
            if not pending:
                break
            wanted, below = pending.pop()
            for rule in self.holders.get(wanted, ()):
                conditions = (*rule.conditions, *below)
                if rule.target in _LISTS:
                    ways.append(tuple(dict.fromkeys(conditions)))
                    continue
                for upper in (f"{rule.target}.o", f"$({rule.target})"):
                    if upper not in seen:
                        seen.add(upper)
                        pending.append((upper, conditions))
        return _either(ways) if ways else None


def parse_makefile(data: bytes) -> Kbuild:
    """Read the assignments of one Makefile or Kbuild file."""
    kbuild = Kbuild()
    open_branches: list[tuple[list[str], str]] = []  # (conditions of earlier branches, condition of this branch)
    for line in _logical_lines(data):
        if match := _branch(line):
            is_else, keyword, rest = match
            if keyword == "endif":
                del open_branches[-1:]
            elif not is_else:
                open_branches.append(([], _condition(keyword, rest)))
            elif open_branches:
                earlier, condition = open_branches.pop()
                open_branches.append(([*earlier[-8:], condition], _condition(keyword, rest)))
        elif assignment := _ASSIGNMENT.fullmatch(line):
            outer = [
                outer_condition
                for earlier, condition in open_branches[-16:]
                for outer_condition in (*map(negate, earlier), condition)
                if outer_condition
            ]
            _assign(kbuild, assignment[1].strip(), assignment[2], assignment[3], outer)
    return kbuild


def object_conditions(path: str, read: Callable[[str], bytes | None]) -> list[str]:
    """The conditions under which a C, assembly or Rust file of the tree is built, outermost first."""
    return build_of(path, read).conditions


def build_of(path: str, read: Callable[[str], bytes | None]) -> Build:
    """The conditions under which a C, assembly or Rust file of the tree is built, and whether a Makefile names it.

    ``read`` returns the bytes of a file, or None. The first condition of a file under ``arch/x86`` is "x86".
    Alternatives are joined in one condition, "CONFIG_A || CONFIG_B". A path outside the tree (absolute, or a URI) has
    no conditions, and nothing is read for it.
    """
    if not is_tree_path(path):
        return Build([], False)
    parts = path.split("/")
    arch = [parts[1]] if parts[0] == "arch" and len(parts) > 2 else []
    root = "/".join(parts[:2]) if arch else ""
    stem, extension = posixpath.splitext(path)
    if extension not in (".c", ".S", ".s", ".rs"):
        return Build(arch, False)
    directory, wanted = posixpath.dirname(path), posixpath.basename(stem) + ".o"
    conditions: list[str] = []
    is_listed = False
    below: Kbuild | None = None  # Makefiles further down that do not list it: a parent may include them
    for _ in range(path.count("/") + 1):
        kbuild = _kbuild_of(directory, read)
        if kbuild and below:
            kbuild = kbuild.merged(below)
        found = kbuild.conditions_of(wanted) if kbuild else None
        below = None if found is not None else kbuild or below
        if found is not None:
            conditions, is_listed = found + conditions, True
        if directory in (root, ""):
            break
        name = posixpath.basename(directory)
        wanted = f"{name}/" if found is not None else f"{name}/{wanted}"
        directory = posixpath.dirname(directory)
    return Build(list(dict.fromkeys(arch + conditions)), is_listed)


def built_by(config: str, data: bytes, directory: str) -> list[str]:
    """The paths that a CONFIG symbol builds in the Makefile of ``directory``: .c files, and directories with a final
    ``/``. Composite objects are expanded to the parts that need no other symbol."""
    symbol = "CONFIG_" + config.removeprefix("CONFIG_")
    kbuild = _parsed(data)
    parts: dict[str, list[Rule]] = {}
    for rule in kbuild.rules:
        parts.setdefault(rule.target, []).append(rule)
    found: dict[str, None] = {}
    seen: set[str] = set()
    pending = [word for rule in reversed(kbuild.rules) if symbol in rule.conditions for word in reversed(rule.words)]
    while pending:
        word = pending.pop()
        if word in seen:
            continue
        seen.add(word)
        reference = _REFERENCE.fullmatch(word)
        members = parts.get(reference[1] if reference else word.removesuffix(".o"), [])
        inner = [part for rule in members if set(rule.conditions) <= {symbol} for part in rule.words]
        if inner:
            pending += reversed(inner)
        elif word.endswith("/"):
            found[posixpath.normpath(posixpath.join(directory, word)) + "/"] = None
        elif word.endswith(".o") and "$" not in word:
            found[posixpath.normpath(posixpath.join(directory, word[:-2] + ".c"))] = None
    return list(found)


_parsed = lru_cache(maxsize=64)(parse_makefile)


def _kbuild_of(directory: str, read: Callable[[str], bytes | None]) -> Kbuild | None:
    for name in ("Kbuild", "Makefile"):
        data = read(posixpath.join(directory, name))
        if data is not None:
            return _parsed(data)
    return None


def _logical_lines(data: bytes) -> list[str]:
    """The lines with continuations joined, comments removed and blanks squeezed."""
    text = decode(data).replace("\r\n", "\n").replace("\\\n", " ")
    return [" ".join(line.partition("#")[0].split())[:_MAX_LINE_CHARS] for line in text.split("\n")]


def _branch(line: str) -> tuple[bool, str, str] | None:
    if not line.startswith(("if", "else", "endif")):
        return None
    match = _BRANCH.fullmatch(line)
    if match is None or not (match[1] or match[2]):
        return None
    return bool(match[1]), match[2] or "", match[3]


def _condition(keyword: str, rest: str) -> str:
    """The condition of ``ifdef``, ``ifeq`` and their negations; "" for a plain ``else``."""
    if keyword in ("ifdef", "ifndef"):
        name = rest.strip()
        return name if keyword == "ifdef" else negate(name)
    match = _EQUAL.fullmatch(rest[:512]) if keyword else None
    if match is None:
        return rest.strip()
    left, right = (match[1], match[2]) if "$" in match[1] else (match[2], match[1])
    symbols = _CONFIG.findall(left)
    if len(symbols) == 1 and right in ("y", "m", "", "n"):
        condition = symbols[0] if right in ("y", "m") else negate(symbols[0])
    else:
        condition = f"{left} == {right or 'empty'}"
    return condition if keyword == "ifeq" else negate(condition)


def _assign(kbuild: Kbuild, name: str, operator: str, value: str, outer: list[str]) -> None:
    target, conditions, selector = name, outer, ""
    if selected := _SELECTED.fullmatch(name):
        target, selector = selected[1], selected[2]
        symbols = _CONFIG.findall(selector)
        if selector == "n":
            return
        unset = selector[0] in "ym" and selector != "y" and selector != "m"
        conditions = outer + [negate(symbol) if unset else symbol for symbol in symbols]
    value = _ADDPREFIX.sub(lambda match: " ".join(match[1] + word for word in match[2].split()), value)
    words = tuple(
        f"$({reference[1]})" if (reference := _REFERENCE.fullmatch(word)) else word.removeprefix("./")
        for word in value.split()
        if word.endswith((".o", "/")) or _REFERENCE.fullmatch(word)
    )
    if not words:
        return
    replaced = _ONE_OPTION.fullmatch(selector) if operator != "+=" and target not in _LISTS else None
    if replaced:  # mmu-y := nommu.o, mmu-$(CONFIG_MMU) := memory.o: with the option y, make forgets the first
        _narrow(kbuild, target, outer, negate(replaced[1]))
    rule = Rule(target, words, tuple(dict.fromkeys(conditions)))
    kbuild.rules.append(rule)
    for word in dict.fromkeys(words):
        kbuild.holders.setdefault(word, []).append(rule)


def _narrow(kbuild: Kbuild, target: str, outer: list[str], condition: str) -> None:
    """Let the rules above for a list, under the conditions ``outer`` alone, hold under ``condition`` too."""
    for at in range(max(0, len(kbuild.rules) - _MAX_REPLACED), len(kbuild.rules)):
        rule = kbuild.rules[at]
        if rule.target == target and rule.conditions == tuple(outer):
            kbuild.rules[at] = narrowed = Rule(target, rule.words, (*rule.conditions, condition))
            for word in dict.fromkeys(rule.words):
                holders = kbuild.holders[word]
                holders[-_MAX_REPLACED:] = [narrowed if each is rule else each for each in holders[-_MAX_REPLACED:]]


def _either(ways: list[tuple[str, ...]]) -> list[str]:
    """The conditions common to all alternatives, then the rest of the alternatives as one condition."""
    ways = list(dict.fromkeys(ways))
    common = [condition for condition in ways[0] if all(condition in way for way in ways)]
    rests = list(dict.fromkeys(tuple(condition for condition in way if condition not in common) for way in ways))
    if not all(rests) or len(rests) > _MAX_ALTERNATIVES:
        return common
    return [*common, " || ".join(" && ".join(rest) for rest in rests)]
