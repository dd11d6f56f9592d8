"""``ByName``: the questions about a name, as methods, for those who have no cursor: agents, pages, commands.

A name is written as people write it: ``foo()``, ``struct foo``, ``file_operations.open``. ``path`` narrows an answer to
a file, a folder or a pattern of gitignore.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from kexpert.core.symbols import Kind, Symbol
from kexpert.view import FilterError, View
from kexpert.workspace.refusal import Refusal

if TYPE_CHECKING:
    from kexpert.features.explain.explanation import Explanation
    from kexpert.features.hover.card import HoverCard
    from kexpert.features.named.callers import Callees, Callers
    from kexpert.features.named.definitions import AskedName, Definitions
    from kexpert.features.named.details import Definition, DefinitionText, Locking, Responsible
    from kexpert.features.named.uses import Filled, Uses
    from kexpert.features.navigation.resolved_uses import ResolvedUses

Cancelled = Callable[[], bool]


class ByName:
    """Questions about names in one view of a tree. All raise Refusal for a name or path that is none."""

    def __init__(self, view: View, resolved_uses: Callable[[], ResolvedUses | None] = lambda: None) -> None:
        """``resolved_uses`` gives what earlier answers found out about uses of members."""
        self._view = view
        self._resolved_uses = resolved_uses

    def functions(self, name: str, path: str = "") -> Definitions:
        """Functions, system calls, macros, tracepoints and assembly functions."""
        from kexpert.features.named.definitions import FUNCTIONS

        return self._definitions(name, FUNCTIONS, path)

    def types(self, name: str, path: str = "") -> Definitions:
        """Structs, unions, enums and typedefs."""
        from kexpert.features.named.definitions import TYPES

        return self._definitions(name, TYPES, path)

    def records(self, name: str, path: str = "") -> Definitions:
        """Structs and unions."""
        from kexpert.features.named.definitions import RECORDS

        return self._definitions(name, RECORDS, path)

    def code(self, name: str, path: str = "") -> Definitions:
        """What has a body: functions, system calls and macros."""
        from kexpert.features.named.definitions import CODE

        return self._definitions(name, CODE, path)

    def options(self, name: str) -> Definitions:
        """A configuration option, with or without ``CONFIG_``."""
        return self._definitions(f"CONFIG_{name.strip().removeprefix('CONFIG_')}", (Kind.CONFIG,), "")

    def symbols(self, name: str, path: str = "") -> Definitions:
        """Definitions of any kind."""
        return self._definitions(name, (), path)

    def _definitions(self, name: str, kinds: Collection[Kind], path: str) -> Definitions:
        from kexpert.features.named.definitions import definitions

        try:
            return definitions(self._view, self.asked(name), kinds, path)
        except FilterError as reason:
            raise Refusal(str(reason)) from None

    def asked(self, name: str) -> AskedName:
        """The name and its owner. Raises Refusal."""
        from kexpert.features.named.definitions import asked_name

        asked = asked_name(name)
        if asked is None:
            raise Refusal(f"{name[:60]!r} is no C name; give one such as vfs_read, struct file or file_operations.open")
        return asked

    def described(self, symbols: Sequence[Symbol]) -> list[Definition]:
        from kexpert.features.named.details import described

        return described(self._view, symbols)

    def card_of(self, symbol: Symbol) -> HoverCard | None:
        from kexpert.features.named.details import card_of

        return card_of(self._view, symbol)

    def layout_card(self, symbol: Symbol) -> HoverCard | None:
        from kexpert.features.named.details import layout_card

        return layout_card(self._view, symbol)

    def text_of(self, symbol: Symbol, max_lines: int) -> DefinitionText | None:
        from kexpert.features.named.details import definition_text

        return definition_text(self._view, symbol, max_lines)

    def explained(self, symbol: Symbol) -> Explanation | None:
        from kexpert.features.named.details import explained

        return explained(self._view, symbol)

    def locking(self, symbol: Symbol) -> Locking | None:
        from kexpert.features.named.details import locking

        return locking(self._view, symbol)

    def responsible(self, path: str) -> Responsible | None:
        """Who maintains a file or folder of the tree."""
        from kexpert.features.named.details import responsible

        return responsible(self._view, path)

    def callers(self, symbol: Symbol, path: str, max_rows: int) -> Callers:
        from kexpert.features.named.callers import callers

        try:
            return callers(self._view, symbol, path, max_rows)
        except FilterError as reason:
            raise Refusal(str(reason)) from None

    def callees(self, symbol: Symbol, max_rows: int) -> Callees:
        from kexpert.features.named.callers import callees

        return callees(self._view, symbol, max_rows)

    def uses(self, symbol: Symbol, path: str, cancelled: Cancelled, max_rows: int) -> Uses | None:
        from kexpert.features.named.uses import uses

        try:
            return uses(self._view, symbol, path, cancelled, max_rows, self._resolved_uses())
        except FilterError as reason:
            raise Refusal(str(reason)) from None

    def filled(self, name: str, path: str, max_rows: int) -> Filled:
        """The functions assigned to an operation: ``read_iter`` of any struct, or ``file_operations.read_iter``."""
        from kexpert.features.named.uses import filled

        asked = self.asked(name)
        try:
            return filled(self._view, asked.owner, asked.name, path, max_rows)
        except FilterError as reason:
            raise Refusal(str(reason)) from None

    def filled_by(self, name: str, path: str, max_rows: int) -> Filled:
        """The operations to which a function is assigned."""
        from kexpert.features.named.uses import filled_by

        try:
            return filled_by(self._view, self.asked(name).name, path, max_rows)
        except FilterError as reason:
            raise Refusal(str(reason)) from None
