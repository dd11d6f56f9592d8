"""``index.exclude`` and ``inline.exclude`` read the same patterns."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kexpert.background.tree import examine, scan
from kexpert.core.paths import PathPatterns
from kexpert.workspace.inline_settings import is_on
from kexpert.workspace.settings import Settings
from tests.support.toy_tree import write_tree

FILES = [
    "tools/perf/a.c", "tools/b.h", "samples/c.c", "drivers/gpu/drm/d.c", "drivers/gpu/e.c", "drivers/net/f.c",
    "net/g.c", "net/core/h.c", "lib/own_i.c", "fs/deep/own_j.c", "own_k.c", "arch/x86/Kconfig", "a b/l.c",
]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("linux"), dict.fromkeys(FILES, b"int x;\n"))


def excluded_from_index(tree: Path, patterns: tuple[str, ...]) -> set[str]:
    return set(FILES) - {file.path for file in scan(tree, PathPatterns(patterns))}


def excluded_from_inline(patterns: tuple[str, ...]) -> set[str]:
    return {path for path in FILES if not is_on(Settings(inline_exclude=patterns), path)}


@pytest.mark.parametrize(
    ("patterns", "excluded"),
    [
        (["tools/**", "samples/**"], {"tools/perf/a.c", "tools/b.h", "samples/c.c"}),
        (["drivers/gpu"], {"drivers/gpu/drm/d.c", "drivers/gpu/e.c"}),
        (["net/"], {"net/g.c", "net/core/h.c"}),
        (["./net/*"], {"net/g.c", "net/core/h.c"}),
        (["*/own_*.c"], {"lib/own_i.c", "fs/deep/own_j.c", "own_k.c"}),
        (["*.h", "Kconfig*"], {"tools/b.h", "arch/x86/Kconfig"}),
        (["drivers/*", "!drivers/net"], {"drivers/gpu/drm/d.c", "drivers/gpu/e.c"}),
        (["net", "#net", "", "/"], set(FILES)),
        (["core", "gpu/", "rivers", "x86"], set()),
        (["!", "///"], set()),
    ],
)
def test_both_settings_exclude(tree: Path, patterns: list[str], excluded: set[str]) -> None:
    assert excluded_from_index(tree, tuple(patterns)) == excluded
    assert excluded_from_inline(tuple(patterns)) == excluded


parts = st.sampled_from(
    ["tools", "net", "drivers", "gpu", "own_*", "*", "**", "*.c", "?", "[a-n]*", "a b", ".", "!", ""]
)
patterns_of_parts = st.lists(parts, min_size=1, max_size=4).map("/".join)


@hypothesis_settings(max_examples=150, deadline=None)
@given(st.lists(patterns_of_parts, max_size=3).map(tuple))
def test_both_settings_agree_on_any_patterns(tree: Path, patterns: tuple[str, ...]) -> None:
    found = excluded_from_index(tree, patterns)
    assert found == excluded_from_inline(patterns)
    assert found == {path for path in FILES if examine(tree, path, PathPatterns(patterns)) is None}


@pytest.mark.parametrize("pattern", ["[z-a]", "[[:alpha:]", "a\\", "\ud800"])
def test_what_is_no_pattern_is_passed_over(pattern: str) -> None:
    patterns = PathPatterns([pattern, "net"])
    assert patterns.matching("net/core/dev.c") == "net"
    assert not patterns.matches("fs/open.c")
