"""What the uses of members mean, as far as earlier answers found it out, in this process and in the tree's cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kexpert.background.database import cache_directory
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.workspace.text_cache import TextCache, key_of

FILE_NAME = "member-uses.db"
#: One for each file and name: some 500 bytes each.
_MAX_TEXTS = 100_000


def resolved_uses_of(root: Path | None, kept: dict[str, Any]) -> ResolvedUses:
    """Those of a tree; ``kept``: what its workspace keeps between questions. Without a tree, in memory alone."""
    name = f"resolved_uses {root}"
    if name not in kept:
        kept.setdefault(name, ResolvedUses(_Store(root) if root is not None else None))
    found: ResolvedUses = kept[name]
    return found


class _Store:
    def __init__(self, root: Path) -> None:
        self._texts = TextCache(cache_directory(root), FILE_NAME, _MAX_TEXTS, max_in_memory=0)

    def get(self, key: str) -> str | None:
        return self._texts.get(key_of(key))

    def put(self, key: str, text: str) -> None:
        self._texts.put(key_of(key), text)
