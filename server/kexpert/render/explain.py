"""An explanation as a page of Markdown, as plain text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from urllib.parse import quote

from kexpert.features.explain.explanation import Explanation, Location, ReturnValue, Statement, Step, Written
from kexpert.render import markdown
from kexpert.render.hover_card import sentence as _sentence

Json: TypeAlias = dict[str, Any]
LinkOf: TypeAlias = Callable[[Location], str]

_MAX_LINKS = 4  # of one statement
_INDENT = "   "
#: kernel-doc's ``@parameter``, ``%CONSTANT`` and ``&struct type``: Documentation/doc-guide/kernel-doc.rst
_KERNEL_DOC_MARK = re.compile(r"(?<![\w&%@])[@%&](?=[A-Za-z_])((?:struct |union |enum |typedef )?\w+(?:(?:->|\.)\w+)*)")


def relative_link(location: Location) -> str:
    """``fs/open.c#L12``: a link relative to the root of the tree."""
    return f"{quote(location.path, safe='/', errors='surrogateescape')}#L{location.line + 1}"


# -- Markdown ------------------------------------------------------------------------------------


def to_markdown(found: Explanation, link_of: LinkOf = relative_link, hint: str = "") -> str:
    """A page that reads in a minute; every statement links to its lines. ``hint``: its last line, in italics."""
    page = _Markdown(found, link_of)
    sections = [
        page.head(), page.written(), page.calling(), page.steps(), page.users(), page.related(), page.gaps(),
        f"*{_sentence(_escaped(hint))}*" if hint else "",
    ]  # fmt: skip
    return "\n\n".join(section for section in sections if section) + "\n"


def written_section(found: Explanation, link_of: LinkOf = relative_link) -> str:
    """What a model wrote, as a section of the page; "" if it wrote nothing."""
    return _Markdown(found, link_of).written()


class _Markdown:
    def __init__(self, found: Explanation, link_of: LinkOf) -> None:
        self.found = found
        self.link_of = link_of

    def head(self) -> str:
        found = self.found
        origin = {"documentation": "from its documentation", "facts": "from the code"}[found.summary.origin]
        place = Location(found.path, found.line)
        source = found.summary.sources[0] if found.summary.sources else place
        summary = _sentence(_inline(found.summary.text))
        where = f"{_escaped(found.what[:1].upper() + found.what[1:])} in {self._link(place, full=True)}"
        built = ", ".join(_inline(statement.text[:1].lower() + statement.text[1:]) for statement in found.built)
        where += f", {built}" if built else ""
        parts = [f"# {markdown.code(found.name)}", f"{summary} *({origin}, {self._link(source)})*", where]
        if found.signature:
            parts.insert(2, markdown.block(found.signature))
        return "\n\n".join(parts)

    def written(self) -> str:
        texts = [text for text in (self.found.written_summary, self.found.written_text) if text is not None]
        if not texts:
            return ""
        paragraphs = [_sentence(_inline(text.text)) for text in texts]
        return "\n\n".join(["## In the words of a model", *paragraphs, self._mark(texts)])

    def _mark(self, texts: list[Written]) -> str:
        first = texts[0]
        adapter = f" with {markdown.code(first.adapter)}" if first.adapter else ""
        places = dict.fromkeys(place for text in texts for place in text.sources)
        links = self._links(places)
        return (
            f"*Machine-written by {markdown.code(first.model)}{adapter} from {links}: checked for names and numbers "
            "that are not there, not for truth.*"
        )

    def calling(self) -> str:
        found = self.found
        parts = []
        if found.calling:
            parts.append("\n".join(f"- {self._statement(statement)}" for statement in found.calling))
        if found.returns:
            rows = ["| Returns | When |", "| --- | --- |", *(self._row(row) for row in found.returns)]
            parts.append("\n".join(rows))
        return "\n\n".join(["## How to call it", *parts]) if parts else ""

    def _row(self, row: ReturnValue) -> str:
        when = []
        for statement in row.when:
            text = _inline(statement.text)
            links = self._links(statement.locations)
            when.append(f"{text} {links}".strip())
        return f"| {_cell(_inline(row.value))} | {_cell('; '.join(when))} |"

    def steps(self) -> str:
        lines = []
        number = 0
        for step in self.found.steps:
            link = self._link(Location(self.found.path, step.line))
            text = _inline(step.text) + (f" *“{_inline(step.remark)}”*" if step.remark else "")
            if step.depth == 0:
                number += 1
                lines.append(f"{number}. {text} {link}")
            else:
                indent = " " * (len(f"{number}. ") + 2 * (step.depth - 1))  # what belongs to an item begins at its text
                lines.append(f"{indent}- {text} {link}")
        return "## How it works\n\n" + "\n".join(lines) if lines else ""

    def users(self) -> str:
        lines = [f"- {self._statement(statement)}" for statement in self.found.users]
        return "## Who uses it\n\n" + "\n".join(lines) if lines else ""

    def related(self) -> str:
        lines = [f"- {self._statement(statement)}" for statement in self.found.related]
        return "## See also\n\n" + "\n".join(lines) if lines else ""

    def gaps(self) -> str:
        return "\n".join(f"*{_sentence(_escaped(gap))}*" for gap in self.found.gaps)

    def _statement(self, statement: Statement) -> str:
        return f"{_inline(statement.text)} {self._links(statement.locations)}".rstrip()

    def _links(self, locations: Iterable[Location]) -> str:
        places = list(locations)
        shown = " ".join(self._link(place) for place in places[:_MAX_LINKS])
        return shown + (" …" if len(places) > _MAX_LINKS else "")

    def _link(self, place: Location, full: bool = False) -> str:
        other = full or place.path != self.found.path
        text = f"{place.path}:{place.line + 1}" if other else f"L{place.line + 1}"
        return f"[{markdown.escape(' '.join(text.split()))}]({self.link_of(place)})"


