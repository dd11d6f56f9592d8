"""Which definition a call means, by few look-ups: chains ask for hundreds."""

from __future__ import annotations

from collections.abc import Iterable

from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.callgraph.edges import Certainty
from kexpert.features.semantics.definition_ranking import is_private, rank_definitions
from kexpert.features.semantics.include_paths import DEFAULT_ARCH, arch_of
from kexpert.view import View

FUNCTIONS = (Kind.FUNCTION, Kind.SYSCALL, Kind.ASM_LABEL)
CALLED = (*FUNCTIONS, Kind.MACRO, Kind.TRACEPOINT, Kind.PROTOTYPE)
#: Programs beside the kernel.
BESIDE_KERNEL = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")
#: Folders whose code most of the kernel goes through.
_CORE = (
    "kernel/", "fs/", "mm/", "net/core/", "net/socket.c", "block/", "include/", "lib/", "init/", "ipc/", "io_uring/",
    "drivers/base/",
)  # fmt: skip
_MAX_DEFINITIONS = 60
_SYSCALL_PREFIXES = ("sys_", "__x64_sys_", "__do_sys_", "__se_sys_", "ksys_")


def definitions_named(view: View, name: str) -> list[Symbol]:
    """The functions and macros of a name, the kernel's own first; a system call also by its short name."""
    found = view.lookup(name, FUNCTIONS, _MAX_DEFINITIONS) or view.lookup(name, (Kind.MACRO,), _MAX_DEFINITIONS)
    if not found:
        short = next((name.removeprefix(each) for each in _SYSCALL_PREFIXES if name.startswith(each)), name)
        found = view.lookup(f"sys_{short}", FUNCTIONS, _MAX_DEFINITIONS)
    return sorted(found, key=_general_order)


def _general_order(symbol: Symbol) -> tuple[object, ...]:
    arch = arch_of(symbol.path)
    return (
        symbol.path.startswith(BESIDE_KERNEL),
        bool(arch) and arch != DEFAULT_ARCH,
        bool(symbol.flags & Flag.WEAK),
        symbol.path.endswith(".h"),
        *core_first(symbol),
    )


def core_first(symbol: Symbol) -> tuple[bool, bool, str, int]:
    """A key that puts the kernel's core before drivers, and programs beside the kernel last."""
    path = symbol.path
    return path.startswith(BESIDE_KERNEL), not path.startswith(_CORE), path, symbol.start


def meant_by(view: View, name: str, caller: Symbol, known: dict[str, list[Symbol]]) -> tuple[Symbol, Certainty] | None:
    """The function or macro that a call of ``name`` in ``caller`` reaches; None if the tree defines none.

    ``known`` keeps the definitions of names that were looked up.
    """
    if name not in known:
        known[name] = view.lookup(name, CALLED, _MAX_DEFINITIONS)
    own = [s for s in known[name] if s.path == caller.path and s.kind is not Kind.PROTOTYPE]
    functions = [s for s in own if s.kind in FUNCTIONS]
    if own:
        return (functions or own)[0], Certainty.EXACT if len(own) == 1 else Certainty.SYNTAX
    seen = _visible(known[name], caller)
    if not seen:
        return None
    if len(seen) == 1:
        return seen[0], Certainty.EXACT
    linked = [s for s in seen if s.kind in FUNCTIONS and s.path.endswith((".c", ".S")) and not s.flags & Flag.WEAK]
    if len(linked) == 1:  # beside it: macros around it, weak ones, stubs for when an option is off
        return linked[0], Certainty.SYNTAX
    source = view.source(caller.path)
    ranked = rank_definitions(view, linked or seen, source) if source else sorted(linked or seen, key=_general_order)
    return ranked[0], Certainty.SYNTAX


def _visible(symbols: Iterable[Symbol], caller: Symbol) -> list[Symbol]:
    """Those that a caller can mean: of headers or linked with it, of its architecture, bodies before declarations."""
    seen = [s for s in symbols if not is_private(s)]
    if not caller.path.startswith(BESIDE_KERNEL):
        seen = [s for s in seen if not s.path.startswith(BESIDE_KERNEL)] or seen
    arch = arch_of(caller.path) or DEFAULT_ARCH
    seen = [s for s in seen if arch_of(s.path) in ("", arch)] or seen
    bodies = [s for s in seen if s.kind is not Kind.PROTOTYPE]
    return bodies or seen[:1]
