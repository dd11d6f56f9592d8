"""kernel-doc comments (``/** ... */``): finding, parsing, and templates for new ones.

Format: Documentation/doc-guide/kernel-doc.rst. Common deviations that are unambiguous (``@arg - text``, ``Returns:``)
are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import dedent, indent

from kexpert.core.text import decode

_MAX_COMMENT_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Param:
    """The documentation of one parameter or member."""

    name: str  # "arg", "...", "member", "outer.inner"
    text: str


@dataclass(slots=True)
class KernelDoc:
    """One parsed comment. Texts are unchanged except for the comment's margin."""

    name: str  # of the thing described; the title of a DOC: block
    kind: str  # "function", "struct", "union", "enum", "typedef", "macro", "doc"
    summary: str = ""
    params: list[Param] = field(default_factory=list)  # parameters, or members
    description: str = ""
    context: str = ""
    returns: str = ""
    sections: list[tuple[str, str]] = field(default_factory=list)  # ("Note", text), ("Locking", text)


_SECTION = re.compile(
    r"\s*@?(description|context|return(?:s|ed)?(?:[ ]values?|[ ]codes?)?|notes?|examples?|locking|locks?"
    r"|warnings?|caution|important|limitations?|errors?|see also|side effects?|requirements?|usage)\s*:(?!:)(.*)",
    re.IGNORECASE,
)
_PARAM = re.compile(r"\s*@([A-Za-z_][\w.\-\[\]]*?(?:->\w+)*|\w*\.\.\.)\s*(?:\(\))?\s*(?::|[ \t]-{1,2}(?=\s))\s*(.*)")
_KINDS = ("struct", "union", "enum", "typedef")
_NAME = re.compile(r"[A-Za-z_]\w*")
_DELIMITER = re.compile(r"\s*:(?=\s|$)|\s+[-–—]+(?=\s|$)|(?<=\))\s*[-–—:]+|\s+-+(?=\w)")


def comment_text(comment: bytes) -> str:
    """The text of any C comment without its marks and margin. For comments that are not kernel-doc."""
    lines = _content(comment)
    if not lines[0].strip(" *-=#"):
        lines[0] = ""
        while len(lines) > 1 and not lines[1].strip(" *-=#"):
            del lines[1]
    while lines and not lines[-1].strip(" *-=#"):
        del lines[-1]
    return _text(lines)


def parse_kerneldoc(comment: bytes) -> KernelDoc | None:
    """Parse one complete comment; None if it is not kernel-doc."""
    if not comment.startswith(b"/**") or comment.startswith((b"/***", b"/**/")):
        return None
    lines = _content(comment)
    one_line = bool(lines and lines[0].strip())
    while lines and not lines[0].strip():
        del lines[0]
    if not lines:
        return None
    title = lines[0].strip()
    if title.startswith("DOC:"):
        return KernelDoc(title[4:].strip(), "doc", description=_text(["", *lines[1:]]))
    head = _head(title)
    if head is None:
        return None
    doc, certain = head
    if one_line and doc.kind == "function" and "(" not in title:
        return None
    _body(doc, lines[1:])
    if not certain and not (doc.params or doc.returns or doc.context):
        return None
    return doc


def _content(comment: bytes) -> list[str]:
    """The lines of a comment without marks and margin, tabs expanded. The first follows the opening mark."""
    text = decode(comment[:_MAX_COMMENT_BYTES]).replace("\r\n", "\n")
    if text.startswith("//"):
        return [re.sub(r"^\s*//+!? ?", "", line).expandtabs(8).rstrip() for line in text.split("\n")]
    text = text.removesuffix("*/")
    text = text[3:] if text.startswith("/**") else text[2:]
    first, *rest = text.split("\n")
    lines = [first.strip()]
    for line in rest:
        line = line.expandtabs(8).rstrip()
        bare = line.lstrip()
        if bare.startswith("*"):
            bare = bare[1:]
            lines.append(bare[1:] if bare.startswith(" ") else bare)
        else:
            lines.append(line)
    return lines


