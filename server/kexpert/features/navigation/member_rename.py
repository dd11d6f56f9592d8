"""Renaming the member of a struct in the whole tree, if every use that may mean it certainly does."""

from __future__ import annotations

import re
from collections.abc import Callable

from kexpert.core.c.cursor_context import comment_start
from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import comment_above
from kexpert.core.symbols import Kind, Span
from kexpert.features.navigation.member_references import member_uses
from kexpert.features.navigation.member_target import MemberTarget, is_member_name, target_of
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.resolve import Resolved
from kexpert.view import View

__all__ = ["is_member_name", "member_refusal", "renamed_member"]


def member_refusal(view: View, found: Resolved) -> str:
    """Why the member that a name means cannot be renamed, without a look at its uses; "" if it can."""
    member = found.member
    if member is None:
        return f"the struct of '{found.name}' is not known"
    if "/uapi/" in f"/{member.path}":
        return f"'{found.name}' is declared in {member.path}, which programs outside the kernel include"
    return "" if view.complete else "the tree is still being indexed: not all uses are known"


def renamed_member(
    view: View,
    source: Source,
    found: Resolved,
    new_name: str,
    known: ResolvedUses,
    cancelled: Callable[[], bool],
) -> tuple[list[Span], str]:
    """(the places to rewrite, "") or ([], the reason for which it is refused)."""
    target = target_of(view, found, source.path)
    if clash := _clash(view, target, new_name):
        return [], clash
    spans: list[Span] = []
    possible: list[Span] = []
    for marked in member_uses(view, target, known, cancelled):
        for start, sure in zip(marked.file.starts, marked.certain, strict=True):
            (spans if sure else possible).append(Span(marked.file.path, start, start + marked.file.size))
    if possible:
        return [], _doubt(view, target.name, possible)
    return sorted({*spans, *_documentation(view, target)}), ""


def _doubt(view: View, name: str, possible: list[Span]) -> str:
    first = possible[0]
    text = view.source(first.path)
    line = f":{text.lines.line_of(first.start) + 1}" if text else ""
    count = f"{len(possible)} uses" if len(possible) > 1 else "one use"
    example = "such as" if len(possible) > 1 else "at"
    return f"the struct is not known of {count} of '{name}', {example} {first.path}{line}"


def _clash(view: View, target: MemberTarget, new_name: str) -> str:
    begin, end = target.record
    for row in view.symbols_in(target.path):
        if row.kind is Kind.MEMBER and row.name == new_name and begin <= row.name_start < end:
            return f"'{new_name}' is already a member of {target.struct}"
    return ""


def _documentation(view: View, target: MemberTarget) -> list[Span]:
    """``@name`` in the kernel-doc comment of the struct, and in comments inside it."""
    data = view.data(target.path) or b""
    word = re.compile(rb"(?<=@)%s\b" % re.escape(target.name.encode("utf-8", "surrogateescape")))
    begin, end = target.record
    above = comment_above(data, begin)
    found = []
    if above is not None and data.startswith(b"/**", above[0]):
        found = [match.span() for match in word.finditer(data, *above)]
    inside = [match.span() for match in word.finditer(data, begin, end)]
    found += [span for span in inside if comment_start(data, span[0]) is not None]
    return [Span(target.path, *span) for span in found]
