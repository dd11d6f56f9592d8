"""A package index in a folder, with wheels that hold a base model: what pip fetches from when a test says so."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kexpert.model.base_models import CATALOGUE, BaseModel

DISTRIBUTION, VERSION = "toy-base", "1.0"
_INFO = "toy_base-1.0.dist-info"
GGUF = "toy_base/toy.gguf"
LICENCE = f"{_INFO}/LICENSE"
LICENCE_TEXT = b"You may do as you like.\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder: Path, members: Mapping[str, bytes]) -> Path:
    """Write ``toy_base-1.0-py3-none-any.whl`` with these members and what every wheel has."""
    wheel = folder / "toy_base-1.0-py3-none-any.whl"
    usual = {
        f"{_INFO}/METADATA": f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {VERSION}\n".encode(),
        f"{_INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = {**members, **usual}
    record = "".join(f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in files.items())
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**files, f"{_INFO}/RECORD": f"{record}{_INFO}/RECORD,,\n".encode()}.items():
            archive.writestr(name, data)
    return wheel


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def base_of(wheel: Path, gguf: bytes, licence: bytes = LICENCE_TEXT) -> BaseModel:
    """The entry of a catalogue for a wheel as it is now, and the GGUF that it should hold."""
    return replace(
        CATALOGUE["smollm2-135m"],
        name="toy",
        distribution=DISTRIBUTION,
        version=VERSION,
        wheel_sha256=sha256(wheel.read_bytes()),
        wheel_bytes=wheel.stat().st_size,
        gguf=GGUF,
        gguf_sha256=sha256(gguf),
        gguf_bytes=len(gguf),
        licence_text=LICENCE,
        licence_sha256=sha256(licence),
    )


def point_pip_at(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip find wheels in ``folder`` and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def point_pip_at_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let pip ask one index, twice if it does not answer."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
