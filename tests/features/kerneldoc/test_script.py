"""The tree's own ``scripts/kernel-doc`` reads what is written above a sample of a real tree's definitions.

``python -m benchmarks.kernel_doc`` does the same for hundreds of them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kernel_doc import GROUPS, is_callable, is_undocumented, new_warnings
from benchmarks.sample import files
from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind
from kexpert.features.kerneldoc.declaration import Undocumentable
from kexpert.features.kerneldoc.draft import Draft, draft
from kexpert.features.kerneldoc.target import target_at
from kexpert.workspace.buffer_view import BufferView
from tests.features.kerneldoc.drafts import draft_of, edited

_COUNT = {"functions": 12, "macros": 6, "records": 6}  # "odd" ones are below


@pytest.fixture(scope="module")
def tree(kernel_tree: Path) -> Path:
    if shutil.which("perl") is None:
        pytest.skip("no perl, which scripts/kernel-doc needs")
    return kernel_tree


def sample(tree: Path, kinds: tuple[Kind, ...], count: int) -> Iterator[Draft]:
    """Drafts for definitions without kernel-doc, one a file; of each file alone is known."""
    found = 0
    for path in files(tree, 200, seed=12):
        source = Source(path, (tree / path).read_bytes())
        if len(source.data) > 100_000:
            continue
        view = BufferView(str(tree), {path: source})
        symbols = [s for s in view.symbols_in(path) if s.kind in kinds and is_callable(s)]
        random.Random(path).shuffle(symbols)
        for symbol in symbols[:3]:
            if not is_undocumented(view, source, symbol):
                continue
            try:
                target = target_at(view, source, symbol.name_start)
            except Undocumentable:
                continue
            assert target is not None
            found += 1
            yield draft(view, source, target)
            break
        if found == count:
            return


@pytest.mark.parametrize("group", _COUNT)
def test_comments_of_a_real_tree_give_no_warning(tree: Path, group: str) -> None:
    drafts = list(sample(tree, GROUPS[group], _COUNT[group]))
    assert len(drafts) == _COUNT[group]
    for made in drafts:
        warnings = new_warnings(tree, made.data, edited(made).encode("utf-8", "surrogateescape"), ["-v"])
        assert warnings == [], f"{made.path}: {made.comment()}"


ODD = [
    ("int f(void)\n{\n\treturn 0;\n}\n", "f"),
    ("static int\nf(int (*cb)(void *arg, int n), char *const names[], ...)\n{\n\treturn 0;\n}\n", "f"),
    ("struct a *f(u8 (*rows)[8], u8 mac[ETH_ALEN])\n{\n\treturn NULL;\n}\n", "f"),
    ("int f(a, b)\n\tint a;\n\tchar *b;\n{\n\treturn 0;\n}\n", "f"),
    ("__printf(1, 2) static int f(const char *fmt, ...)\n{\n\treturn 0;\n}\n", "f"),
    ("void f(struct a *a)\n\t__acquires(&a->lock)\n\t__releases(&a->other)\n{\n}\n", "f"),
    ("SYSCALL_DEFINE3(toy, int, fd, const char __user *, name,\n\t\tumode_t, mode)\n{\n\treturn 0;\n}\n", "sys_toy"),
    ("SYSCALL_DEFINE0(toy)\n{\n\treturn 0;\n}\n", "sys_toy"),
    ("COMPAT_SYSCALL_DEFINE1(toy, int, fd)\n{\n\treturn 0;\n}\n", "compat_sys_toy"),
    ("#define F(fmt, args...) \\\n\tprintk(fmt, ##args)\n", "F"),
    ("#define F(a, \\\n\tb, ...) ({ \\\n\tg(a, b, __VA_ARGS__); })\n", "F"),
    ("struct f {\n\tint a, *b;\n\tunsigned int c:1, d:2;\n\tint (*open)(struct inode *, int);\n};\n", "f"),
    ("struct f {\n\tunion {\n\t\tint a;\n\t\tstruct { int b; };\n\t};\n\tstruct { int d; } c;\n} __packed;\n", "f"),
    ("struct f {\n\tDECLARE_BITMAP(bits, 8);\n\tstruct_group(g, int a; int b;);\n};\n", "f"),
    ("struct f {\n\tint a;\n\t/* private: */\n\tint b;\n\t/* public: */\n\tint c;\n};\n", "f"),
    ("enum f { A, B = 2, C = B << 1, };\n", "f"),
    ("/*\n * Wind it up: that is all. Note: not twice.\n */\nint f(int a)\n{\n\treturn 0;\n}\n", "f"),
    ("/**\n * f - it\n * @b: two\n */\nint f(int a, int b, int c)\n{\n\treturn 0;\n}\n", "f"),
]


@pytest.mark.parametrize(("code", "name"), ODD)
def test_odd_declarations_give_no_warning(tree: Path, code: str, name: str) -> None:
    made = draft_of(code, name)
    assert new_warnings(tree, b"", edited(made).encode(), ["-v"]) == [], made.comment()