def _head(title: str) -> tuple[KernelDoc, bool] | None:
    """Parse the first line: name, kind and summary, and True if this line alone proves kernel-doc."""
    delimiter = _DELIMITER.search(title)
    head, summary = (title[: delimiter.start()], title[delimiter.end() :]) if delimiter else (title, "")
    head, summary, certain = head.strip(), summary.strip(), delimiter is not None
    words = head.split()
    if not words:
        return None
    if words[0] in _KINDS and len(words) >= 2:
        name = _NAME.match(words[1])
        if name is None or (delimiter and len(words) > 3):
            return None
        summary = summary if delimiter else " ".join(words[2:])
        return KernelDoc(name.group(), words[0], summary), certain or len(words) == 2
    kind = "macro" if words[0].lower() in ("define", "#define", "macro") else "function"
    if "(" in head:
        before, _, after = head.partition("(")
        names = _NAME.findall(before)
        if not names or len(names) > 5 or not re.fullmatch(r"[\w\s*]+", before):
            return None
        tail = after.partition(")")[2].strip()
        return KernelDoc(names[-1], kind, summary or tail), certain or not tail
    names = [word for word in words if _NAME.fullmatch(word.strip("*,"))]
    if len(names) != len(words) or len(words) > 2:
        return None
    if len(words) == 2 and kind == "function" and words[0].lower() not in ("function", "func"):
        return None
    if _SECTION.fullmatch(words[-1] + ":"):
        return None
    return KernelDoc(words[-1].strip("*,"), kind, summary), certain


def _body(doc: KernelDoc, lines: list[str]) -> None:
    """Parse the rest: summary continued, then @params, sections and free text in any order."""
    title, gathered = "summary", [doc.summary]
    depth = 0  # columns before the "@" of the current parameter

    def close() -> None:
        _store(doc, title, gathered)

    for at, line in enumerate(lines):
        if param := _PARAM.fullmatch(line):
            section = _SECTION.fullmatch(line)
            if section is None or not section[1].lower().startswith("return"):
                close()
                title, gathered = "@" + param[1], [param[2]]
                depth = len(line) - len(line.lstrip())
                continue
        if section := _SECTION.fullmatch(line):
            close()
            title, gathered = section[1].capitalize(), [section[2].strip()]
            continue
        if not line.strip() and (title == "summary" or title == "Context" or title.startswith("@")):
            following = next((text for text in lines[at + 1 :] if text.strip()), "")
            deeper = len(following) - len(following.lstrip()) > depth + 1
            if not (title.startswith("@") and deeper):
                close()
                title, gathered = "Description", [""]
                continue
        gathered.append(line)
    close()


def _store(doc: KernelDoc, title: str, lines: list[str]) -> None:
    text = _text(lines)
    if title == "summary":
        doc.summary = " ".join(text.split())
    elif title.startswith("@"):
        doc.params.append(Param(title[1:], text))
    elif not text:
        return
    elif title == "Description":
        doc.description = f"{doc.description}\n\n{text}" if doc.description else text
    elif title == "Context":
        doc.context = f"{doc.context}\n\n{text}" if doc.context else text
    elif title.startswith("Return"):
        doc.returns = f"{doc.returns}\n\n{text}" if doc.returns else text
    else:
        doc.sections.append((title, text))


def _text(lines: list[str]) -> str:
    """Join the text after a mark with the lines below, and remove the margin that those have in common."""
    if not lines:
        return ""
    first = lines[0].strip()
    rest = dedent("\n".join(lines[1:]))
    if first.endswith("::"):
        rest = indent(rest, "    ")  # a literal block must be indented more than the line above
    return f"{first}\n{rest}".strip("\n").rstrip()


# All repeats are possessive: ``__a__a__a`` can be split in many ways.
_ATTRIBUTES = re.compile(
    rb"\s*+(?:(?:__\w++|noinline\w*+|notrace|asmlinkage|\[\[[^]\n]*+\]\])\s*+"
    rb"(?:\((?:[^()\n]|\((?:[^()\n]|\([^()\n]*+\))*+\))*+\))?+\s*+)++"
)
_MAX_ATTRIBUTE_LINE_BYTES = 200


def comment_above(data: bytes, start: int) -> tuple[int, int] | None:
    """(start, end) of the comment that documents the declaration at ``start``; None if there is none.

    Attribute lines may be between them; after kernel-doc also one blank line. Kernel-doc directly above a plain comment
    has precedence. Costs a few backward searches, not a scan of the file.
    """
    end, blanks = _skip_up(data, min(max(start, 0), len(data)))
    span = _comment_ending(data, end)
    if span is None:
        return None
    if data.startswith(b"/**", span[0]):
        return span if blanks <= 1 else None
    if blanks:
        return None
    upper_end, blanks = _skip_up(data, span[0])
    upper = _comment_ending(data, upper_end)
    if upper and blanks <= 1 and data.startswith(b"/**", upper[0]):
        return upper
    return span


def comment_beside(data: bytes, end: int) -> tuple[int, int] | None:
    """(start, end) of the comment that follows a declaration on its line: ``int a; /* this */``."""
    at = end
    while data[at : at + 1] in (b" ", b"\t", b";", b","):
        at += 1
    if data.startswith(b"//", at):
        stop = data.find(b"\n", at)
        return at, stop if stop >= 0 else len(data)
    if data.startswith(b"/*", at):
        close = data.find(b"*/", at + 2, at + _MAX_COMMENT_BYTES)
        return (at, close + 2) if close >= 0 else None
    return None


