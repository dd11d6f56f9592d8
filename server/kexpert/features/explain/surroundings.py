"""The conditions under which code is built, pages under Documentation that name it, and similar functions."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.c.conditions import conditions_at
from kexpert.core.kernel.kbuild import object_conditions
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.explain.body import Body
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code, listed
from kexpert.view import FilterError, SearchMethod, View

#: Conditions that hold for all of the kernel's C and say nothing.
_ALWAYS = frozenset({"__KERNEL__", "!__ASSEMBLY__", "!__ASSEMBLER__", "!LINKER_SCRIPT"})
_MAX_SECTIONS = 3
_SEARCHED = 8
_MAX_SIMILAR = 3
_SIMILAR_SECONDS = 0.1


def config_conditions(view: View, body: Body) -> tuple[list[str], list[str]]:
    """(CONFIG conditions of the file, by its Makefile; conditions of ``#if`` around the function)."""
    makefile = [condition for condition in object_conditions(body.path, view.data) if "CONFIG_" in condition]
    return makefile, [each for each in conditions_at(body.source.data, body.start) if each not in _ALWAYS]


def config_facts(body: Body, makefile: Sequence[str], written: Sequence[str]) -> list[Fact]:
    """A fact for each condition."""
    texts = [f"built with {as_code(condition)} (Makefile)" for condition in makefile]
    texts += [f"compiled under {as_code('#if ' + condition)}" for condition in written]
    return [Fact(FactKind.CONFIG, text, body.path, body.first_line) for text in texts]


def config_statements(body: Body, makefile: Sequence[str], written: Sequence[str]) -> tuple[Statement, ...]:
    """The same for the page: one sentence for the Makefiles, one for ``#if``."""
    together = [
        (f"Built with {listed([as_code(each) for each in makefile], len(makefile))} (Makefile)", makefile),
        (f"compiled under {listed([as_code('#if ' + each) for each in written], len(written))}", written),
    ]
    place = (Location(body.path, body.first_line),)
    return tuple(Statement(text, place) for text, conditions in together if conditions)


def documentation_facts(view: View, name: str) -> list[Fact]:
    """Sections of Documentation that write the name out."""
    try:
        hits = view.search(f"{name} path:Documentation", _SEARCHED, SearchMethod.BM25)
    except FilterError:
        return []
    facts: list[Fact] = []
    word = name.encode()
    for hit in hits:
        if hit.kind is not ChunkKind.SECTION or len(facts) == _MAX_SECTIONS:
            continue
        data = view.data(hit.path)
        at = data.find(word, hit.start, hit.end) if data else -1
        if data and at >= 0 and not _is_within_word(data, at, len(word)):
            line = data.count(b"\n", 0, at)
            facts.append(Fact(FactKind.DOCUMENTATION, f"named in {as_code(hit.name or hit.path)}", hit.path, line))
    return facts


def _is_within_word(data: bytes, at: int, size: int) -> bool:
    around = data[at - 1 : at] + data[at + size : at + size + 1]
    return any(chr(byte).isalnum() or byte == 0x5F for byte in around)


def similar_facts(view: View, body: Body, symbol: Symbol) -> list[Fact]:
    """Functions of other files that are most like this one, if search finds them in time."""
    if symbol.kind not in (Kind.FUNCTION, Kind.SYSCALL):
        return []
    text = decode(body.source.data[symbol.start : symbol.end])
    chunk = Chunk(body.path, ChunkKind.FUNCTION, symbol.name, symbol.line, symbol.start, symbol.end, "", text)
    return [
        Fact(FactKind.SIMILAR, f"similar to {as_code(hit.name + '()')}", hit.path, hit.line)
        for hit in view.similar(chunk, _MAX_SIMILAR, other_files=True, timeout=_SIMILAR_SECONDS)
        if hit.name
    ]
