"""scripts/install.py shows pip's progress, and says in plain words why an installation failed."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "install.py"

# `pip install -v`, pip 23.2, shortened. Indented lines come from pip's build environments and from CMake.
LOG = """\
Obtaining file:///home/me/kexpert
  Running command pip subprocess to install build dependencies
  Collecting hatchling>=1.27
    Downloading hatchling-1.27.0-py3-none-any.whl (75 kB)
  Installing collected packages: pathspec, hatchling
Collecting chromadb>=1.5 (from kexpert==0.1.0)
  Obtaining dependency information for chromadb>=1.5 from https://files.pythonhosted.org/packages/a.whl.metadata
  Downloading chromadb-1.5.9-cp39-abi3-manylinux_2_17_x86_64.whl.metadata (7.2 kB)
  Downloading chromadb-1.5.9-cp39-abi3-manylinux_2_17_x86_64.whl (21.1 MB)
Building wheels for collected packages: kexpert, llama-cpp-python
  Running command Building editable for kexpert (pyproject.toml)
  Building editable for kexpert (pyproject.toml): finished with status 'done'
  Created wheel for kexpert: filename=kexpert-0.1.0-py3-none-any.whl size=4000 sha256=00
  Running command Building wheel for llama-cpp-python (pyproject.toml)
  *** scikit-build-core 0.11.6 using CMake 3.25.1 (wheel)
  [1/83] /usr/bin/cc -DGGML_BUILD -O3 -o ggml.c.o -c ggml.c
  [42/83] /usr/bin/c++ -DLLAMA_BUILD -O3 -o llama-graph.cpp.o -c llama-graph.cpp
  llama-graph.cpp:7:1: warning: unused parameter [-Wunused-parameter]
  [83/83] : && /usr/bin/c++ -shared -o bin/libllama.so
  Created wheel for llama-cpp-python: filename=llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl size=3000 sha256=00
