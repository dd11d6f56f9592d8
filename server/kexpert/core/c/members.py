"""A parser for the body of a struct or union: its member declarations, kernel macros included.

It does not use the syntax tree: masking removes from the tree all that decides a layout (``__packed``,
``struct_group(...)``, ``DECLARE_BITMAP``, ``#if`` inside the body).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from kexpert.core.c.conditions import directives, negate
from kexpert.core.c.lex import blank_comments
from kexpert.core.text import decode

MAX_DEPTH = 16  # nested aggregates
_MAX_TEXT_CHARS = 4096  # of one declaration, outside its braces

_PREPROCESSOR = re.compile(rb"^[ \t]*#(?:[^\n\\]++|\\\r?\n|\\)*+", re.MULTILINE)
_PRAGMA_PACK = re.compile(rb"^[ \t]*#[ \t]*pragma[ \t]+pack[ \t]*\(([^)\n]*)\)", re.M)
_BARE_MACROS = re.compile(rb"\b(?:randomized_struct_fields_start|randomized_struct_fields_end)\b")
_PUNCTUATION = re.compile(rb"[{}();]")
_NAME = r"[A-Za-z_]\w*"
_TYPEOF = re.compile(r"\b__typeof(?:__)?\s*\(\s*((?:(?:struct|union|enum)\s+)?\w+)\s*\)")
_PACKED = re.compile(r"\b__packed\b|__attribute(?:__)?\s*\(\(.*?\b(?:__)?packed(?:__)?\b")
_ALIGNED = re.compile(r"\b(?:__aligned|aligned|__aligned__|__attribute_aligned)\s*\(")
_ATTRIBUTE_CALL = re.compile(r"\b(?:__attribute__|__attribute|__aligned|__attribute_aligned)\s*\(")
_CACHELINE = re.compile(r"\b_{2,4}cacheline_(?:internode)?aligned(?:_in_smp)?\b|\bL1_CACHE_ALIGNED\b")
_NOISE = re.compile(
    r"\b(?:const|volatile|__volatile__|static|extern|register|__extension__|_Atomic|__restrict|__user|__kernel|__iomem|__percpu|__rcu"
    r"|__force|__private|__nocast|__bitwise(?:__)?|__safe|__maybe_unused|__deprecated|__randomize_layout|__no_randomize_layout"
    r"|__designated_init|__read_mostly|__ro_after_init|__packed|__latent_entropy|__cond_lock|__nonstring"
    r"|__counted_by(?:_\w+)?\s*\([^()]*\)|__guarded_by\s*\([^()]*\)|__pt_guarded_by\s*\([^()]*\)"
    r"|__printf\s*\([^()]*\)|__scanf\s*\([^()]*\)|__kcsan_volatile|__bpf_kptr\w*|____?\w*cacheline\w*aligned\w*"
    r"|__must_check|__pure|__cold|__noreturn|noinline|inline)(?!\w)"
)
_BASE = re.compile(
    rf"\s*(?:(?P<kind>struct|union|enum)\b\s*(?P<tag>{_NAME})?"
    r"|(?P<built>(?:\b(?:unsigned|signed|__signed__|int|long|short|char|float|double|_Bool|bool|__int128|void)\b\s*)+)"
    rf"|(?P<typedef>{_NAME}))"
)
_MACRO = re.compile(rf"\s*({_NAME})\s*\((?!\s*[*^])")
_DECLARATOR = re.compile(rf"([\s*(]*)({_NAME})?(.*)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_ARGUMENTS = re.compile(r"\([^()]*\)")
_DIMENSION = re.compile(r"\s*\[([^\[\]]*)\]")
_KNOWN_TRUE = frozenset((
    "CONFIG_64BIT", "__LP64__", "__KERNEL__", "__LITTLE_ENDIAN", "__LITTLE_ENDIAN_BITFIELD", "__LITTLE_ENDIAN__", "1",
    "BITS_PER_LONG == 64", "BITS_PER_LONG==64", "BITS_PER_LONG > 32", "__BITS_PER_LONG == 64",
))  # fmt: skip
_KNOWN_FALSE = frozenset((
    "0", "__BIG_ENDIAN", "__BIG_ENDIAN_BITFIELD", "CONFIG_32BIT", "CONFIG_CPU_BIG_ENDIAN", "__GENKSYMS__",
    "__ASSEMBLY__", "__CHECKER__", "BITS_PER_LONG == 32", "BITS_PER_LONG==32",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes that affect layout; ``|`` combines them."""

    packed: bool = False
    aligned: tuple[str, ...] = ()  # expressions of aligned(...)
    cacheline: tuple[str, ...] = ()  # ____cacheline_aligned and similar words

    def __or__(self, other: Attributes) -> Attributes:
        return Attributes(self.packed or other.packed, self.aligned + other.aligned, self.cacheline + other.cacheline)


@dataclass(frozen=True, slots=True)
class MemberDeclarator:
    name: str  # "" for an unnamed bit-field or an anonymous aggregate
    text: str  # as written: "*next", "(*open)(struct inode *)", "map[4]"
    pointer: bool
    dimensions: tuple[str, ...]  # "" for []
    bits: str | None  # width as written
    words: tuple[str, ...] = ()  # after the name: macros that may be attributes


