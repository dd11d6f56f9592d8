"""Which symbols kernel C can mean: not another file's private ones, not what is there for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kexpert.core.c.conditions import conditions_at
from kexpert.core.symbols import Flag, Kind, Symbol

_LINKED = (
    Kind.FUNCTION, Kind.PROTOTYPE, Kind.VARIABLE, Kind.DECLARATION, Kind.SYSCALL, Kind.TRACEPOINT, Kind.ASM_LABEL,
    Kind.CONFIG,
)  # fmt: skip


def is_private(symbol: Symbol) -> bool:
    """Whether only the symbol's own ``.c`` file can mean it: a static, or what only a header shares."""
    if symbol.path.endswith(".h"):
        return False
    return bool(symbol.flags & Flag.STATIC) or symbol.kind not in _LINKED


#: Conditions under which a text is not the kernel's C.
_FOREIGN = frozenset({"!__KERNEL__", "__ASSEMBLY__", "__ASSEMBLER__", "LINKER_SCRIPT"})
_LOOKED_AT = 6


def is_for_kernel(symbol: Symbol, data: bytes | None) -> bool:
    """Whether a definition in the file ``data`` is for the kernel's C: not for assembly, not for
    user space alone."""
    return not data or _FOREIGN.isdisjoint(conditions_at(data, symbol.start))


def kernel_first(symbols: Sequence[Symbol], data_of: Callable[[str], bytes | None]) -> list[Symbol]:
    """Ranked symbols with those of the first few that are not for the kernel's C moved to the end."""
    if len(symbols) < 2:
        return list(symbols)
    aside = [one for one in symbols[:_LOOKED_AT] if not is_for_kernel(one, data_of(one.path))]
    return [one for one in symbols if one not in aside] + aside