Successfully built kexpert llama-cpp-python
Installing collected packages: typing-extensions, numpy, chromadb, kexpert
""".splitlines()


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the script and an empty ``.venv``, without pip."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return tmp_path


def replace_pip(project: Path, script: str) -> None:
    """Let a shell script answer instead of ``.venv/bin/python -m pip``."""
    for name in ("python", "pip"):
        (project / ".venv" / "bin" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (project / ".venv" / "bin" / name).chmod(0o755)


def run(project: Path, *extras: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "scripts" / "install.py"), *extras]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("last_line", "expected"),
    [
        ("Obtaining file", "starting pip"),
        ("Collecting chromadb", "looking up chromadb"),
        (
            "  Downloading chromadb-1.5.9-cp39-abi3-manylinux_2_17_x86_64.whl (",
            "downloading chromadb-1.5.9 (21.1 MB)",
        ),
        ("  Running command Building editable for kexpert", "building kexpert"),
        ("  *** scikit-build-core", "building llama-cpp-python"),
        ("  [1/83]", "compiling llama-cpp-python: 1 %"),
        ("  [42/83]", "compiling llama-cpp-python: 50 %"),
        ("  llama-graph.cpp:7:1: warning", "compiling llama-cpp-python: 50 %"),
        ("  [83/83]", "compiling llama-cpp-python: 100 %"),
        ("  Created wheel for llama", "built llama-cpp-python"),
        ("Installing collected packages: typing", "installing 4 packages"),
    ],
)
def test_the_phase_follows_the_log(install: ModuleType, last_line: str, expected: str) -> None:
    end = next(number for number, line in enumerate(LOG) if line.startswith(last_line))
    assert install.phase(LOG[: end + 1]) == expected


def test_a_log_without_lines_has_a_phase(install: ModuleType) -> None:
    assert install.phase([]) == "starting pip"


def test_make_reports_a_percentage_itself(install: ModuleType) -> None:
    log = ["  Running command Building wheel for numpy (pyproject.toml)", "  [ 12%] Building C object ggml.c.o"]
    assert install.phase(log) == "compiling numpy: 12 %"


def test_progress_is_printed_while_pip_runs(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "echo '  Running command Building wheel for x'; echo '  [1/4] cc'; until [ -e seen ]; do sleep 0.05; done"
    phase = install.phase

    def phase_and_signal(lines: list[str]) -> str:
        found: str = phase(lines)
        if "%" in found:
            (tmp_path / "seen").touch()
        return found

    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "LOG", tmp_path / "log")
    monkeypatch.setattr(install, "phase", phase_and_signal)
    monkeypatch.setattr(install, "_PIPE_POLL_SECONDS", 0.05)
    assert install.run(["sh", "-c", script]) == 0
    assert "compiling x: 25 %\n" in capsys.readouterr().out


def test_options_of_the_user_come_after_ours(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=ON")
    monkeypatch.setenv("CMAKE_BUILD_PARALLEL_LEVEL", "3")
    environment = install.build_environment()
    assert shlex.split(environment["CMAKE_ARGS"]) == [*install.LLAMA_CPP_OPTIONS, "-DGGML_CUDA=ON"]
    assert environment["CMAKE_BUILD_PARALLEL_LEVEL"] == "3"


def test_the_build_includes_a_file_that_exists(install: ModuleType) -> None:
    _, included = install.LLAMA_CPP_OPTIONS[-1].split("=")
    assert Path(included).is_file()


def test_a_missing_compiler_is_named(project: Path) -> None:
    failed = run(project, PATH=str(project))
    assert failed.returncode == 1
    assert "no C and C++ compiler" in failed.stderr
    assert "build-essential" in failed.stderr


def test_pips_error_is_shown_and_the_log_is_kept(project: Path) -> None:
    replace_pip(
        project,
        "seq -f 'Requirement already satisfied: package-%g' 40\n"
        "echo 'ERROR: No matching distribution found for chromadb==9.9'\n"
        "exit 1",
    )
    failed = run(project)
    assert failed.returncode == 1
    log = project / ".venv" / "install.log"
    assert failed.stderr.splitlines() == [
        "ERROR: No matching distribution found for chromadb==9.9",
        f"install: pip failed; the whole log is in {log}",
    ]
    assert len(log.read_text(encoding="utf-8").splitlines()) == 41


def test_a_compilers_error_is_shown_with_the_lines_after_it(install: ModuleType) -> None:
    log = [
        "  [7/83] /usr/bin/c++ -Werror=format -c ops.cpp",
        "  FAILED: ops.cpp.o",
        "  /usr/bin/c++" + " -DOPTION" * 100,
        "  c++: fatal error: Killed signal terminated program cc1plus",
        *(f"  [{step}/83] /usr/bin/c++" for step in range(8, 48)),
        "  error: subprocess-exited-with-error",
        "ERROR: Could not build wheels for llama-cpp-python",
    ]
    shown = install.errors(log)
    assert shown[0] == log[1]
    assert shown[1] == log[2][:200]
    assert shown[2] == log[3]
    assert shown[-1] == log[-1]
    assert len(shown) == 16


def test_without_an_error_line_the_end_of_the_log_is_shown(install: ModuleType) -> None:
    log = [f"line {number}" for number in range(100)]
    assert install.errors(log) == log[-15:]


def test_a_successful_run_says_what_it_installs_and_how_long_it_took(project: Path) -> None:
    replace_pip(project, 'echo "$@"')
    done = run(project, "test", "lint")
    assert done.returncode == 0
    assert re.fullmatch(r"Installing the extras test,lint into .venv\nInstalled in \d+:\d\d\n", done.stdout)
    log = (project / ".venv" / "install.log").read_text(encoding="utf-8")
    assert log.startswith("-m pip install -v ")
    assert log.endswith(" -c constraints.txt -e .[test,lint]\n")


def test_an_environment_without_pip_is_made_again(
    install: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debian's ``python3 -m venv`` without python3-venv leaves a Python and no pip."""
    (project / ".venv" / "bin" / "python").symlink_to(sys.executable)
    commands = []

    def fail_to_make(command: list[str | Path], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "ensurepip is not available", "")

    monkeypatch.setattr(install, "VENV", project / ".venv")
    monkeypatch.setattr(install.subprocess, "run", fail_to_make)
    assert install.main() == 1
    assert commands == [[sys.executable, "-m", "venv", project / ".venv"]]
    error = capsys.readouterr().err
    assert "ensurepip is not available" in error
    assert "apt-get install python3-venv" in error
