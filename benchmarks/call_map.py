"""``python -m benchmarks.call_map``: the files that one hover runs through, and its calls into a higher layer.

Layers are those of the first import contract in ``pyproject.toml``. What a view does to answer is not counted: its
callers are written against the interface. Needs no index: the tree is the one of the tests.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from kexpert.features.hover.hover import HoverConfig, hover
from kexpert.render import markdown
from kexpert.view import View
from tests.support.memory_view import MemoryView
from tests.support.toy_tree import TOY_FILES

ROOT = Path(__file__).parents[1]
PACKAGE = str(ROOT / "server" / "kexpert")
#: Name -> (file, text before the cursor).
HOVERS = {
    "function": ("drivers/toy/user.c", "return toy_"),
    "struct": ("drivers/toy/core.c", "int toy_wind(struct t"),
    "member": ("drivers/toy/core.c", "toy->tu"),
    "option": ("drivers/toy/option.c", "#ifdef CONFIG_T"),
}
OPTION_USER = {"drivers/toy/option.c": "#ifdef CONFIG_TOY\n#endif\n"}


@dataclass
class CallMap:
    """What was called: calls by file, and calls from a lower layer into a higher one."""

    files: Counter[str] = field(default_factory=Counter)
    upward: Counter[tuple[str, str]] = field(default_factory=Counter)


def layers() -> dict[str, int]:
    """Module or package directly under ``kexpert`` -> its layer, 0 at the bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(each["layers"] for each in contracts if each["type"] == "layers")
    return {name.strip(): at for at, row in enumerate(reversed(rows)) for name in row.split("|")}


class Recorder:
    """A profile function that fills a ``CallMap``. The work of a view's own methods is not recorded."""

    def __init__(self) -> None:
        self.calls = CallMap()
        self._layers = layers()
        self._inside_view = 0  # nested calls of a view's methods

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        if isinstance(frame.f_locals.get("self"), View):
            self._inside_view += 1 if event == "call" else -1
        elif event == "call" and not self._inside_view and (path := _path_in_package(frame)) is not None:
            self.calls.files[path] += 1
            caller = _caller_in_package(frame)
            if caller and self._layer(path) > self._layer(caller):
                self.calls.upward[caller, path] += 1

    def _layer(self, path: str) -> int:
        return self._layers[path.partition("/")[0].removesuffix(".py")]


def _caller_in_package(frame: FrameType) -> str | None:
    """The file of the nearest caller that belongs to kexpert."""
    caller = frame.f_back
    while caller is not None and _path_in_package(caller) is None:
        caller = caller.f_back
    return _path_in_package(caller) if caller else None


def _path_in_package(frame: FrameType) -> str | None:
    name = frame.f_code.co_filename
    return name[len(PACKAGE) + 1 :] if name.startswith(PACKAGE) else None


def map_hover(name: str) -> CallMap:
    """The calls of one of ``HOVERS`` and of its rendering, without those that read the tree for the first time."""
    path, before = HOVERS[name]
    view = MemoryView({each: text.encode() for each, text in (TOY_FILES | OPTION_USER).items()})
    view.lookup("toy")  # indexes the tree, which is not the hover's work
    source = view.source(path)
    assert source is not None
    offset = source.data.index(before.encode()) + len(before)
    recorder = Recorder()
    sys.setprofile(recorder)
    try:
        card = hover(view, source, offset, HoverConfig(similar_within_seconds=0.01))
        text = markdown.hover_card(card) if card else ""
    finally:
        sys.setprofile(None)
    assert text, f"no card for {name}"
    return recorder.calls


def main() -> None:
    for name in HOVERS:
        calls = map_hover(name)
        print(f"{name}: {len(calls.files)} files, {calls.upward.total()} calls into a higher layer")
        for path, count in sorted(calls.files.items()):
            print(f"  {count:6} {path}")
        for (caller, callee), count in sorted(calls.upward.items()):
            print(f"  {count:6} up: {caller} -> {callee}")


if __name__ == "__main__":
    main()
