"""The extension in a real VS Code, as a person uses it, from hover to a server that dies: ``make test-vscode``.

First in a toy tree, then in mm/, kernel/ and include/ of a real one with the model that comes with kexpert.
ONLY=step,step does some steps alone, IN=toy or IN=kernel one tree. SCREENSHOTS=DIR keeps what was on the screen;
PICTURES=1 puts some of it into the extension's guide. TREE=DIR shows a kernel tree of yours instead; its index lies in
the usual cache, so have it made first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scripts.get_tree import NoTree, get_tree
from tests.editors.get_neovim import NoNeovim
from tests.editors.get_others import get_clangd
from tests.editors.kernel_slice import copy_slice
from tests.editors.vscode import looks
from tests.editors.vscode.build import EXTENSION, build, build_clangd_client, fetch_packages
from tests.editors.vscode.get_vscode import NoVSCode, VSCode, get_vscode, run
from tests.support.tiny_models import speaking_model
from tests.support.toy_tree import TOY_FILES, write_tree
from tests.support.waiting import eventually

HERE = Path(__file__).resolve().parent
KEXPERT = Path(sys.executable).with_name("kexpert")
START_SECONDS = 240

#: In a browser's VS Code the server is remote, and what belongs to a machine is not among the user's settings.
MACHINE_SETTINGS = {"kexpert.server.command": str(KEXPERT)}
SETTINGS = {
    "chat.disableAIFeatures": True,
    "editor.hover.delay": 200,
    "extensions.autoCheckUpdates": False,
    "files.autoSave": "off",  # as in VS Code on a desktop
    "[jsonc]": {"editor.autoClosingBrackets": "never", "editor.autoSurround": "never"},  # the settings are pasted whole
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "workbench.editor.useModal": "off",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
}

def main() -> int:
    try:
        vscode = get_vscode()
        fetch_packages(vscode)
        package = build(vscode)
    except NoVSCode as reason:
        print(f"test-vscode: {reason}", file=sys.stderr)
        return 1
    if own := os.environ.get("TREE"):
        return run_in(vscode, package, "", lambda home: Path(own).resolve(), looks.ANY_KERNEL)
    began = time.monotonic()
    failed, alone = 0, os.environ.get("IN")
    if alone != "kernel":
        failed |= run_in(vscode, package, "toy", make_toy, looks.toy)
    if alone != "toy":
        failed |= run_in(vscode, package, "kernel", make_kernel, looks.KERNEL)
    print(f"test-vscode: {'FAILED' if failed else 'all steps passed'} in {time.monotonic() - began:.0f} s")
    return failed


def run_in(
    vscode: VSCode,
    package: Path,
    name: str,
    make: Callable[[Path], Path],
    look: looks.Look | Callable[[Path], looks.Look],
) -> int:
    """Look at a tree that ``make`` puts below a new home; ``name`` is empty for a tree of the user's."""
    with tempfile.TemporaryDirectory(prefix="kx", ignore_cleanup_errors=True) as temporary:
        home = Path(temporary)
        try:
            tree = make(home)
        except NoTree as reason:
            print(f"test-vscode: {name}: left out: {reason}", file=sys.stderr)
            return 0
        shots = Path(os.environ.get("SCREENSHOTS") or home / "shots").resolve() / name
        shots.mkdir(parents=True, exist_ok=True)
        model = {"kexpert.model.path": str(speaking_model(home / "model", looks.SENTENCE))} if name == "toy" else {}
        print(f"In {tree}:", flush=True)
        with serving(vscode, package, home, model, home / "cache" if name else user_cache()) as address:
            job = {
                "address": address,
                "tree": str(tree),
                "shots": str(shots),
                "settings": {
                    "User": str(home / "user/User/settings.json"),
                    "Remote": str(home / "user/Machine/settings.json"),
                },
                "look": look(home) if callable(look) else look,
            }
            failed = drive(vscode, job)
        if os.environ.get("PICTURES") and name == "toy" and not failed:
            for shot, picture in looks.PICTURES.items():
                shutil.copy(shots / f"{shot}.png", EXTENSION / "images" / f"{picture}.png")
        return failed