def _inline(text: str) -> str:
    """Prose with code between backticks, and kernel-doc's marks."""
    pieces = _with_code(text).split("`")
    return "".join(
        markdown.code(piece) if at % 2 and piece.strip() else _escaped(piece) for at, piece in enumerate(pieces)
    )


def _with_code(text: str) -> str:
    """Prose with backticks around what kernel-doc marks."""
    pieces = text.split("`")
    return "`".join(piece if at % 2 else _KERNEL_DOC_MARK.sub(r"`\1`", piece) for at, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    return markdown.escape(" ".join(text.split("\n"))).replace("&", "&amp;")


def _cell(text: str) -> str:
    return text.replace("\\|", "|").replace("|", "\\|")


# -- plain text ----------------------------------------------------------------------------------


def to_plain_text(found: Explanation) -> str:
    """The page for a terminal: no marks, lines as ``path:line``."""
    origin = {"documentation": "from its documentation", "facts": "from the code"}[found.summary.origin]
    built = "".join(f", {_plain(statement.text[:1].lower() + statement.text[1:])}" for statement in found.built)
    parts = [f"{found.name} ({found.what}, {found.path}:{found.line + 1}{built})"]
    parts.append(f"{_sentence(_plain(found.summary.text))} ({origin})")
    if found.signature:
        parts.append(found.signature)
    for text in (found.written_summary, found.written_text):
        if text is not None:
            adapter = f" with {text.adapter}" if text.adapter else ""
            parts.append(f"{_sentence(text.text)} (machine-written by {text.model}{adapter})")
    calling = [f"- {_plain_statement(statement, found.path)}" for statement in found.calling]
    calling += [
        f"- Returns {_plain(row.value)}" + _plain_when(row, found.path)
        for row in found.returns
    ]  # fmt: skip
    for title, lines in (
        ("How to call it", calling),
        ("How it works", [_plain_step(step) for step in found.steps]),
        ("Who uses it", [f"- {_plain_statement(statement, found.path)}" for statement in found.users]),
        ("See also", [f"- {_plain_statement(statement, found.path)}" for statement in found.related]),
    ):
        if lines:
            parts.append("\n".join([title, *lines]))
    parts += [_sentence(gap) for gap in found.gaps]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return " ".join(_with_code(text).replace("`", "").split())


def _plain_statement(statement: Statement, path: str) -> str:
    return f"{_plain(statement.text)} {_plain_places(statement.locations, path)}".rstrip()


def _plain_when(row: ReturnValue, path: str) -> str:
    texts = []
    for statement in row.when:
        condition = f"if {_plain(statement.text)} " if statement.text else ""
        texts.append(condition + _plain_places(statement.locations, path))
    return f" {'; '.join(texts)}" if texts else ""


def _plain_places(locations: Iterable[Location], path: str) -> str:
    places = list(locations)
    names = [
        f"line {place.line + 1}" if place.path == path else f"{place.path}:{place.line + 1}"
        for place in places[:_MAX_LINKS]
    ]
    return f"({', '.join(names)}{', …' if len(places) > _MAX_LINKS else ''})" if names else ""


def _plain_step(step: Step) -> str:
    remark = f' "{_plain(step.remark)}"' if step.remark else ""
    return f"{_INDENT * step.depth}{step.line + 1:>5}  {_plain(step.text)}{remark}"


# -- JSON ----------------------------------------------------------------------------------------


def to_json(found: Explanation, link_of: LinkOf = relative_link) -> Json:
    """Lines count from 1, paths are relative to the tree. ``model`` and ``adapter`` are null where no model wrote the
    text. A step has a ``comment`` where the author wrote one. The summary is a model's only where there is none by
    the author."""
    summary, text = found.summary, found.written_text
    by_model = found.written_summary if summary.origin == "facts" else None
    return {
        "name": found.name,
        "path": found.path,
        "line": found.line + 1,
        "summary": (
            {"text": summary.text, "origin": summary.origin, "model": None, "adapter": None,
             "sources": _places(summary.sources)}
            if by_model is None else _written(by_model)
        ),
        "explanation": None if text is None else _written(text),
        "facts": [
            {"kind": fact.kind.value, "text": fact.text, "path": fact.path, "line": fact.line + 1}
            for fact in found.facts
        ],
        "steps": [_step(step) for step in found.steps],
        "markdown": to_markdown(found, link_of),
    }


def _step(step: Step) -> Json:
    found: Json = {"text": step.text, "line": step.line + 1, "depth": step.depth}
    return found | {"comment": step.remark} if step.remark else found


def _written(text: Written) -> Json:
    return {
        "text": text.text,
        "origin": "model",
        "model": text.model,
        "adapter": text.adapter or None,
        "sources": _places(text.sources),
    }


def _places(places: Iterable[Location]) -> list[Json]:
    return [{"path": place.path, "line": place.line + 1} for place in places]