@dataclass(slots=True)
class MemberDeclaration:
    """One declaration of a body. Callers must not change it: ``declarations`` caches it."""

    start: int  # offset in the code that was read
    base: str  # "unsigned long", "struct foo", "foo_t"; "struct" for an inline one without a tag
    declarators: list[MemberDeclarator] = field(default_factory=list)
    inner: tuple[int, int] | None = None  # span of an inline aggregate's body, without braces
    attributes: Attributes = field(default_factory=Attributes)  # of the members
    type_attributes: Attributes = field(default_factory=Attributes)  # of the inline aggregate
    macro: str = ""  # "DECLARE_BITMAP" for a member that a macro declares
    arguments: tuple[str, ...] = ()
    group: tuple[int, int] | None = None  # span of a struct_group's members
    unsure: bool = False  # follows an #if that cannot be decided


@dataclass(frozen=True, slots=True)
class RecordBody:
    """The code between the braces of an aggregate; comments, strings and directives are blank."""

    code: bytes
    start: int
    end: int
    attributes: Attributes
    unsure_from: int  # offset from which members depend on an undecided #if


# Cached: many structs contain the same few large ones, such as struct device.
@lru_cache(maxsize=256)
def read_body(text: bytes) -> RecordBody | None:
    """Find the body in ``struct foo { ... } __packed`` or in a bare ``{ ... }``; None if there is none."""
    code = blank_comments(text)
    code, unsure_from = _blank_conditionals(code)
    code = _BARE_MACROS.sub(lambda match: b" " * len(match.group()), code)
    opening = code.find(b"{")
    if opening < 0:
        return None
    closing = _partner(code, opening)
    if closing < 0:
        return None
    stop = code.find(b";", closing)
    tail = code[closing + 1 : stop if stop >= 0 else len(code)][:_MAX_TEXT_CHARS]
    head = code[max(0, opening - _MAX_TEXT_CHARS) : opening]
    attributes, _ = attributes_of(decode(head[head.rfind(b";") + 1 :] + b" " + tail))
    return RecordBody(code, opening + 1, closing, attributes, unsure_from)


@lru_cache(maxsize=512)
def declarations(body: RecordBody, start: int, end: int) -> tuple[MemberDeclaration, ...]:
    """The declarations between two offsets of the body's code."""
    return tuple(_declarations(body, start, end))


def _declarations(body: RecordBody, start: int, end: int) -> Iterator[MemberDeclaration]:
    code = body.code
    at = start
    depth = 0
    braces: tuple[int, int] | None = None
    opened = 0
    for match in _PUNCTUATION.finditer(code, start, end):
        char = match.group()
        if char in b"{(":
            if char == b"{" and not depth:
                opened = match.start()
            depth += 1
        elif char in b"})":
            depth = max(depth - 1, 0)
            if char == b"}" and not depth and braces is None:
                braces = (opened + 1, match.start())
        elif not depth:
            found = _declaration(code, at, match.start(), braces)
            if found is not None:
                found.unsure = found.start >= body.unsure_from
                yield found
            at, braces = match.end(), None
    if code[at:end].strip():  # a macro without a semicolon
        yield MemberDeclaration(at, "?", unsure=True)


def packing_at(data: bytes, offset: int) -> int | None:
    """The alignment in bytes that ``#pragma pack`` allows at most at an offset; None without one."""
    if b"pragma" not in data:
        return None
    stack: list[int | None] = []
    packing: int | None = None
    for match in _PRAGMA_PACK.finditer(data, 0, offset):
        words = [word.strip() for word in match[1].split(b",")]
        if words[0] == b"push":
            stack.append(packing)
            words = words[1:] or [b"%d" % packing if packing else b"keep"]
        elif words[0] == b"pop":
            packing = stack.pop() if stack else None
            continue
        if words[-1].isdigit():
            packing = int(words[-1])
        elif words == [b""]:
            packing = None
    return packing


def attributes_of(text: str) -> tuple[Attributes, str]:
    """The attributes that affect layout, and the text without any attribute."""
    aligned = [text[match.end() : _closing(text, match.end() - 1)].strip() for match in _ALIGNED.finditer(text)]
    found = Attributes(_PACKED.search(text) is not None, tuple(aligned), tuple(_CACHELINE.findall(text)))
    while call := _ATTRIBUTE_CALL.search(text):
        text = text[: call.start()] + " " + text[_closing(text, call.end() - 1) + 1 :]
    return found, " ".join(_NOISE.sub(" ", text).split())


