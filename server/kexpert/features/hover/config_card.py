"""Cards of ``CONFIG_X``: the Kconfig entries, the value in ``.config``, the sources that it builds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kexpert.core.kernel.kbuild import built_by
from kexpert.core.kernel.kconfig import KconfigEntry, parse_dotconfig, parse_kconfig
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import HoverCard, OptionHelp, Place
from kexpert.features.hover.card_reader import MAX_VARIANTS, CardReader, arch_condition

_MAX_MAKEFILES = 12
_MAX_ENTRIES = 6
_MAX_BUILDS = 10
_MAKEFILES = ("Makefile", "Kbuild")


def config_card(reader: CardReader, name: str, symbols: Sequence[Symbol]) -> HoverCard | None:
    """``name`` with or without ``CONFIG_``; None for an option that no Kconfig file has."""
    options = [symbol for symbol in symbols if symbol.kind == Kind.CONFIG]
    if not options:
        return None
    option = name.removeprefix("CONFIG_")
    card = HoverCard(f"CONFIG_{option}", "configuration option")
    card.place = _place(options[0])
    card.variants = tuple(_place(symbol) for symbol in options[1 : MAX_VARIANTS + 1])
    card.more_variants = max(0, len(options) - 1 - MAX_VARIANTS)
    card.maintainers = reader.maintainers(options[0].path)
    value = _parsed_dotconfig(reader.data(".config") or b"").get(option)
    entries = _entries(reader, option, options)
    card.documentation = (OptionHelp(tuple(entries), value),) if entries else ()
    builds = _builds(reader, option, options)
    card.builds, card.more_builds = builds[:_MAX_BUILDS], max(0, len(builds) - _MAX_BUILDS)
    return card


def _place(symbol: Symbol) -> Place:
    """The place of an entry. Kconfig's own conditions are in the documentation."""
    return Place(symbol.path, symbol.line, arch_condition(symbol.path))


def _entries(reader: CardReader, option: str, options: list[Symbol]) -> list[KconfigEntry]:
    entries: list[KconfigEntry] = []
    for path in dict.fromkeys(symbol.path for symbol in options[:_MAX_ENTRIES]):
        data = reader.data(path)
        if data:
            entries += parse_kconfig(data, path).named(option)
    return entries


def _builds(reader: CardReader, option: str, options: list[Symbol]) -> tuple[str, ...]:
    """The paths that ``obj-$(CONFIG_X)`` lines build."""
    mentioning = [
        path
        for path in reader.view.files_mentioning(f"CONFIG_{option}")
        if path.rpartition("/")[2] in _MAKEFILES
    ]
    beside = [f"{symbol.path.rpartition('/')[0]}/{name}".lstrip("/") for symbol in options for name in _MAKEFILES]
    built: list[str] = []
    for path in list(dict.fromkeys(beside + mentioning))[:_MAX_MAKEFILES]:
        data = reader.data(path)
        if data:
            built += built_by(f"CONFIG_{option}", data, path.rpartition("/")[0])
    return tuple(dict.fromkeys(built))


@lru_cache(maxsize=2)
def _parsed_dotconfig(data: bytes) -> dict[str, str]:
    return parse_dotconfig(data)
