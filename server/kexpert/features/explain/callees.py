"""One-line descriptions of the functions that are called, from their kernel-doc or from what they are known to do."""

from __future__ import annotations

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import comment_above, parse_kerneldoc
from kexpert.core.symbols import Kind
from kexpert.features.navigation.call_hierarchy import best_callee
from kexpert.view import View

_MAX_LOOKUPS = 16  # callees of one function
_MAX_CHARS = 70
_SAYS_NOTHING = frozenset(("likely", "unlikely", "container_of", "min", "max", "ARRAY_SIZE", "sizeof", "IS_ERR",
                           "PTR_ERR", "ERR_PTR", "READ_ONCE", "WRITE_ONCE", "IS_ENABLED"))  # fmt: skip


class Briefs:
    """Summaries of callees, each looked up once; none once too many were asked for."""

    def __init__(self, view: View, source: Source) -> None:
        self._view = view
        self._source = source
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The summary line of a function's kernel-doc without its full stop; "" if it has none."""
        if name not in self._known:
            if len(self._known) >= _MAX_LOOKUPS or name in _SAYS_NOTHING or name.isupper():
                return ""
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> str:
        symbol = best_callee(self._view, self._source, name)
        if symbol is None or symbol.kind not in (Kind.FUNCTION, Kind.SYSCALL, Kind.PROTOTYPE, Kind.MACRO):
            return ""
        data = self._source.data if symbol.path == self._source.path else self._view.data(symbol.path)
        span = comment_above(data, symbol.start) if data else None
        doc = parse_kerneldoc(data[span[0] : span[1]]) if data and span else None
        if doc is None or doc.name.removesuffix("()") != name:
            return ""
        text = " ".join(doc.summary.replace("`", "'").split()).rstrip(".")
        if not text or len(text) > _MAX_CHARS * 2:
            return ""
        return text if len(text) <= _MAX_CHARS else text[:_MAX_CHARS].rsplit(None, 1)[0] + " …"
