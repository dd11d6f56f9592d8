"""Which files are searched for the uses of a struct's member, and in which order.

The files that seem to hold most uses come first, so that the first hundred come soon: a look at their text costs a
fiftieth of resolving their uses. The order decides nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from kexpert.core.symbols import Kind
from kexpert.core.text import encode
from kexpert.features.navigation.member_target import MemberTarget
from kexpert.features.semantics.include_paths import arch_of
from kexpert.view import View

#: A struct that more files name is widely known: structs that hold it would lead to the whole tree.
_WIDELY_KNOWN_FILES = 400
_MAX_HEADERS, _MAX_HOLDERS = 40, 30
_CODE = (".c", ".h", ".S")
#: Files whose texts are looked at before the uses of the best are resolved, and until how many uses seem found.
_LOOK_AHEAD_FILES, _ENOUGH_USES = 48, 300
_BYTES_BEFORE = 120
_MAX_WORD_BYTES = 40
_ONLY_WORDS = bytes(byte if chr(byte).isalnum() or byte == ord("_") else ord(" ") for byte in range(128)) + b" " * 128
#: Folders that most readers want to see last.
_APART = ("drivers/", "sound/", "arch/", "tools/", "samples/", "Documentation/")

_WORD = re.compile(rb"\w+")
#: After a struct's tag: the name that is declared, if any.
_DECLARED = re.compile(rb"\b(?:[\s*]*(?:(?:const|__\w+)\s+)*(\w+))?")
#: Usual in names of macros of which an argument is a member.
_TAKES_MEMBER = re.compile(rb"entry|each|member|field")

Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Candidates:
    """``near``: those among ``paths`` in which an expression can have the type, so that uses are possible there."""

    paths: list[str]
    near: Collection[str]


def candidates(view: View, target: MemberTarget, within: Collection[str] | None, cancelled: Cancelled) -> Candidates:
    """The files that can use a member: where it is declared, where it is asked for, those near, all others."""
    if within is not None and len(within) == 1:
        return Candidates(list(within), set(within))
    everywhere = view.files_mentioning(target.name)
    mentioning = [path for path in everywhere if path.endswith(_CODE) and (within is None or path in within)]
    folder = target.asked_in.rpartition("/")[0] + "/"
    if target.path.endswith(".c"):  # nothing else can mean it but a file that includes this one
        home = target.path.rpartition("/")[0] + "/"
        inside = [path for path in mentioning if path.startswith(home)]
        return Candidates(sorted(inside, key=lambda path: (path != target.path, path)), {target.path})
    if not target.places:  # by name, in this folder
        inside = [path for path in mentioning if path.startswith(folder)]
        return Candidates(sorted(inside, key=lambda path: (path != target.asked_in, path)), set(inside))
    knowing = _files_that_know(view, target, folder, cancelled)
    knowing |= {target.asked_in, target.path}
    arch = view.configuration.arch

    def order(path: str) -> tuple[object, ...]:
        return (
            path != target.path, path != target.asked_in, arch_of(path) not in ("", arch),
            not path.startswith(folder), path.startswith(_APART), path,
        )  # fmt: skip

    near = sorted((path for path in mentioning if path in knowing), key=order)
    return Candidates(near + [path for path in mentioning if path not in knowing], knowing)


def promising_first(
    view: View, target: MemberTarget, found: Candidates, is_kept: Callable[[str], bool], cancelled: Cancelled
) -> Iterator[str]:
    """The same files, those whose uses are kept and those whose text seems to hold uses earlier."""
    paths = found.paths
    if len(paths) <= 2 or not target.tag:
        yield from paths
        return
    yield from paths[:2]  # where it is declared and asked for
    likely = [path for path in paths[2:] if path in found.near]
    seeming = _SeemingUses(view, target)
    postponed: list[str] = []
    uses = begin = 0
    while begin < len(likely) and uses < _ENOUGH_USES and not cancelled():
        ahead = likely[begin : begin + _LOOK_AHEAD_FILES]
        begin += len(ahead)
        unknown = [path for path in ahead if not is_kept(path)]
        counts = {path: seeming.count(view.data(path) or b"") for path in unknown}
        uses += sum(counts.values())
        yield from (path for path in ahead if path not in counts)
        yield from sorted(filter(counts.get, counts), key=lambda path: -counts[path])
        postponed += [path for path, count in counts.items() if not count]
    yield from postponed
    yield from likely[begin:]
    yield from (path for path in paths[2:] if path not in found.near)


class _SeemingUses:
    """Counts places that look like uses of a member: after a variable or member that some file declares with the
    struct's type, in a macro beside the struct or such a variable."""

    def __init__(self, view: View, target: MemberTarget) -> None:
        self._name = encode(target.name)
        tag = encode(target.tag)
        self._heads = (b"struct " + tag, b"union " + tag)
        self._words = frozenset(self._declared(view.data(target.path) or b""))

    def count(self, data: bytes) -> int:
        size, at, found = len(self._name), data.find(self._name), 0
        words: frozenset[bytes] | None = None
        while at >= 0:
            before = data[max(at - _BYTES_BEFORE, 0) : at].rstrip()
            if before.endswith((b"->", b".", b",")):
                words = words or self._words.union(self._declared(data))
                if before.endswith(b","):
                    found += self._is_argument(before[:-1], words)
                else:
                    found += _last_word(before.rstrip(b"->.) \t\n")) in words
            at = data.find(self._name, at + size)
        return found

    def _structs(self, data: bytes) -> Iterator[re.Match[bytes]]:
        """What comes after each mention of the struct. A plain text is found ten times as fast as an expression."""
        for head in self._heads:
            at = data.find(head)
            while at >= 0:
                if match := _DECLARED.match(data, at + len(head)):
                    yield match
                at = data.find(head, at + len(head))

    def _declared(self, data: bytes) -> list[bytes]:
        """The variables and members of the struct's type."""
        return [match[1] for match in self._structs(data) if match[1]]

    def _is_argument(self, before: bytes, words: frozenset[bytes]) -> bool:
        """Whether a macro that takes a member has the struct, or a variable of its type, among its arguments."""
        macro, opening, arguments = before.rpartition(b"(")
        if not opening or b")" in arguments or not _TAKES_MEMBER.search(_last_word(macro)):
            return any(self._structs(arguments))
        return any(self._structs(arguments)) or not words.isdisjoint(_WORD.findall(arguments))


