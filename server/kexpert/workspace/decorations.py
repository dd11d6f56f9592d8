"""What an editor draws into a file or beside it, asked of a ``Snapshot``: colours, inactive branches, hints, lenses,
links, hierarchies of types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexpert.core.symbols import Symbol
from kexpert.workspace.snapshot import Cancelled, Position, Snapshot, never

if TYPE_CHECKING:
    from kexpert.features.decorations.code_lenses import Lens, LensKind
    from kexpert.features.decorations.document_links import Link
    from kexpert.features.decorations.inlay_hints import Hint
    from kexpert.features.decorations.semantic_tokens import SemanticToken

_C_FILES = (".c", ".h")


def semantic_tokens(
    snapshot: Snapshot, start: Position, end: Position, cancelled: Cancelled = never
) -> list[SemanticToken]:
    """The names between two positions of a C file with what they are."""
    from kexpert.features.decorations.semantic_tokens import semantic_tokens

    first, last = snapshot.locate(start), snapshot.locate(end)
    if first is None or last is None or not start.path.endswith(_C_FILES):
        return []
    return semantic_tokens(snapshot.view, first[0], first[1], last[1], cancelled)


def all_semantic_tokens(snapshot: Snapshot, path: str, cancelled: Cancelled = never) -> list[SemanticToken] | None:
    """The same of a whole file; None for one that is too long."""
    from kexpert.features.decorations.semantic_tokens import MAX_BYTES, semantic_tokens

    source = snapshot.source(path)
    if source is None or not path.endswith(_C_FILES) or len(source.data) > MAX_BYTES:
        return None
    return semantic_tokens(snapshot.view, source, 0, len(source.data), cancelled)


def inactive_regions(snapshot: Snapshot, path: str) -> list[tuple[int, int]] | None:
    """(first line, last line) of the branches that the configuration in view leaves out; None where they are not shown.

    Nothing is left out for a configuration that nobody chose: neither by ``.config`` nor by a setting.
    """
    from kexpert.features.decorations.inactive_regions import inactive_regions

    source = snapshot.source(path)
    if source is None or not path.endswith((*_C_FILES, ".S")) or not snapshot.settings.inactive_enabled:
        return None
    configuration = snapshot.view.configuration
    if configuration.origin != ".config" and not snapshot.settings.configuration:
        return []
    return inactive_regions(source, configuration.option)


def inlay_hints(snapshot: Snapshot, start: Position, end: Position, cancelled: Cancelled = never) -> list[Hint]:
    """The hints between two positions that the settings ask for."""
    from kexpert.features.decorations.inlay_hints import HintConfig, inlay_hints

    settings = snapshot.settings
    config = HintConfig(settings.hints_parameters, settings.hints_enumerators, settings.hints_sizes)
    first, last = snapshot.locate(start), snapshot.locate(end)
    if first is None or last is None or not start.path.endswith(_C_FILES) or config == HintConfig(False, False, False):
        return []
    return inlay_hints(snapshot.view, first[0], first[1], last[1], config, cancelled)


def code_lenses(snapshot: Snapshot, path: str) -> list[Lens]:
    """The lenses of a file that the settings ask for; their counts are asked for one by one."""
    from kexpert.features.decorations.code_lenses import LensConfig, code_lenses

    source, settings = snapshot.source(path), snapshot.settings
    config = LensConfig(settings.lenses_callers, settings.lenses_implementations)
    if source is None or not path.endswith(_C_FILES) or config == LensConfig(False, False):
        return []
    return code_lenses(source, config)


def lens_title(snapshot: Snapshot, kind: LensKind, symbol: Symbol) -> str:
    """What a lens of callers or implementations says."""
    from kexpert.features.decorations.code_lenses import lens_title

    return lens_title(snapshot.view, kind, symbol)


def document_links(snapshot: Snapshot, path: str, cancelled: Cancelled = never) -> list[Link]:
    """The files that a file names."""
    from kexpert.features.decorations.document_links import document_links

    source = snapshot.source(path)
    return document_links(snapshot.view, source, cancelled) if source else []


def prepare_types(snapshot: Snapshot, at: Position) -> list[Symbol]:
    """The struct of operations, or the table, at a position."""
    from kexpert.features.navigation.type_hierarchy import prepare

    place = snapshot.locate(at)
    return prepare(snapshot.view, *place) if place else []


def supertypes(snapshot: Snapshot, symbol: Symbol) -> list[Symbol]:
    """The struct of operations of a table."""
    from kexpert.features.navigation.type_hierarchy import supertypes

    return supertypes(snapshot.view, symbol)


def subtypes(snapshot: Snapshot, symbol: Symbol, cancelled: Cancelled = never) -> list[Symbol]:
    """The tables of a struct of operations."""
    from kexpert.features.navigation.type_hierarchy import subtypes

    return subtypes(snapshot.view, symbol, cancelled)