def _blank_conditionals(code: bytes) -> tuple[bytes, int]:
    """Blank all directives, and the branches that are not compiled on LP64, little endian.

    Returns the code and the offset of the first undecided ``#if``, of which the first branch is kept.
    """
    unsure_from = len(code)
    drop: list[tuple[int, int]] = []
    stack: list[list[object]] = []  # [a branch is taken, start of a dropped range or None]
    for directive in directives(code):
        if directive.keyword.startswith("if") or directive.keyword.startswith("el"):
            condition = directive.condition or "1"
            if directive.keyword.startswith("if"):
                stack.append([False, None])
            elif not stack:
                continue
            elif isinstance(stack[-1][1], int):
                drop.append((stack[-1][1], directive.start))
            taken = stack[-1][0]
            verdict = _verdict(condition)
            if verdict is None and not taken:
                unsure_from = min(unsure_from, directive.start)
            use = not taken and verdict is not False
            stack[-1] = [taken or use, None if use else directive.start]
        elif stack:
            dropped = stack.pop()[1]
            if isinstance(dropped, int):
                drop.append((dropped, directive.start))
    pieces, at = [], 0
    for start, end in sorted(drop):
        if start < at:
            start = at
        if end > start:
            pieces += [code[at:start], re.sub(rb"[^\n]", b" ", code[start:end])]
            at = end
    code = b"".join([*pieces, code[at:]])
    return _PREPROCESSOR.sub(lambda match: re.sub(rb"[^\n]", b" ", match.group()), code), unsure_from


def _verdict(condition: str) -> bool | None:
    if condition in _KNOWN_TRUE or negate(condition) in _KNOWN_FALSE:
        return True
    if condition in _KNOWN_FALSE or negate(condition) in _KNOWN_TRUE:
        return False
    return None


def _declaration(code: bytes, start: int, end: int, braces: tuple[int, int] | None) -> MemberDeclaration | None:
    while start < end and code[start : start + 1].isspace():
        start += 1
    if braces is None:
        head, tail = decode(code[start : min(end, start + _MAX_TEXT_CHARS)]), ""
    else:
        head = decode(code[start : min(braces[0] - 1, start + _MAX_TEXT_CHARS)])
        tail = decode(code[braces[1] + 1 : min(end, braces[1] + 1 + _MAX_TEXT_CHARS)])
    if not head.strip() and not tail.strip():
        return None
    if "__typeof" in head:
        head = _TYPEOF.sub(r"\1 ", head)
    macro = _MACRO.match(head)
    if macro and (braces is None or "struct_group" in macro[1]) and macro[1] not in ("__attribute__", "__aligned"):
        return _macro(code, start, end, macro[1])
    found = MemberDeclaration(start, "")
    if braces is None:
        found.attributes, head = attributes_of(head)
        rest = ""
    else:
        found.type_attributes, head = attributes_of(head)
        attributes, rest = attributes_of(tail)
        # Attributes between brace and name belong to the type, those after the name to the member.
        if not rest or not tail.lstrip().startswith(rest.split()[0]):
            found.type_attributes |= attributes
        else:
            found.attributes = attributes
    base = _BASE.match(head)
    if base is None:
        found.base = "?"
        return found
    found.base = " ".join(base.group().split())
    if braces is None:
        rest = head[base.end() :]
    elif base["kind"] != "enum":
        found.inner = braces
    found.declarators = [_declarator(part) for part in _split(rest, ",") if part.strip()]
    return found


def _macro(code: bytes, start: int, end: int, name: str) -> MemberDeclaration:
    opening = code.index(b"(", start)
    closing = _partner(code, opening)
    closing = end if closing < 0 or closing > end else closing
    lead = {"struct_group": 1, "struct_group_attr": 2, "struct_group_tagged": 2, "__struct_group": 3}.get(name)
    found = MemberDeclaration(start, name, macro=name)
    if lead is None:
        inside = decode(code[opening + 1 : min(closing, opening + _MAX_TEXT_CHARS)])
        found.arguments = tuple(" ".join(part.split()) for part in _split(inside, ","))
        return found
    at, arguments = opening + 1, []
    for _ in range(lead):
        comma = code.find(b",", at, closing)
        if comma < 0:
            break
        arguments.append(decode(code[at:comma]).strip())
        at = comma + 1
    found.arguments = tuple(arguments)
    found.group = (at, closing)
    found.type_attributes, _ = attributes_of(" ".join(arguments))
    return found


def _declarator(text: str) -> MemberDeclarator:
    text = text.strip()
    body, *bits = _split(text, ":")
    match = _DECLARATOR.match(body)
    assert match is not None  # every part of the pattern may be empty
    lead, name, rest = match[1], match[2] or "", match[3]
    dimensions = []
    at = 0
    while dimension := _DIMENSION.match(rest, at):
        dimensions.append(dimension[1].strip())
        at = dimension.end()
    width = bits[0].strip() if bits else None
    words = () if "(" in lead else tuple(_WORD.findall(_ARGUMENTS.sub(" ", rest[at:])))
    return MemberDeclarator(name, " ".join(body.split()), "*" in lead, tuple(dimensions), width, words)


def _split(text: str, separator: str) -> list[str]:
    """Split at each separator outside all brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == separator and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _partner(code: bytes, opening: int) -> int:
    """Offset of the bracket that closes the one at ``opening``, all kinds counted; -1 if there is none."""
    depth = 0
    for match in _PUNCTUATION.finditer(code, opening):
        if match.group() in b"{(":
            depth += 1
        elif match.group() in b"})":
            depth -= 1
            if not depth:
                return match.start()
    return -1


def _closing(text: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if not depth:
            return at
    return len(text)
