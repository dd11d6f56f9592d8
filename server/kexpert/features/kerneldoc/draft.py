"""``draft``: the kernel-doc comment of a definition with texts from its surroundings and its code.

Every text says where it is from. A model may better those that are from facts; ``Draft.with_texts`` puts them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc_writer import CommentTexts, write_comment
from kexpert.core.text import decode
from kexpert.features.kerneldoc.brief_text import factual_brief
from kexpert.features.kerneldoc.code_facts import code_facts
from kexpert.features.kerneldoc.completion import Edit, completed, completing_edits
from kexpert.features.kerneldoc.documented_names import documented_names
from kexpert.features.kerneldoc.parameter_texts import enumerator_texts, factual_text
from kexpert.features.kerneldoc.plain_comment import PlainComment, plain_comment
from kexpert.features.kerneldoc.target import Target
from kexpert.view import View

#: "documentation": the words of a comment that is there; "facts": made from the code.
TextOrigin = Literal["documentation", "facts", "model"]
BRIEF, RETURN = "brief", "Return"
_NO_COMMENT = PlainComment()


@dataclass(frozen=True, slots=True)
class DraftText:
    """One text. ``mark``: BRIEF, "@dev" or RETURN. ``is_certain``: a model would not do better."""

    mark: str
    text: str
    origin: TextOrigin
    is_certain: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A comment, or what completes one. Lines are 0-based."""

    path: str
    name: str
    line: int
    target: Target
    data: bytes
    code: str
    texts: tuple[DraftText, ...]
    context: str = ""
    plain: PlainComment = _NO_COMMENT
    #: (parameter, text) of comments nearby, for the prompt of a model.
    documented: tuple[tuple[str, str], ...] = ()
    #: Of the texts with the origin "model".
    model: str = ""
    adapter: str = ""

    @property
    def is_completion(self) -> bool:
        return self.target.existing is not None

    @property
    def stale(self) -> tuple[str, ...]:
        """What the comment that is there describes although it is not declared."""
        return self.target.existing.stale if self.target.existing is not None else ()

    def with_texts(self, texts: Mapping[str, str], model: str, adapter: str) -> Draft:
        """The draft with a model's texts, by mark."""
        if not texts:
            return self
        changed = (
            replace(each, text=texts[each.mark], origin="model") if each.mark in texts else each
            for each in self.texts
        )  # fmt: skip
        return replace(self, texts=tuple(changed), model=model, adapter=adapter)

    def edits(self) -> tuple[Edit, ...]:
        """What to change in the file, by position."""
        existing = self.target.existing
        if existing is not None:
            return completing_edits(self.data, self.target.declaration, existing, self._params(), self._text(RETURN))
        comment = self._written()
        if self.plain.span is not None:
            return (Edit(*self.plain.span, comment),)
        start = self.target.declaration.start
        return (Edit(start, start, comment + "\n"),)

    def comment(self) -> str:
        """The whole comment as it is after the edits."""
        existing = self.target.existing
        if existing is None:
            return self._written()
        return completed(self.data, existing, self.edits())

    def _written(self) -> str:
        return write_comment(
            CommentTexts(
                self.target.declaration.title, self._text(BRIEF), list(self._params().items()),
                self.plain.description if self.plain.span is not None else (), self.context, self._text(RETURN),
            )
        )  # fmt: skip

    def _text(self, mark: str) -> str:
        return next((each.text for each in self.texts if each.mark == mark), "")

    def _params(self) -> dict[str, str]:
        return {each.mark[1:]: each.text for each in self.texts if each.mark.startswith("@")}


def draft(view: View, source: Source, target: Target) -> Draft:
    """Texts for everything that the comment of a target lacks. No model is asked."""
    declaration, symbol, existing = target.declaration, target.symbol, target.existing
    facts = code_facts(view, source, symbol, declaration)
    is_called = declaration.kind in ("function", "macro")
    documented = documented_names(source.data, declaration.name, declaration.parameters) if is_called else {}
    plain = plain_comment(source.data, declaration.start, declaration.name) if existing is None else _NO_COMMENT
    wanted = declaration.parameters
    if existing is not None:
        wanted = tuple(each for each in wanted if each.name in existing.missing)
    texts: list[DraftText] = []
    is_member = declaration.kind in ("struct", "union")
    if existing is None:
        said = plain.brief or factual_brief(declaration, facts)
        texts.append(DraftText(BRIEF, said, "documentation" if plain.brief else "facts", bool(plain.brief)))
    values = enumerator_texts([p.name for p in declaration.parameters], [p.value for p in declaration.parameters])
    for each, value in zip(declaration.parameters, values, strict=True):
        if each not in wanted:
            continue
        known = each.comment or documented.get(each.name, "")
        use = (facts.uses or {}).get(each.name, "")
        text = known or (value if declaration.kind == "enum" else factual_text(each, use, is_member))
        texts.append(DraftText(f"@{each.name}", text, "documentation" if known else "facts", bool(known)))
    if declaration.returns is not None and (existing is None or existing.lacks_return):
        returned = facts.returns or _by_type(declaration.returns.text)
        texts.append(DraftText(RETURN, returned, "facts", bool(facts.returns)))
    return Draft(
        source.path, declaration.name, symbol.line, target, source.data,
        decode(source.data[declaration.start : symbol.end]), tuple(texts),
        facts.context if existing is None else "", plain, tuple(documented.items()),
    )  # fmt: skip


def _by_type(type_text: str) -> str:
    if type_text == "bool":
        return "true or false"
    if type_text.endswith("*"):
        return f"A pointer to ``{type_text.removesuffix('*').strip()}``"
    return f"A value of type ``{type_text}``"
