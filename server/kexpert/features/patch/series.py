"""The files of a diff before and after it, also of a series of patches that change one file several times.

A patch of a series may fit only a text that other patches of it have made, forwards or backwards. So what does not fit
is tried again after them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kexpert.core.unified_diff import FilePatch
from kexpert.features.patch.states import FileStates, states_of
from kexpert.view import View

#: Each round goes through what is left in the other order, so that few are needed.
_MAX_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class NamedPatch:
    """The patch of one file with its paths in the tree before and after it, "" for none."""

    patch: FilePatch
    old: str
    new: str

    @property
    def names(self) -> tuple[str, ...]:
        """The paths after and before it."""
        return tuple(dict.fromkeys(name for name in (self.new, self.old) if name))


@dataclass(frozen=True, slots=True)
class PlacedPatch:
    """``path``: the file of the tree whose text it is about. ``is_made``: other patches made that text."""

    named: NamedPatch
    states: FileStates
    path: str
    is_made: bool


def placed(
    view: View, patches: Sequence[NamedPatch], prefers_after: bool, cancelled: Callable[[], bool]
) -> Iterator[PlacedPatch]:
    """Each patch on the tree's text of its file, or on what the others make of it; those of other files at once, then
    those of a file that several change, in their order. Fewer if it is cancelled."""
    counts = Counter(name for each in patches for name in each.names)
    series = []
    for each in patches:
        if any(counts[name] > 1 for name in each.names):
            series.append(each)
        elif not cancelled():
            yield _placed(each, _Texts(view), prefers_after)
    numbers = range(len(series))
    orders = [_in_order(view, series, order, prefers_after, cancelled) for order in (numbers, numbers[::-1])]
    yield from max(orders, key=_agreement) if series else ()


def _placed(each: NamedPatch, texts: _Texts, prefers_after: bool) -> PlacedPatch:
    path, data, is_made = texts.of(each)
    return PlacedPatch(each, states_of(each.patch, data, prefers_after), path, is_made)


def _in_order(
    view: View, series: Sequence[NamedPatch], order: Sequence[int], prefers_after: bool, cancelled: Callable[[], bool]
) -> list[PlacedPatch]:
    """The patches of a series, each on what those before it in ``order`` make of its file."""
    texts = _Texts(view)
    found: dict[int, PlacedPatch] = {}
    waiting = list(order)
    for last in [False] * (_MAX_ROUNDS - 1) + [True]:
        left = []
        for number in waiting:
            if cancelled():
                return []
            each = _placed(series[number], texts, prefers_after)
            if each.states.unplaced and not last:
                left.append(number)
                continue
            found[number] = each
            texts.apply(each)
        waiting = left[::-1]
    return [found[number] for number in range(len(series))]


def _agreement(placed: Sequence[PlacedPatch]) -> tuple[int, int]:
    """How many patches fit, and how many of them find the tree in the same state."""
    fitting = [each.states.state for each in placed if not each.states.unplaced]
    return len(fitting), max(Counter(fitting).values(), default=0)


class _Texts:
    """The texts of the tree's files and what patches make of them."""

    def __init__(self, view: View) -> None:
        self._view = view
        #: Under each name of a file: its path in the tree, and its text now.
        self._made: dict[str, tuple[str, bytes]] = {}

    def of(self, each: NamedPatch) -> tuple[str, bytes | None, bool]:
        """(path in the tree, text, whether it was made)."""
        for name in each.names:
            if name in self._made:
                return *self._made[name], True
        for name in each.names:
            data = self._view.data(name)
            if data is not None:
                return name, data, False
        return each.names[0], None, False

    def apply(self, each: PlacedPatch) -> None:
        """Go on with the other text: that after the patch if it was not applied, else that before it."""
        text = each.states.new if each.states.is_old_in_tree and each.named.new else each.states.old
        for name in each.named.names:
            self._made[name] = each.path, text
