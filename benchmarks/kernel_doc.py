"""Write kernel-doc for definitions of a tree that have none, and ask the tree's own scripts/kernel-doc about each.

    python -m benchmarks.kernel_doc --tree TREE [--functions 200] [--odd 100] [--macros 50] [--records 50] [--seed 12]
                                    [--model] [--json FILE]

The tree must be indexed. A model is asked with --model alone. "odd" are functions with function pointers, arrays,
variable arguments, annotations with arguments or old-style parameters, and system calls. Files are drawn at random, and
at most one definition of a kind is taken of a file. Each comment is put into a copy of its file; what
``kernel-doc -none`` says of the copy and not of the file counts as a warning. "refused" are those for which no comment
is offered, because kernel-doc cannot read the definition.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sample import GENERATED, all_files
from kexpert.core.c.source import Source
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import encode
from kexpert.features.kerneldoc.declaration import Undocumentable
from kexpert.features.kerneldoc.draft import Draft, draft
from kexpert.features.kerneldoc.target import target_at
from kexpert.view import View
from kexpert.workspace.kernel_doc import with_model_texts
from kexpert.workspace.saved_tree import SavedTree
from kexpert.workspace.voice import Voice

GROUPS = {
    "functions": (Kind.FUNCTION, Kind.SYSCALL),
    "odd": (Kind.FUNCTION, Kind.SYSCALL),
    "macros": (Kind.MACRO,),
    "records": (Kind.STRUCT, Kind.UNION, Kind.ENUM),
}
#: Better texts for a draft.
Improve = Callable[[Source, Draft], Draft]
#: Generated, or not the kernel's own C.
_ODD = re.compile(rb"\(\s*\*|\[|\.\.\.|\b__\w+\s*\(|__maybe_unused|\)\s*[a-z][^;]*;|SYSCALL_DEFINE|\)\s*\(")
_SKIPPED = ("tools/", "scripts/", "samples/", GENERATED)


@dataclass
class Tally:
    """Counts for one kind of definition."""

    written: int = 0
    accepted: int = 0
    with_return: int = 0  # of the accepted, those to which ``-v`` does not object either
    refused: Counter[str] = field(default_factory=Counter)
    subsystems: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    wide: int = 0
    comments: list[dict[str, Any]] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--functions", type=int, default=200)
    parser.add_argument("--odd", type=int, default=100)
    parser.add_argument("--macros", type=int, default=50)
    parser.add_argument("--records", type=int, default=50)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--model", action="store_true", help="with texts of the chat model in use")
    parser.add_argument("--json", type=Path, help="write the comments and what was said of them here")
    args = parser.parse_args()
    root = args.tree.resolve()
    tree = SavedTree(root, lambda message: print(message, file=sys.stderr))
    if args.model:
        tree.load_voice()
    snapshot = tree.snapshot()
    view = snapshot.view
    improve = partial(with_texts, snapshot.voice if args.model else None, view)
    tallies = {}
    for group, kinds in GROUPS.items():
        tallies[group] = measure(view, root, kinds, getattr(args, group), args.seed, improve, is_odd=group == "odd")
        print(line_of(group, tallies[group]), flush=True)
    for group, tally in tallies.items():
        print(f"\n{group}: {len(tally.subsystems)} folders; refused: {dict(tally.refused)}")
        print("\n".join(tally.warnings))
    if args.json:
        args.json.write_text(json.dumps({group: vars(tally) for group, tally in tallies.items()}, indent=1))
    return 0


def line_of(group: str, tally: Tally) -> str:
    return (
        f"{group}: {tally.written} written, {tally.accepted} accepted without a warning, {tally.with_return} with -v"
        f" too, {tally.wide} with a line over 80 columns, {tally.refused.total()} refused"
    )


def measure(
    view: View, root: Path, kinds: tuple[Kind, ...], count: int, seed: int, improve: Improve, *, is_odd: bool = False
) -> Tally:
    """Write ``count`` comments."""
    tally = Tally()
    for source, symbol in undocumented(view, root, kinds, seed, is_odd=is_odd):
        if tally.written == count:
            break
        try:
            target = target_at(view, source, symbol.name_start)
        except Undocumentable as reason:
            tally.refused[str(reason).partition("'")[0].strip() or "a token before its name"] += 1
            continue
        if target is None or target.existing is not None or target.symbol != symbol:
            continue
        made = improve(source, draft(view, source, target))
        judge(root, source, made, tally)
    return tally


def with_texts(voice: Voice | None, view: View, source: Source, made: Draft) -> Draft:
    """A draft with the texts of the chat model, if there is one."""
    return with_model_texts(voice, view, source, made, lambda: False) if voice else made


def judge(root: Path, source: Source, made: Draft, tally: Tally) -> None:
    """Count one comment."""
    tally.written += 1
    parts = source.path.split("/")
    tally.subsystems["/".join(parts[: 2 if parts[0] in ("drivers", "fs", "net", "arch", "sound") else 1])] += 1
    text = source.data
    for edit in reversed(made.edits()):
        text = text[: edit.start] + encode(edit.text) + text[edit.end :]
    comment = made.comment()
    tally.wide += any(len(line.expandtabs()) > 80 for line in comment.split("\n"))
    quiet = new_warnings(root, source.data, text, [])
    verbose = new_warnings(root, source.data, text, ["-v"])
    tally.accepted += not quiet
    tally.with_return += not verbose
    tally.warnings += [f"  {source.path}:{made.line + 1} {made.name}: {warning}" for warning in (quiet or verbose)[:2]]
    tally.comments.append(
        {"path": source.path, "name": made.name, "comment": comment, "said": quiet, "said with -v": verbose}
    )


def undocumented(
    view: View, root: Path, kinds: tuple[Kind, ...], seed: int, *, is_odd: bool = False
) -> Iterator[tuple[Source, Symbol]]:
    """Definitions without kernel-doc, in random order, one a file. Macros without parameters are left out."""
    files = all_files(root)
    draw = random.Random(seed)
    draw.shuffle(files)
    for path in files:
        source = view.source(path) if not path.startswith(_SKIPPED) else None
        if source is None:
            continue
        symbols = [s for s in view.symbols_in(path) if s.kind in kinds and s.name.isascii() and is_callable(s)]
        symbols = [s for s in symbols if not is_odd or _ODD.search(head_of(source, s))]
        draw.shuffle(symbols)
        for symbol in symbols[:20]:
            if is_undocumented(view, source, symbol):
                yield source, symbol
                break


def head_of(source: Source, symbol: Symbol) -> bytes:
    """A function up to its body, with the line above its name."""
    start = source.data.rfind(b"\n", 0, max(symbol.start - 1, 0)) + 1
    head = source.data[start : symbol.end].partition(b"{")[0]
    return head[:2000].rpartition(b"\n}")[2].rpartition(b"*/")[2]


def is_callable(symbol: Symbol) -> bool:
    return symbol.kind is not Kind.MACRO or bool(symbol.flags & Flag.FUNCTION_LIKE)


def is_undocumented(view: View, source: Source, symbol: Symbol) -> bool:
    try:
        target = target_at(view, source, symbol.name_start)
    except Undocumentable as reason:
        return "comment above" not in str(reason)
    return target is not None and target.existing is None and target.symbol == symbol


def new_warnings(root: Path, before: bytes, after: bytes, options: list[str]) -> list[str]:
    """What kernel-doc says of the second text and not of the first, without line numbers."""
    old, new = (Counter(warnings_of(root, text, options)) for text in (before, after))
    return list((new - old).elements())


def warnings_of(root: Path, text: bytes, options: list[str]) -> list[str]:
    """What ``scripts/kernel-doc -none`` of a tree says of a text."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "file.c")
        file.write_bytes(text)
        program = root / "scripts" / "kernel-doc"
        done = subprocess.run(
            ["perl", str(program), "-none", *options, str(file)], capture_output=True, timeout=120, check=False
        )
        said = done.stderr.decode("utf-8", "replace").replace(str(file), "")
    lines = [line.partition(" ")[2] for line in said.split("\n") if line.startswith(":")]
    return [line for line in lines if line and not line.startswith("info:")]


if __name__ == "__main__":
    sys.exit(main())
