"""Keystroke to menu and to ghost text in real editors: ``python -m benchmarks.keystrokes --tree DIR``.

At random places of C files, the same for each editor, the rest of a line is deleted and a key is pressed: ``>`` after
``ident-`` (menu), a letter of a name (menu; in Neovim CTRL-X CTRL-O), Enter after ``if (...)`` whose next line was
deleted (ghost text of the model that comes with kexpert; where it is not sure, it shows nothing). The clock runs from
the key as the editor gets it until the editor shows something: in Neovim a timer of 1 ms looks, in VS Code each frame
of the browser does. Fetches the editors as the tests do. Nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.neovim_keys import neovim_waits
from benchmarks.sample import SEED, files, uses
from tests.editors.get_neovim import NoNeovim
from tests.editors.vscode.get_vscode import NoVSCode
from tests.editors.vscode.run import user_cache

KEXPERT = Path(sys.executable).with_name("kexpert")
KINDS = {
    "member": "menu after `->`",
    "name": "menu in a name",
    "ghost": "ghost text, Enter after `if (…)`",
}
_FILES, _USES_PER_FILE = 300, 40
_CONDITION = re.compile(rb"\t+if \(.*\)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is pressed: ``line`` counts from 0, ``column`` in bytes; the line ends there."""

    kind: str
    path: str
    line: int
    column: int
    key: str

    @property
    def is_ghost(self) -> bool:
        return self.kind == "ghost"


def draw(tree: Path, count: int) -> list[Place]:
    """``count`` places of each kind, in plain ASCII files, mixed."""
    random_ = random.Random(SEED)
    found: dict[str, list[Place]] = {kind: [] for kind in KINDS}
    for path in files(tree, _FILES, ".c"):
        data = (tree / path).read_bytes()
        lines = data.split(b"\n")
        if not data.isascii() or b"\r" in data:
            continue
        for use in random_.sample(everything := list(uses(tree, [path], _USES_PER_FILE)), len(everything)):
            before = lines[use.line][: use.column]
            if before.endswith(b"->") and before[:1] == b"\t":
                found["member"].append(Place("member", path, use.line, use.column - 1, ">"))
            elif before[:1] == b"\t" and len(use.name) >= 5 and use.before in ("(", "=", ",", ";", "{", "}"):
                found["name"].append(Place("name", path, use.line, use.column + 2, use.name[2]))
        for number, line in enumerate(lines[:-1]):
            if _CONDITION.fullmatch(line) and lines[number + 1][:1] == b"\t":
                found["ghost"].append(Place("ghost", path, number, len(line), "\n"))
    chosen = [place for places in found.values() for place in random_.sample(places, min(count, len(places)))]
    random_.shuffle(chosen)
    return chosen


def vscode_waits(tree: Path, cache: Path, places: list[Place]) -> list[float | None]:
    """Milliseconds of each place; None where nothing came. Raises NoVSCode."""
    from tests.editors.vscode.build import build, fetch_packages
    from tests.editors.vscode.get_vscode import get_vscode
    from tests.editors.vscode.run import serving

    vscode = get_vscode()
    fetch_packages(vscode)
    package = build(vscode)
    with tempfile.TemporaryDirectory(prefix="kx", ignore_cleanup_errors=True) as temporary:
        home = Path(temporary)
        out = home / "waits.json"
        with serving(vscode, package, home, {}, cache) as address:
            job = {"address": address, "tree": str(tree), "shots": str(home), "out": str(out),
                   "places": [asdict(place) for place in places]}  # fmt: skip
            program = Path(__file__).with_name("keystrokes.mjs")
            modules = vscode.folder / "node_modules"
            environment = {
                **os.environ,
                "PLAYWRIGHT": str(modules / "playwright-core/index.mjs"),
                "CHROMIUM": vscode.chromium,
            }
            subprocess.run([vscode.node, program, json.dumps(job)], env=environment, check=True)
        waits: list[float | None] = json.loads(out.read_text())
        return waits


EDITORS: dict[str, tuple[str, Callable[[Path, Path, list[Place]], list[float | None]]]] = {
    "neovim": ("Neovim", lambda tree, cache, places: neovim_waits(KEXPERT, tree, cache, places)),
    "vscode": ("VS Code, headless", vscode_waits),
}


def rows(editor: str, places: list[Place], waits: list[float | None]) -> list[str]:
    lines = []
    for kind, words in KINDS.items():
        drawn = [wait for place, wait in zip(places, waits, strict=True) if place.kind == kind]
        shown = sorted(wait for wait in drawn if wait is not None)
        spread = "| | |"
        if len(shown) > 1:
            p95 = statistics.quantiles(shown, n=20, method="inclusive")[-1]
            spread = f"| {statistics.median(shown):,.0f} | {p95:,.0f} |"
        lines.append(f"| {editor}: {words} | {len(drawn)} | {len(shown)} {spread}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, required=True, help="a kernel tree; its index is made first")
    parser.add_argument("--editor", choices=EDITORS, action="append", help="both, if not given")
    parser.add_argument("--count", type=int, default=40, help="places of each kind (40)")
    parser.add_argument("--cache", type=Path, help="XDG_CACHE_HOME with the index of the tree (default: as it is set)")
    args = parser.parse_args()
    tree, cache = args.tree.resolve(), (args.cache or user_cache()).resolve()
    index = [str(KEXPERT), "index", "--tree", str(tree)]
    subprocess.run(index, env={**os.environ, "XDG_CACHE_HOME": str(cache)}, stdout=subprocess.DEVNULL, check=True)
    places = draw(tree, args.count)
    table = ["| key to | keys | shown | p50 ms | p95 ms |", "|---|---:|---:|---:|---:|"]
    for name in args.editor or EDITORS:
        title, waits_of = EDITORS[name]
        try:
            table += rows(title, places, waits_of(tree, cache, places))
        except (NoNeovim, NoVSCode) as reason:
            print(f"keystrokes: {name}: {reason}", file=sys.stderr)
    print("\n".join(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
