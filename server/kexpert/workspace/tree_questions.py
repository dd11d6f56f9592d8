"""Questions about the whole tree: text, call chains, patches. ``Snapshot`` has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kexpert.workspace.refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from kexpert.core.c.source import Source
    from kexpert.features.callgraph.chain import CallChain
    from kexpert.features.callgraph.kept_calls import KeptCalls
    from kexpert.features.callgraph.path import CallPath
    from kexpert.features.grep.grep import GrepAnswer
    from kexpert.features.patch.patch import PatchReport
    from kexpert.view import View
    from kexpert.workspace.snapshot import Position

Cancelled = Callable[[], bool]


def _never() -> bool:
    return False


class TreeQuestions:
    """The part of ``Snapshot`` that asks ``view`` alone."""

    if TYPE_CHECKING:

        @property
        def view(self) -> View: ...
        @property
        def root(self) -> Path | None: ...
        @property
        def kept(self) -> dict[str, Any]: ...
        def locate(self, at: Position) -> tuple[Source, int] | None: ...

    @property
    def kept_calls(self) -> KeptCalls:
        """Where earlier answers found calls."""
        from kexpert.features.callgraph.kept_calls import KeptCalls

        found: KeptCalls = self.kept.setdefault("kept_calls", KeptCalls())
        return found

    def call_chain(
        self, name: str, *, up: int = 2, down: int = 3, width: int = 12, max_nodes: int = 150,
        cancelled: Cancelled = _never,
    ) -> CallChain | None:  # fmt: skip
        """The callers above a function and the callees below it, direct and through ops tables; None if the tree
        has no function or macro of that name. ``width``: edges of one function; ``max_nodes``: of one direction."""
        from kexpert.features.callgraph.chain import ChainLimits, call_chain

        return call_chain(self.view, name, ChainLimits(up, down, width, max_nodes), cancelled, self.kept_calls)

    def call_chain_at(
        self, at: Position, *, up: int = 2, down: int = 3, cancelled: Cancelled = _never
    ) -> CallChain | None:
        """The chain around the function that a position names, else around the one that it is in; None if neither."""
        from kexpert.features.callgraph.chain import ChainLimits, chain_around
        from kexpert.features.callgraph.cursor import functions_at

        place = self.locate(at)
        found = functions_at(self.view, *place) if place else []
        limits = ChainLimits(up, down)
        return chain_around(self.view, found[0], found[1:], limits, cancelled, self.kept_calls) if found else None

    def call_path(self, name: str, other: str, cancelled: Cancelled = _never) -> CallPath | None:
        """The shortest chain of calls between two functions, in either direction; None if one does not exist."""
        from kexpert.features.callgraph.path import shortest_path

        return shortest_path(self.view, name, other, cancelled)

    def is_function(self, name: str) -> bool:
        """Whether the tree has a function or macro of that name."""
        from kexpert.features.callgraph.definitions import definitions_named

        return bool(definitions_named(self.view, name))

    def grep(
        self, pattern: str, *, is_fixed: bool = False, ignores_case: bool = False, paths: Sequence[str] = (),
        kinds: Sequence[str] = (), configs: Sequence[str] = (), max_results: int = 50, max_lines: int = 5,
        cancelled: Cancelled = _never,
    ) -> GrepAnswer:  # fmt: skip
        """Definitions whose text matches an expression in RE2's syntax; see ``features.grep.query.GrepQuery``.

        Raises Refusal for a pattern or filter that cannot be used."""
        from kexpert.features.grep.grep import grep
        from kexpert.features.grep.query import BadQuery, GrepQuery

        query = GrepQuery(
            pattern, is_fixed, ignores_case, tuple(paths), tuple(kinds), tuple(configs), max_results, max_lines
        )
        try:
            return grep(self.view, query, cancelled)
        except BadQuery as reason:
            raise Refusal(str(reason)) from None

    def patch(self, data: bytes, cancelled: Cancelled = _never) -> PatchReport:
        """What a unified diff touches in the tree, who depends on that, and who maintains it."""
        from kexpert.features.patch.patch import patch_report

        return patch_report(self.view, data, cancelled=cancelled, kept=self.kept_calls)

    def patch_of_revision(self, revision: str = "HEAD", cancelled: Cancelled = _never) -> PatchReport:
        """The same of ``git diff REV`` or ``REV..REV`` in the tree. Raises Refusal."""
        from kexpert.features.patch.patch import patch_report
        from kexpert.workspace.git_diff import git_diff

        if self.root is None:
            raise Refusal("there is no kernel tree whose revisions could be compared")
        data = git_diff(self.root, revision, cancelled)
        return patch_report(self.view, data, prefers_after=".." not in revision, cancelled=cancelled)
