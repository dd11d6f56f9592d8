"""Random samples of a tree: files, and uses of names in them. The same seed gives the same sample."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEED = 20260101
#: Generated register headers: a third of the bytes of the tree, read by nobody.
GENERATED = "drivers/gpu/drm/amd/include/"

_NO_CODE = re.compile(rb'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#\s*include[^\n]*', re.DOTALL)
_NAME = re.compile(rb"\b[A-Za-z_]\w*")
_BEFORE = re.compile(rb"(?:\w+|[^\w\s])\s*\Z")
KEYWORDS = frozenset(
    b"auto break case char const continue default define defined do double elif else endif enum error extern float for "
    b"goto if ifdef ifndef include inline int long pragma register return short signed sizeof static struct switch "
    b"typedef typeof undef union unsigned void volatile while".split()
)


@dataclass(frozen=True, slots=True)
class Use:
    """One occurrence of a name in code; ``line`` and ``column`` count from 0, in bytes."""

    path: str
    line: int
    column: int
    name: str
    before: str  # the word before it, or else the character before it; blanks are skipped

    @property
    def position(self) -> dict[str, int]:
        """In the protocol's form, for a client that counts in UTF-8."""
        return {"line": self.line, "character": self.column}


def all_files(root: Path) -> list[str]:
    """C and header files outside the generated headers, in order of path."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f != ".git"]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names if n.endswith((".c", ".h"))]
    return sorted(p for p in found if not p.startswith(GENERATED) and (root / p).is_file())


def files(root: Path, count: int, suffix: str = "", seed: int = SEED) -> list[str]:
    candidates = [p for p in all_files(root) if p.endswith(suffix)]
    return random.Random(seed).sample(candidates, min(count, len(candidates)))


def uses(root: Path, paths: list[str], per_file: int, seed: int = SEED) -> Iterator[Use]:
    """``per_file`` names drawn from the code of each file, comments, strings and keywords left out."""
    draw = random.Random(seed)
    for path in paths:
        found = list(uses_in(path, (root / path).read_bytes()))
        yield from draw.sample(found, min(per_file, len(found)))


def uses_in(path: str, data: bytes) -> Iterator[Use]:
    code = _NO_CODE.sub(lambda m: re.sub(rb"[^\n]", b" ", m[0]), data)
    line = start = at = 0
    for match in _NAME.finditer(code):
        name = match[0]
        if name in KEYWORDS:
            continue
        newlines = code.count(b"\n", at, match.start())
        if newlines:
            line, start = line + newlines, code.rindex(b"\n", 0, match.start()) + 1
        at = match.start()
        before = _BEFORE.search(code, max(0, at - 60), at)
        yield Use(path, line, at - start, name.decode(), before[0].strip().decode("latin-1") if before else "")
