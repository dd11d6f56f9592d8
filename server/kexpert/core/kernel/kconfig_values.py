"""The values that Kconfig gives to all options: those of a defconfig, the defaults, what is selected and chosen.

The rules are those of scripts/kconfig/symbol.c. Options are computed in the order of their dependencies, without
recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kexpert.core.kernel.kconfig_tree import Choice, Entry, KconfigTree
from kexpert.core.kernel.tristate import LETTERS, LEVELS, MODULE, NO, YES, evaluate, parse, symbols_of

_CHECK_STOP_EVERY = 512


@dataclass(slots=True)
class _Reverse:
    """What other options say of one: (selecting or implying option, condition, its depends)."""

    selects: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    implies: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)


def kconfig_values(
    tree: KconfigTree,
    user: Mapping[str, str],
    all_no: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, str]:
    """The value of each option. ``user``: what a defconfig or ``.config`` says. ``all_no``: answer no to every other
    question, as ``make allnoconfig``. Empty if ``stop()``."""
    return _Values(tree, user, all_no).run(stop)


class _Values:
    def __init__(self, tree: KconfigTree, user: Mapping[str, str], all_no: bool) -> None:
        self.tree = tree
        self.user = user
        self.all_no = all_no
        self.values: dict[str, str] = {}
        self.chosen: dict[int, str] = {}  # choice -> member
        self.reverse: dict[str, _Reverse] = {}
        for name, entries in tree.options.items():
            for entry in entries:
                for target, condition in entry.selects:
                    self.reverse.setdefault(target, _Reverse()).selects.append((name, condition, entry.depends))
                for target, condition in entry.implies:
                    self.reverse.setdefault(target, _Reverse()).implies.append((name, condition, entry.depends))

    def run(self, stop: Callable[[], bool]) -> dict[str, str]:
        done: set[str | int] = set()
        started: set[str | int] = set()
        for count, root in enumerate(("MODULES", *self.tree.options)):
            if count % _CHECK_STOP_EVERY == 0 and stop():
                return {}
            pending: list[str | int] = [root]
            while pending:
                node = pending[-1]
                if node in done:
                    pending.pop()
                elif node in started:
                    self._compute(node)
                    done.add(node)
                    pending.pop()
                else:
                    started.add(node)
                    pending += [each for each in self._needs(node) if each not in started]
        return self.values

    def _needs(self, node: str | int) -> set[str | int]:
        """What must be computed before an option or a choice."""
        texts: list[str] = []
        found: set[str | int] = set()
        if isinstance(node, int):
            choice = self.tree.choices[node]
            entries = [choice.entry]
            for member in choice.members:
                entries += [entry for entry in self.tree.options.get(member, ()) if entry.choice == node]
        else:
            entries = self.tree.options.get(node, [])
            reverse = self.reverse.get(node)
            for selector, condition, depends in (*reverse.selects, *reverse.implies) if reverse else ():
                found.add(selector)
                texts += [condition, *depends]
        for entry in entries:
            texts += [*entry.depends, *entry.visible_if, entry.prompt_if or ""]
            for value, condition in entry.defaults:
                texts.append(condition)
                if not isinstance(node, int):
                    texts.append(value)
            if entry.choice >= 0 and not isinstance(node, int):
                found.add(entry.choice)
        for text in texts:
            if text:
                found.update(symbols_of(parse(text)))
        found.discard(node)
        return found

    # -- values ----------------------------------------------------------------------------------

    def _value_of(self, name: str) -> str:
        return self.values.get(name, "n" if name in self.tree.options else "")

    def _holds(self, text: str) -> int:
        return evaluate(parse(text), self._value_of) if text else YES

    def _all(self, texts: Iterable[str]) -> int:
        level = YES
        for text in texts:
            level = min(level, self._holds(text))
            if level == NO:
                break
        return level

    def _visibility(self, entry: Entry) -> int:
        """Whether the user is asked."""
        if entry.prompt_if is None:
            return NO
        return min(self._all(entry.depends), self._all(entry.visible_if), self._holds(entry.prompt_if))

    def _compute(self, node: str | int) -> None:
        if isinstance(node, int):
            self._choose(node, self.tree.choices[node])
            return
        entries = self.tree.options.get(node)
        if not entries:
            return
        kind = next((entry.type for entry in entries if entry.type), "bool")
        if kind in ("bool", "tristate"):
            level = self._level(node, entries)
            if level == MODULE and (kind == "bool" or self.values.get("MODULES") == "n"):
                level = YES
            self.values[node] = LETTERS[level]
        else:
            self.values[node] = self._text(node, entries, kind)

    def _level(self, name: str, entries: list[Entry]) -> int:
        choice = next((entry.choice for entry in entries if entry.choice >= 0), -1)
        visible = max(map(self._visibility, entries))
        kind = next((entry.type for entry in entries if entry.type), "bool")
        if visible == MODULE and (kind == "bool" or self.values.get("MODULES", "n") == "n"):
            visible = YES
        if choice >= 0 and visible == YES and self._is_asked(choice):
            return YES if self.chosen.get(choice) == name else NO
        level = NO
        reverse = self.reverse.get(name)
        depends = max(self._all(entry.depends) for entry in entries)
        answer = self._answer(name, choice)
        if visible and answer is not None:
            level = min(answer, visible)
        else:
            level = self._default(entries)
            for by, condition, outer in reverse.implies if reverse else ():
                implied = min(LEVELS.get(self._value_of(by), NO), self._holds(condition), self._all(outer))
                level = min(max(level, implied), depends) if implied else level
        for by, condition, outer in reverse.selects if reverse else ():
            selector = LEVELS.get(self._value_of(by), NO)
            if selector > level:
                level = max(level, min(selector, self._holds(condition), self._all(outer)))
        return level

    def _answer(self, name: str, choice: int) -> int | None:
        """What the user says to a question; None for nothing."""
        if name in self.user:
            return LEVELS.get(self.user[name], NO)
        return NO if self.all_no and choice < 0 else None

    def _default(self, entries: list[Entry]) -> int:
        for entry in entries:
            for value, condition in entry.defaults:
                level = min(self._holds(condition), self._all(entry.depends))
                if level:
                    # as a condition m is "m && MODULES", as a value it is not
                    return min(level, MODULE if value == "m" else self._holds(value))
        return NO

    def _text(self, name: str, entries: list[Entry], kind: str) -> str:
        if name in self.user and max(map(self._visibility, entries)):
            return self.user[name].strip('"') if kind == "string" else self.user[name]
        for entry in entries:
            for value, condition in entry.defaults:
                if min(self._holds(condition), self._all(entry.depends)):
                    expression = parse(value)
                    if expression[0] == "text":
                        return str(expression[1])
                    return self._value_of(value) if value in self.tree.options else value
        return "" if kind == "string" else "0"

    # -- choices ---------------------------------------------------------------------------------

    def _is_asked(self, choice: int) -> bool:
        return choice in self.chosen

    def _choose(self, number: int, choice: Choice) -> None:
        """The member that the user named last; else the first default that is visible, else the first member."""
        if not self._visibility(choice.entry):
            return
        visible = [member for member in choice.members if self._is_member_visible(number, member)]
        if not visible:
            return
        named = [member for member in visible if self.user.get(member) == "y"]
        if named:
            self.chosen[number] = named[-1]
            return
        for value, condition in choice.entry.defaults:
            if self._holds(condition) and value in visible:
                self.chosen[number] = value
                return
        self.chosen[number] = visible[0]

    def _is_member_visible(self, number: int, member: str) -> bool:
        entries = [entry for entry in self.tree.options.get(member, ()) if entry.choice == number]
        return any(self._visibility(entry) for entry in entries)
