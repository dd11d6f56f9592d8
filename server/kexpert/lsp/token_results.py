"""The last semantic tokens of each document, so that only what changed is sent."""

from __future__ import annotations

import threading
from collections import OrderedDict

_MAX_DOCUMENTS = 24


class TokenResults:
    """The last answers, by URI. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[str, list[int]]] = OrderedDict()
        self._count = 0

    def keep(self, uri: str, data: list[int]) -> str:
        """Keep an answer; its id."""
        with self._lock:
            self._count += 1
            result_id = str(self._count)
            self._kept[uri] = result_id, data
            self._kept.move_to_end(uri)
            while len(self._kept) > _MAX_DOCUMENTS:
                self._kept.popitem(last=False)
        return result_id

    def known(self, uri: str, result_id: str) -> list[int] | None:
        with self._lock:
            found = self._kept.get(uri)
        return found[1] if found and found[0] == result_id else None
