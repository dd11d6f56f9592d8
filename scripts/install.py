"""Make ``.venv`` and install kexpert into it. make runs this when pyproject.toml or constraints.txt changed.

``install.py`` installs what the server needs; ``install.py test lint`` installs these extras as well. pip's output
goes to ``.venv/install.log``, and a progress line to the terminal. Uses the standard library only.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = VENV / "install.log"

#: CMake options for llama-cpp-python: build libllama and ggml, but not the libraries for images and for tools.
LLAMA_CPP_OPTIONS = (
    "-DLLAVA_BUILD=OFF",
    "-DLLAMA_ALL_WARNINGS=OFF",  # 13,000 lines in the log
    f"-DCMAKE_PROJECT_llama_cpp_INCLUDE={ROOT / 'scripts' / 'llama_cpp.cmake'}",
)

_TERMINAL_POLL_SECONDS = 1
_PIPE_POLL_SECONDS = 10
_MAX_ERROR_LINES = 15
_MAX_ERROR_COLUMNS = 200

_BUILD = re.compile(r"\s*(?:Running command )?Building (?:wheel|editable) for (\S+)")
_BUILT = re.compile(r"\s*Created wheel for ([^\s:]+)")
_STEP = re.compile(r"\s*\[\s*(\d+)(?:/(\d+)\]|%\])")  # Ninja: "[12/83] ", Make: "[ 14%] "
_DOWNLOAD = re.compile(r"\s*Downloading (?:\S*/)?([^\s-]+-[^\s-]+?)(?:-\S+\.whl|\.tar\.gz|\.zip) (\([\d.]+ [kMG]B\))")
_COLLECT = re.compile(r"Collecting ([\w.-]+)")  # not indented: an indented line belongs to a build's own environment
_INSTALL = re.compile(r"Installing collected packages: (.*)")
_ERROR = re.compile(r"^\s*(?:ERROR: |FAILED: |CMake Error)|\berror: |No module named ")
_PIP_ERROR = re.compile(r"\s*ERROR: ")


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 (make may have found an older Python)
        return fail(
            f"{sys.executable} is Python {sys.version.split()[0]}; kexpert needs 3.11: make PYTHON=/path/to/python3"
        )
    if not all(map(shutil.which, ("cc", "c++"))):
        return fail(
            "no C and C++ compiler (cc, c++) found: llama-cpp-python compiles from source; install build-essential"
        )
    python = VENV / "bin" / "python"
    if not (python.exists() and (VENV / "bin" / "pip").exists()):
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
        if made.returncode:
            return fail(f"{sys.executable} -m venv failed; on Debian: apt-get install python3-venv", made.stdout)
    extras = ",".join(sys.argv[1:])
    first = "kexpert (the first time compiles llama.cpp: about four minutes on two idle cores)"
    print(f"Installing {f'the extras {extras}' if extras else first} into .venv", flush=True)
    # -v: pip passes on what CMake and Ninja print
    pip = [str(python), "-m", "pip", "install", "-v", "--no-input", "--disable-pip-version-check"]
    started = time.monotonic()
    if run([*pip, "--progress-bar", "off", "-c", "constraints.txt", "-e", f".[{extras}]" if extras else "."]):
        return fail(f"pip failed; the whole log is in {LOG}", "\n".join(errors(log_lines())))
    print(f"Installed in {elapsed(started)}", flush=True)
    return 0


def run(command: Sequence[str]) -> int:
    """Run pip with its output in the log, and show progress. Returns pip's exit status."""
    in_place = sys.stdout.isatty()
    poll_seconds = _TERMINAL_POLL_SECONDS if in_place else _PIPE_POLL_SECONDS
    started = time.monotonic()
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=build_environment(), stdout=log, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    return process.wait(timeout=poll_seconds)
                except subprocess.TimeoutExpired:
                    line = f"  {elapsed(started)}  {phase(log_lines())}"
                    print(f"\r{line[:79]:<79}" if in_place else line, end="" if in_place else "\n", flush=True)
        finally:
            process.kill()
            if in_place:
                print(f"\r{'':<79}\r", end="", flush=True)


def build_environment() -> dict[str, str]:
    """Return the environment for pip: this process's, with llama.cpp's options before those in ``CMAKE_ARGS``."""
    ours = " ".join(map(shlex.quote, LLAMA_CPP_OPTIONS))
    cores = str(len(os.sched_getaffinity(0)))
    return {
        "CMAKE_BUILD_PARALLEL_LEVEL": cores,
        **os.environ,
        "CMAKE_ARGS": f"{ours} {os.environ.get('CMAKE_ARGS', '')}".rstrip(),
    }


def phase(lines: Sequence[str]) -> str:
    """Return what pip does now, in a few words, from its output so far (``pip -v``)."""
    percent = ""
    for line in reversed(lines):
        if found := _INSTALL.match(line):
            return f"installing {found[1].count(',') + 1} packages"
        if _PIP_ERROR.match(line):
            return "pip failed and cleans up"
        if found := _BUILT.match(line):
            return f"built {found[1]}"
        if found := _BUILD.match(line):
            return f"compiling {found[1]}: {percent}" if percent else f"building {found[1]}"
        if (found := _STEP.match(line)) and not percent:
            percent = f"{100 * int(found[1]) // int(found[2] or 100)} %"
        elif found := _DOWNLOAD.match(line):
            return f"downloading {found[1]} {found[2]}"
        elif found := _COLLECT.match(line):
            return f"looking up {found[1]}"
    return "starting pip"


def errors(lines: Sequence[str]) -> list[str]:
    """Return the first error with the lines after it and then pip's own errors; the log's end if there is no error."""
    first = next((number for number, line in enumerate(lines) if _ERROR.search(line)), None)
    if first is None:
        found = list(lines[-_MAX_ERROR_LINES:])
    else:
        context, rest = lines[first : first + _MAX_ERROR_LINES], lines[first + _MAX_ERROR_LINES :]
        found = [*context, *(line for line in rest if _PIP_ERROR.match(line))]
    return [line[:_MAX_ERROR_COLUMNS] for line in found if line.strip()]


def elapsed(started: float) -> str:
    """Return the time since ``started`` as minutes:seconds."""
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes}:{seconds:02}"


def log_lines() -> list[str]:
    return LOG.read_text(encoding="utf-8", errors="replace").splitlines()


def fail(message: str, detail: str = "") -> int:
    print(f"{detail.rstrip()}\n" * bool(detail) + f"install: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
