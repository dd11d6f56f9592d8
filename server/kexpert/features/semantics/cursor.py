"""Everything that a feature asks about one cursor; each part is computed once, when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from kexpert.core.c.cursor_context import LexicalClass, enclosing_tokens, lexical_class
from kexpert.core.c.declarators import CType
from kexpert.core.c.function_extent import Function, enclosing_function
from kexpert.core.c.scope import Local, locals_at
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View


@dataclass(frozen=True)
class CursorContext:
    """A place in a text. ``offset`` is in bytes."""

    view: View = field(repr=False)
    source: Source = field(repr=False)
    offset: int

    @cached_property
    def lexical_class(self) -> LexicalClass:
        """Code, comment or string: where a character typed here lands."""
        return lexical_class(self.source.data, self.offset)

    @cached_property
    def function(self) -> Function | None:
        """The function around the cursor."""
        return enclosing_function(self.source, self.offset)

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens of the function, the macro or the declaration at file level around the cursor."""
        return enclosing_tokens(self.source, self.offset)

    @cached_property
    def locals(self) -> list[Local]:
        """Parameters and locals that can be named here, innermost first."""
        return [local for local in self._named if local.kind != "label"]

    @cached_property
    def labels(self) -> list[Local]:
        """Labels of the function."""
        return [local for local in self._named if local.kind == "label"]

    @cached_property
    def local_types(self) -> dict[str, CType]:
        """The type of each local by its name."""
        return {local.name: local.type for local in self.locals}

    @cached_property
    def types(self) -> Types:
        """Type inference in this text; it keeps what it looks up."""
        return Types(self.view, self.source, {self.offset: self.local_types})

    @cached_property
    def _named(self) -> list[Local]:
        return locals_at(self.source, self.offset)
