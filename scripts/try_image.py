"""Build the image of deploy/Containerfile and run it as deploy/compose.yaml does. Needs podman, runc and debootstrap.

    sudo python -m scripts.try_image [--work DIR] [--keep]

It needs no registry of images: the base image is a Debian of debootstrap with its own Python, under the name that the
container file asks for. Packages come from Debian and PyPI. It takes 4 GB in DIR and, mostly for llama.cpp, ten
minutes. With ``--keep`` the base and the layers stay in DIR, and the next run takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.support.toy_tree import TOY_FILES, write_tree
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
USER = "65532:65532"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
#: As in compose.yaml.
_CONFINED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", f"--user={USER}",
             "--tmpfs=/tmp:size=256m,mode=1777")  # fmt: skip
#: podman asks for more than a container in a container may have.
_LIMITS = ("--ulimit=nofile=20000:20000", "--ulimit=nproc=10000:10000")


class Podman:
    """podman with images and containers of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self._command = ("podman", "--root", str(folder / "storage"), "--runroot", str(folder / "run"),
                         "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc")  # fmt: skip

    def __call__(self, *arguments: str, shows: bool = False) -> str:
        """The output. Ends the program with podman's last words if it fails; ``shows`` it meanwhile."""
        done = subprocess.run(
            [*self._command, *arguments], stdout=None if shows else subprocess.PIPE, stderr=None if shows else
            subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"podman {arguments[0]} failed: {(done.stdout or '').strip()[-2000:]}")
        return (done.stdout or "").strip()

    def status(self, *arguments: str) -> int:
        return subprocess.run([*self._command, *arguments], capture_output=True, check=False).returncode


def missing_tools() -> str:
    """What keeps this from running, in one line; "" if nothing does."""
    missing = [name for name in ("podman", "runc", "debootstrap") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found; on Debian: apt-get install --no-install-recommends {' '.join(missing)}"
    return "" if os.geteuid() == 0 else "debootstrap needs root"


def make_base(podman: Podman, work: Path) -> None:
    """The image that the container file begins with, made of Debian's packages."""
    (name,) = set(re.findall(r"^FROM (\S+:\S+) AS", CONTAINERFILE.read_text(), re.M))
    if not podman.status("image", "exists", name):
        return
    root = work / "base"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        print(f"{name}: made of Debian's packages", flush=True)
        suite = name.rpartition("-")[2]
        command = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", suite,
                   str(root), "http://deb.debian.org/debian"]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    version = re.search(r"python:(\d+\.\d+)", name)
    assert version and (root / f"usr/bin/python{version[1]}").exists(), f"Debian {name} has another Python"
    python = root / "usr/local/bin/python"
    python.unlink(missing_ok=True)
    python.symlink_to("/usr/bin/python3")
    if _CERTIFICATES.exists():  # of a network that looks into TLS
        shutil.copy(_CERTIFICATES, root / _CERTIFICATES.relative_to("/"))
        (root / "etc/pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}\ndefault-timeout = 180\n")
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        archive = work / "base.tar"
        with archive.open("wb") as file:
            assert tar.stdout
            shutil.copyfileobj(tar.stdout, file)
    podman("import", str(archive), name)
    archive.unlink()


def build(podman: Podman) -> None:
    podman("build", "--format=docker", "--pull-never", "--network=host", *_LIMITS, "--layers",
           "-f", str(CONTAINERFILE), "-t", "kexpert", str(ROOT), shows=True)  # fmt: skip


def passed(what: str, is_so: bool) -> None:
    print(f"{'ok' if is_so else 'FAILED'}: {what}", flush=True)
    if not is_so:
        raise SystemExit(1)


def asked(address: str, token: str = "", body: object = None) -> tuple[int, bytes]:
    """Status and body; status 0 if nobody answers."""
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def run_it(podman: Podman, work: Path) -> None:
    """Index a small tree, then serve it from a read-only root, with the index read-only."""
    for name in ("tree", "data", "secrets", "settings"):
        shutil.rmtree(work / name, ignore_errors=True)
    tree = write_tree(work / "tree", TOY_FILES)
    data, tokens, settings = work / "data", work / "secrets" / "tokens", work / "settings" / "config.toml"
    for folder in (data, tokens.parent, settings.parent):
        folder.mkdir()
    token = secrets.token_hex(24)
    tokens.write_text(f"trial {token}\n")
    tokens.chmod(0o400)
    settings.write_text("[vectors]\nenabled = false\n")
    for path in (data, tokens):
        os.chown(path, *map(int, USER.split(":")))
    mounts = [f"-v={tree}:/tree:ro", f"-v={settings.parent}:/etc/kexpert-config/kexpert:ro"]
    podman("run", "--rm", *_CONFINED, *_LIMITS, *mounts, f"-v={data}:/data", "kexpert", "index", "--tree", "/tree")
    passed("the indexer runs without rights on a read-only root", bool(list(data.rglob("index.db"))))
    podman("run", "-d", "--name=trial", *_CONFINED, *_LIMITS, *mounts, f"-v={data}:/data:ro",
           f"-v={tokens.parent}:/run/kexpert:ro", "-p=127.0.0.1::7410", "kexpert")  # fmt: skip
    try:
        address = f"http://{podman('port', 'trial', '7410/tcp').splitlines()[0]}"
        eventually(lambda: asked(f"{address}/livez")[0] == 200, seconds=60)
        passed("the image's own health check answers", podman.status("healthcheck", "run", "trial") == 0)
        passed("without a token nothing is answered", asked(f"{address}/v1/health")[0] == 401)
        _, body = asked(f"{address}/v1/symbols/toy_wind", token)
        passed("a symbol is found", json.loads(body)["symbols"][0]["path"] == "drivers/toy/core.c")
        passed("the page is there", b"toy_wind" in asked(f"{address}/source/drivers/toy/core.c", token)[1])
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        passed("agents have their tools", b'"find_callers"' in asked(f"{address}/mcp", token, listing)[1])
        passed("it is nobody", podman("exec", "trial", "id", "-u") == USER.partition(":")[0])
        rights = podman("exec", "trial", "grep", "CapEff", "/proc/1/status")
        passed("it has no capability", int(rights.split()[-1], 16) == 0)
        for path in ("/x", "/opt/kexpert/x", "/data/x", "/tree/x"):
            passed(f"it cannot write {path}", podman.status("exec", "trial", "touch", path) != 0)
        podman("stop", "--time=20", "trial")
        code = podman("inspect", "--format={{.State.ExitCode}}", "trial")
        passed("it ends when it is told to", code == "0")
    finally:
        podman("rm", "--force", "trial")
    size = int(podman("image", "inspect", "--format={{.Size}}", "kexpert"))
    print(f"size of the image: {size / 1e6:.0f} MB", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where images are kept (default: a folder that is removed)")
    parser.add_argument("--keep", action="store_true", help="keep the images for the next run")
    args = parser.parse_args(argv)
    if problem := missing_tools():
        print(f"try_image: {problem}", file=sys.stderr)
        return 2
    work = args.work or Path(tempfile.mkdtemp(prefix="kexpert-image-"))
    work.mkdir(parents=True, exist_ok=True)
    podman = Podman(work)
    try:
        make_base(podman, work)
        build(podman)
        run_it(podman, work)
    finally:
        if not args.keep:
            podman.status("rmi", "--all", "--force")
            subprocess.run(["umount", str(work / "storage" / "overlay")], capture_output=True, check=False)
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