def make_toy(home: Path) -> Path:
    """The toy tree, in git, so that there is something that changes are compared with, and what ``looks.toy`` names."""
    make_outside(home / looks.OUTSIDE)
    make_broken(home / looks.BROKEN)
    speaking_model(home / looks.LONG_WINDED, looks.LINES)
    tree = write_tree(home / "linux", {**TOY_FILES, **looks.MORE_FILES})
    make_clangd(home, tree)
    who = ("-c", "user.name=Terry Toy", "-c", "user.email=terry@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-q", "-m", "toys")):
        run(["git", *words], tree, {**os.environ, "HOME": str(home)})
    return tree


def make_kernel(home: Path) -> Path:
    """A slice of a real tree. Raises NoTree."""
    tree = copy_slice(home, get_tree())
    for path, text in looks.KERNEL_FILES.items():
        (tree / path).write_text(text)
    return tree


def make_outside(folder: Path) -> None:
    """A folder that is in no kernel tree."""
    folder.mkdir()
    (folder / "main.c").write_text("int main(void)\n{\n\treturn 0;\n}\n")


def make_clangd(home: Path, tree: Path) -> None:
    """What clangd needs for the toy tree; nothing where there is no clangd."""
    try:
        program = get_clangd()
    except NoNeovim as reason:
        print(f"test-vscode: step clangd left out: {reason}", file=sys.stderr)
        return
    flags = ["cc", "-nostdinc", "-Iinclude", "-DEXPORT_SYMBOL_GPL(x)=", "-c"]
    files = [f"drivers/toy/{name}.c" for name in ("core", "user")]
    commands = [{"directory": str(tree), "file": file, "arguments": [*flags, file]} for file in files]
    (home / looks.COMMANDS).mkdir()
    (home / looks.COMMANDS / "compile_commands.json").write_text(json.dumps(commands))
    (home / looks.CLANGD).symlink_to(program)


def make_broken(program: Path) -> None:
    """A program that is kexpert, but ends at once while a file named ``broken`` is beside it."""
    program.parent.mkdir()
    words = "ModuleNotFoundError: No module named 'kexpert'"
    mark = program.with_name("broken")
    program.write_text(f'#!/bin/sh\n[ -e {mark} ] && {{ echo "{words}" >&2; exit 1; }}\nexec {KEXPERT} "$@"\n')
    program.chmod(0o755)


@contextmanager
def serving(vscode: VSCode, package: Path, home: Path, settings: dict[str, Any], cache: Path) -> Iterator[str]:
    """code-server with the extension, in folders below ``home``; its address. ``settings``: of the machine; ``cache``:
    where the indexes are."""
    user = home / "user"
    for kind, values in {"User": SETTINGS, "Machine": MACHINE_SETTINGS | settings}.items():
        (user / kind).mkdir(parents=True)
        (user / kind / "settings.json").write_text(json.dumps(values))
    folders = ["--user-data-dir", str(user), "--extensions-dir", str(home / "extensions")]
    environment = {
        **vscode.environment(),
        "HOME": str(home),
        **{f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state")},
        "XDG_CACHE_HOME": str(cache),
        "TMPDIR": str(home),  # it holds sockets, whose paths must be short
    }
    packages = [package]
    if (home / looks.CLANGD).exists():
        packages.append(build_clangd_client(vscode, home / "clangd-client"))
    for each in packages:
        run([vscode.node, vscode.server, *folders, "--install-extension", str(each)], home, environment)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = ("telemetry", "update-check", "workspace-trust", "getting-started-override")
    options = ["--auth", "none", "--bind-addr", f"127.0.0.1:{port}", *(f"--disable-{what}" for what in quiet)]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [vscode.node, vscode.server, *options, *folders],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, process)
        yield address
    finally:
        end(process)


def user_cache() -> Path:
    """The user's own indexes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop code-server and all that it started; its extension host would stay for minutes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
            process.poll()
            time.sleep(1)
    process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    with suppress(AssertionError):
        eventually(lambda: process.poll() is not None or answers(address), seconds=START_SECONDS)
        if process.poll() is None:
            return
    raise SystemExit("test-vscode: code-server does not start")


def answers(address: str) -> bool:
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{address}/healthz", timeout=5):
        return True
    return False


def drive(vscode: VSCode, job: dict[str, Any]) -> int:
    """Drive the browser; 0 when all that must be seen was seen."""
    modules = vscode.folder / "node_modules"
    environment = {**os.environ, "PLAYWRIGHT": str(modules / "playwright-core/index.mjs"), "CHROMIUM": vscode.chromium}
    return subprocess.run([vscode.node, HERE / "drive.mjs", json.dumps(job)], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
