"""Make ``.venv`` and install kexpert into it; run by make when pyproject.toml or constraints.txt changed.

``install.py`` installs what the server needs, ``install.py test lint`` these extras as well. Standard library
only. pip's output goes to ``.venv/install.log``; what it is at is shown every few seconds, because
llama-cpp-python comes as source and compiles for minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = VENV / "install.log"
EVERY_SECONDS = 10


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 (it runs under whatever Python make found)
        return fail(
            f"{sys.executable} is Python {sys.version.split()[0]}; kexpert needs 3.11: make PYTHON=/path/to/python3"
        )
    if not all(map(shutil.which, ("cc", "c++"))):
        return fail(
            "no C and C++ compiler (cc, c++) found: llama-cpp-python compiles from source; install build-essential"
        )
    python = str(VENV / "bin" / "python")
    if not os.path.exists(python):
        made = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False)
        if made.returncode:
            return fail(f"{sys.executable} -m venv failed; on Debian: apt-get install python3-venv", made.stdout)
    pip = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    extras = ",".join(sys.argv[1:])
    wanted = ["-c", "constraints.txt", "-e", f".[{extras}]" if extras else "."]
    first = "kexpert (the first time compiles llama.cpp: about five minutes on two cores)"
    what = f"the extras {extras}" if extras else first
    print(f"Installing {what} into .venv", flush=True)
    started = time.monotonic()
    with LOG.open("w", encoding="utf-8") as log:
        process = subprocess.Popen([*pip, *wanted], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    code = process.wait(timeout=EVERY_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    print(f"  {time.monotonic() - started:4.0f} s  {latest()}", flush=True)
        finally:
            process.kill()
    if code:
        return fail(f"pip failed; the whole log is in {LOG}", "".join(log_lines()[-15:]))
    print(f"Installed in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def log_lines() -> list[str]:
    return LOG.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)


def latest() -> str:
    lines = [line.strip() for line in log_lines() if not line.lstrip().startswith("WARNING")]
    return lines[-1][:100] if lines else ""


def fail(message: str, detail: str = "") -> int:
    print(f"{detail.rstrip()}\n" * bool(detail) + f"install: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