def _last_word(text: bytes) -> bytes:
    if text.endswith(b"]"):
        text = text[: text.rfind(b"[")]
    return text[-_MAX_WORD_BYTES:].translate(_ONLY_WORDS).rpartition(b" ")[2]


def _files_that_know(view: View, target: MemberTarget, folder: str, cancelled: Cancelled) -> set[str]:
    """Files in which an expression can have the type that the member belongs to."""
    if not target.tag:
        return {path for path in view.files_mentioning(target.name) if path.startswith(folder)}
    files = set(view.files_mentioning(target.tag))
    if len(files) > _WIDELY_KNOWN_FILES:
        return files
    headers = sorted(path for path in files if path.endswith(".h"))
    holders: set[str] = set()
    for path in headers[:_MAX_HEADERS]:
        if cancelled():
            return files
        holders |= _holders(view, path, target.tag)
    for holder in sorted(holders)[:_MAX_HOLDERS]:
        files.update(view.files_mentioning(holder))
    return files


def _holders(view: View, path: str, tag: str) -> set[str]:
    """Names through which a struct is reached: structs with a member of it, typedefs of it."""
    data, word = view.data(path) or b"", tag.encode()
    names = set()
    for row in view.symbols_in(path):
        if row.kind in (Kind.MEMBER, Kind.TYPEDEF) and word in data[row.start : row.end].split():
            names.add(row.name if row.kind is Kind.TYPEDEF else row.scope.partition(".")[0])
    return names - {"", tag}
