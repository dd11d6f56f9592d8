"""The dependency rules of ARCHITECTURE.md hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from grimp import build_graph

ROOT = Path(__file__).resolve().parent.parent

#: Seconds to import, or gigabytes to install, or both.
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "triton", "trl", "chromadb", "llama_cpp", "model2vec"}


def test_import_contracts_hold() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    report = subprocess.run([lint_imports, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert report.returncode == 0, report.stdout + report.stderr


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = build_graph("kexpert", "kexpert_trainer", "kexpert_kernels", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # Modules that import nothing, or only such ones, are in no circle; take them away until none is left.
    while leaves := {module for module, imported in imports.items() if not imported & imports.keys()}:
        imports = {module: imported for module, imported in imports.items() if module not in leaves}
    on_the_way = {module for module in imports if not any(module in imported for imported in imports.values())}
    assert not imports, f"a circle among {sorted(imports.keys() - on_the_way)}"


def test_no_source_file_is_longer_than_500_lines() -> None:
    folders = ("server", "trainer", "kernels", "tests", "benchmarks", "scripts")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 300
    assert not [str(file) for file in files if len(file.read_text().splitlines()) > 500]


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param("kexpert.lsp.server", id="serving"),
        pytest.param("kexpert.index.builder, kexpert.index.service", id="indexing"),
    ],
)
def test_nothing_heavy_is_imported_by(modules: str) -> None:
    assert not HEAVY & imported_by(modules)


def test_the_command_line_starts_without_what_its_commands_need() -> None:
    assert not (HEAVY | {"pygls", "lsprotocol", "sqlite3", "tree_sitter", "watchdog", "rich"}) & imported_by(
        "kexpert.__main__"
    )


def test_source_roots_are_plain_folders() -> None:
    """A package named ``kernels`` would shadow the one that transformers probes for."""
    assert not [root for root in ("server", "trainer", "kernels") if (ROOT / root / "__init__.py").exists()]


def imported_by(modules: str) -> set[str]:
    program = f"import sys, {modules}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