def _skip_up(data: bytes, at: int) -> tuple[int, int]:
    """Skip blanks and attribute lines upwards: (end of the text above, number of blank lines skipped)."""
    blanks = 0
    for _ in range(8):
        floor = max(0, at - 4096)
        text = data[floor:at].rstrip(b" \t\r\n\f")
        blanks = max(blanks, data.count(b"\n", floor + len(text), at) - 1)
        at = floor + len(text)
        line = max(data.rfind(b"\n", floor, at) + 1, floor)
        if at - line > _MAX_ATTRIBUTE_LINE_BYTES or not _ATTRIBUTES.fullmatch(data, line, at):
            break
        at = line
    return at, blanks


def _comment_ending(data: bytes, end: int) -> tuple[int, int] | None:
    """(start, end) of the comment that ends at ``end`` and has no code before it on its first line."""
    if end >= 4 and data[end - 2 : end] == b"*/":
        lowest = max(data.rfind(b"*/", max(0, end - _MAX_COMMENT_BYTES), end - 2), end - _MAX_COMMENT_BYTES, 0)
        at = data.rfind(b"/*", lowest, end - 2)
        for _ in range(100):  # a comment may contain "/*"; the one that opens it is first on its line
            if at < 0:
                break
            floor = max(0, at - 512)
            if not data[max(data.rfind(b"\n", floor, at) + 1, floor) : at].strip():
                return at, end
            at = data.rfind(b"/*", lowest, at)
        return None
    first = end
    while True:
        line = data.rfind(b"\n", 0, max(first - 1, 0)) + 1
        if first <= 0 or not data[line : line + 256].lstrip().startswith(b"//"):
            break
        first = line
    if first == end:
        return None
    return first + len(data[first:end]) - len(data[first:end].lstrip()), end


_DECLARED = re.compile(rb"\b(\w++)[ \t]*+(?:\[[^]\n]*+\][ \t]*+)*+(?::[^;,=}\n]*+)?(?:=[^;,}\n]*+)?[;,}]")
_POINTER_NAME = re.compile(rb"\([ \t]*\*[ \t]*(\w+)")


def inline_member_docs(body: bytes) -> dict[str, str]:
    """Member -> text, from the ``/** ... */`` comments inside a struct, union or enum body.

    ``/** @name: text */`` names its member. Any other comment belongs to the member before it on its line, else to the
    next member.
    """
    docs: dict[str, str] = {}
    at = body.find(b"/**")
    while at >= 0:
        close = body.find(b"*/", at + 3)
        close = close + 2 if close >= 0 else len(body)
        lines = _content(body[at:close])
        while lines and not lines[0].strip():
            del lines[0]
        if lines and body[at : at + 5] != b"/***/":
            if tagged := _PARAM.fullmatch(lines[0]):
                docs[tagged[1]] = _text([tagged[2], *lines[1:]])
            elif (name := _member_at(body, at, close)) and name not in docs:
                docs[name] = _text(["", lines[0].removeprefix("<").strip(), *lines[1:]])
        at = body.find(b"/**", close)
    return docs


def _member_at(body: bytes, start: int, end: int) -> str:
    """The member that an untagged comment at ``start:end`` follows on its line or precedes; "" if none is found."""
    floor = max(0, start - 200)
    before = body[max(body.rfind(b"\n", floor, start) + 1, floor) : start]
    text = before if before.strip(b" \t{") else body[end : end + 200]
    match = _POINTER_NAME.search(text.partition(b";")[0]) or _DECLARED.search(text)
    return decode(match[1]) if match else ""


def comment_template(
    signature_name: str,
    params: Sequence[str],
    returns: bool,
    kind: str,
    members: Sequence[str] = (),
    *,
    snippet: bool = False,
) -> str:
    """A kernel-doc comment for the user to fill in; with ``snippet``, it has LSP tab stops where text goes.

    ``kind`` is as in ``KernelDoc.kind``. Functions and macros use ``params``, other kinds use ``members``.
    """
    stops = 0

    def blank(hint: str) -> str:
        nonlocal stops
        stops += 1
        return f" ${{{stops}:{hint}}}" if snippet else ""

    functional = kind in ("function", "macro")
    name = signature_name if kind not in _KINDS else f"{kind} {signature_name}"
    lines = ["/**", f" * {name}{'()' if functional else ''} -{blank('Brief description.')}"]
    lines += [f" * @{name}:{blank('...')}" for name in (params if functional or not members else members)]
    if snippet:
        lines += [" *", f" *{blank('Description.')}"]
    if functional:
        lines += [" *", f" * Context:{blank('Any context.')}"]
        if returns:
            lines.append(f" * Return:{blank('...')}")
    return "\n".join([*lines, " */"]) + "\n"
