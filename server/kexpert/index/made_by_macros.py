"""The names that macros of other files make: expanded when all files that changed are in the index.

The rows of a file's made names follow its own, from ``MADE_ROWS`` on. A file waits in ``unexpanded`` until they are up
to date: after it was read, and after a file was read that defines a macro which its calls need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.core.c.macro_text import Macro
from kexpert.core.c.made_elsewhere import Expander, symbols_made
from kexpert.core.symbols import Flag, Kind, OpenCall, Symbol
from kexpert.index.macro_finder import MacroFinder
from kexpert.index.schema import FILE_SHIFT, MADE_ROWS, SymbolStore

_FILES_PER_COMMIT = 100
_TITLE = "Names that macros make"


def is_expansion_due(store: SymbolStore) -> bool:
    return store.db.execute("SELECT 1 FROM unexpanded LIMIT 1").fetchone() is not None


def expand_open_calls(
    root: Path,
    store: SymbolStore,
    on_progress: OnProgress = ignore_progress,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Expand the open calls of the files that wait for it. What is committed stays when cancelled."""
    db = store.db
    finder = MacroFinder(root, lambda sql, values: db.execute(sql, tuple(values)).fetchall())
    makes: dict[Macro, bool] = {}
    files = db.execute("SELECT f.id, f.path FROM unexpanded u JOIN files f ON f.id = u.file ORDER BY f.path").fetchall()
    shows_progress = len(files) > _FILES_PER_COMMIT
    for done in range(0, len(files), _FILES_PER_COMMIT):
        if cancelled():
            break
        db.execute("BEGIN IMMEDIATE")
        try:
            for file_id, path in files[done : done + _FILES_PER_COMMIT]:
                _expand_file(store, finder, makes, file_id, path)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        if shows_progress:
            on_progress(Progress(_TITLE, min(done + _FILES_PER_COMMIT, len(files)), len(files)))
    if shows_progress:
        on_progress(Progress(_TITLE, len(files), len(files), "", finished=True))


def _expand_file(
    store: SymbolStore, finder: MacroFinder, makes: dict[Macro, bool], file_id: int, path: str
) -> None:
    db = store.db
    first, last = file_id << FILE_SHIFT, (file_id + 1) << FILE_SHIFT
    rows = db.execute(
        "SELECT macro, prefix, arguments, start, end, line, opening, written FROM open_calls"
        " WHERE id >= ? AND id < ? ORDER BY id",
        (first, last),
    )
    calls = [OpenCall._make(row) for row in rows]
    names = db.execute("SELECT name FROM symbols WHERE id >= ? AND id < ?", (first, first + MADE_ROWS))
    known = {row[0] for row in names}
    expander = Expander(finder.definitions_for(path))
    symbols, called = symbols_made(path, calls, expander, known, makes)
    made = db.execute(
        "SELECT id, name, kind, line, at, start, end, coalesce(scope, ''), flags FROM symbols"
        " WHERE id >= ? AND id < ? ORDER BY id",
        (first + MADE_ROWS, last),
    ).fetchall()
    before = [
        Symbol(name, Kind(kind), path, line, at, start, end, scope, Flag(flags))
        for _, name, kind, line, at, start, end, scope, flags in made
    ]
    if symbols != before:
        # the rows of callers have no index by file: new ids make the old ones lead nowhere
        base = made[-1][0] + 1 if made else first + MADE_ROWS
        store.delete_symbols(first + MADE_ROWS, last)
        _insert(store, base, symbols[: last - base], called)
    db.executemany(
        "INSERT OR IGNORE INTO expansions VALUES (?, ?)",
        [(needed, macro) for macro, needed in expander.needed if needed != macro],
    )
    db.execute("DELETE FROM unexpanded WHERE file = ?", (file_id,))


def _insert(store: SymbolStore, base: int, symbols: list[Symbol], called: list[tuple[int, str]]) -> None:
    store.db.executemany(
        "INSERT INTO symbols (id, name, kind, flags, line, at, start, end, scope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (base + i, s.name, s.kind, s.flags, s.line, s.name_start, s.start, s.end, s.scope or None)
            for i, s in enumerate(symbols)
        ],
    )
    store.insert_subwords(base, symbols)
    store.db.executemany(
        "INSERT INTO calls VALUES (?, ?)",
        [(callee, base + caller) for caller, callee in called if caller < len(symbols)],
    )
