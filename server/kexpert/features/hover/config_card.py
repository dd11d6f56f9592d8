"""Cards of ``CONFIG_X``: the Kconfig entries, the value in ``.config``, what it builds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kexpert.core.kernel.kbuild import built_by
from kexpert.core.kernel.kconfig import KconfigEntry, parse_dotconfig, parse_kconfig
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import HoverCard, OptionHelp, Place
from kexpert.features.hover.card_reader import MAX_VARIANTS, Reading, arch_condition

_MAX_MAKEFILES = 12
_MAX_ENTRIES = 6
_MAX_BUILDS = 10


def config_card(reading: Reading, name: str, symbols: Sequence[Symbol]) -> HoverCard | None:
    """``name`` with or without ``CONFIG_``; None for an option that no Kconfig file has."""
    rows = [one for one in symbols if one.kind == Kind.CONFIG]
    if not rows:
        return None
    option = name.removeprefix("CONFIG_")
    card = HoverCard(f"CONFIG_{option}", "configuration option")
    card.place = _place(rows[0])
    card.variants = tuple(_place(row) for row in rows[1 : MAX_VARIANTS + 1])
    card.more_variants = max(0, len(rows) - 1 - MAX_VARIANTS)
    value = _dotconfig(reading.data(".config") or b"").get(option)
    entries = _entries(reading, option, rows)
    card.documentation = (OptionHelp(tuple(entries), value),) if entries else ()
    builds = _builds(reading, option, rows)
    card.builds, card.more_builds = builds[:_MAX_BUILDS], max(0, len(builds) - _MAX_BUILDS)
    card.maintainers = reading.maintainers(rows[0].path)
    return card


def _place(row: Symbol) -> Place:
    return Place(row.path, row.line, arch_condition(row.path))


def _entries(reading: Reading, option: str, rows: list[Symbol]) -> list[KconfigEntry]:
    entries: list[KconfigEntry] = []
    for path in dict.fromkeys(row.path for row in rows[:_MAX_ENTRIES]):
        data = reading.data(path)
        if data:
            entries += parse_kconfig(data, path).named(option)
    return entries


def _builds(reading: Reading, option: str, rows: list[Symbol]) -> tuple[str, ...]:
    """What ``obj-$(CONFIG_X)`` lines build, by paths in the tree."""
    mentioning = [
        path
        for path in reading.view.files_mentioning(f"CONFIG_{option}")
        if path.rpartition("/")[2] in ("Makefile", "Kbuild")
    ]
    beside = [f"{row.path.rpartition('/')[0]}/{name}".lstrip("/") for row in rows for name in ("Makefile", "Kbuild")]
    built: list[str] = []
    for path in list(dict.fromkeys(beside + mentioning))[:_MAX_MAKEFILES]:
        data = reading.data(path)
        if data:
            built += built_by(f"CONFIG_{option}", data, path.rpartition("/")[0])
    return tuple(dict.fromkeys(built))


@lru_cache(maxsize=2)
def _dotconfig(data: bytes) -> dict[str, str]:
    return parse_dotconfig(data)
