"""The neighbouring texts that were tokenized so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kexpert.abilities import NO_NEIGHBOURS, Neighbours
from kexpert.model.copying.line_features import LineFeatures
from kexpert.model.copying.token_index import Ids, TokenClasses, TokenIndex


class NeighbourIndex:
    """Tokens and line features of the current neighbours, by their keys.

    Ingesting takes nearly a second a megabyte, so each text is ingested once, and as far as time allows. A text that
    is not ingested yet is not copied from.
    """

    def __init__(self, pieces: Sequence[bytes], encode: Callable[[str], list[int]]) -> None:
        self.classes = TokenClasses(pieces)
        self.encode = encode
        self.neighbours: Neighbours = NO_NEIGHBOURS
        self._ingested: dict[str, tuple[Ids, LineFeatures]] = {}
        self._joined: tuple[tuple[str, ...], TokenIndex, LineFeatures] | None = None

    def set_neighbours(self, neighbours: Neighbours) -> None:
        """Make these the current neighbours, and forget all others."""
        self.neighbours = neighbours
        keys = {text.key for text in neighbours.texts}
        self._ingested = {key: found for key, found in self._ingested.items() if key in keys}

    def ingest(self, should_stop: Callable[[], bool]) -> bool:
        """Ingest the current neighbours, nearest first, until ``should_stop()``. Returns True if nothing is left."""
        for text in self.neighbours.texts:
            if text.key not in self._ingested:
                if should_stop():
                    return False
                self._ingested[text.key] = np.array(self.encode(text.text), np.int32), LineFeatures(text.text)
        return True

    def joined(self) -> tuple[TokenIndex, LineFeatures]:
        """All ingested texts in one index; the result is cached until another text is ingested or forgotten."""
        texts = [text for text in self.neighbours.texts if text.key in self._ingested]
        keys = tuple(text.key for text in texts)
        if self._joined is None or self._joined[0] != keys:
            found = [self._ingested[text.key] for text in texts]
            index = TokenIndex(
                self.classes, [(ids, text.proximity) for (ids, _), text in zip(found, texts, strict=True)]
            )
            self._joined = keys, index, LineFeatures.joined([lines for _, lines in found])
        return self._joined[1:]
