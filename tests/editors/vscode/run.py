"""The extension in a real VS Code, as a person uses it, from hover to a server that dies: ``make test-vscode``.

SCREENSHOTS=DIR keeps what was on the screen; PICTURES=1 puts some of it into the extension's guide. TREE=DIR shows a
kernel tree of yours instead of the tests' own; its index lies in the usual cache, so have it made first.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.editors.vscode.build import EXTENSION, build, fetch_packages
from tests.editors.vscode.get_vscode import NoVSCode, VSCode, get_vscode, run
from tests.support.tiny_models import speaking_model
from tests.support.toy_tree import TOY_FILES, write_tree
from tests.support.waiting import eventually

HERE = Path(__file__).resolve().parent
KEXPERT = Path(sys.executable).with_name("kexpert")
START_SECONDS = 60

SETTINGS = {
    "kexpert.server.command": str(KEXPERT),
    "chat.disableAIFeatures": True,
    "editor.hover.delay": 200,
    "extensions.autoCheckUpdates": False,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
}

#: Screenshots that are pictures of the extension's guide.
PICTURES = {"hover": "hover", "search-list": "search", "explain-page": "explain", "ghost-shown": "ghost"}

#: Besides the toy tree: a configuration and what it leaves out.
MORE = {
    ".config": "# CONFIG_TOY_OLD is not set\nCONFIG_TOY=m\n",
    "drivers/toy/variants.c": "#ifdef CONFIG_TOY_OLD\nint left_out;\n#else\nint compiled;\n#endif\n",
    "Kconfig": 'config TOY\n\ttristate "Toy support"\n\tdepends on \n\thelp\n\t  Say Y to play.\n',
}

#: What to look at in the tests' own tree: a file, text of it with a bar where the mouse or the cursor goes, and what
#: must be seen, or where the cursor must land.
TOY = {
    "hover": {
        "file": "drivers/toy/user.c",
        "at": "return toy_|wind(car, 3)",
        "sees": ["int toy_wind(struct toy *toy, unsigned int turns)", "wind a toy up", "Terry Toy"],
    },
    "completion": {"file": "drivers/toy/core.c", "at": "if (toy->|broken)", "sees": ["ops", "turns", "broken"]},
    "definition": {
        "file": "drivers/toy/user.c",
        "at": "struct toy_|ops car_ops",
        "lands": {"file": "include/linux/toy.h", "at": "struct toy_|ops {"},
    },
    "search": {
        "asks": "wind a toy up",
        "sees": ["toy_wind", "function in drivers/toy/core.c"],
        "lands": {"file": "drivers/toy/core.c", "at": "int |toy_wind(struct toy *toy, unsigned int turns)\n{"},
    },
    "grep": {"asks": r"toy_wind\(car, \d", "sees": ["car_play", "drivers/toy/user.c"]},
    "similar": {"file": "drivers/toy/core.c", "at": "int toy_|wind(struct toy", "sees": ["drivers/toy/user.c"]},
    "inactive": {"file": "drivers/toy/variants.c", "at": "int |left_out;", "sees": ["int left_out;"]},
    "kconfig": {"file": "Kconfig", "at": "depends on |", "sees": ["TOY"]},
    "explain": {
        "file": "drivers/toy/core.c",
        "at": "unsigned int to|tal",
        "sees": ["toy_wind", "drivers/toy/core.c"],
        "lands": {"file": "drivers/toy/core.c", "at": "int |toy_wind(struct toy *toy, unsigned int turns)\n{"},
    },
    "ask": {"asks": "who calls toy_wind()?", "sees": ["is called by", "car_wind"]},
    "menu": {"sees": ["Ghost Text Off", "Re-index", "Doctor", "Show Log", "Choose Model"]},
    "doctor": {"sees": ["server", "kexpert.server.command", "SQLite"]},
    "killed": {"file": "drivers/toy/user.c", "at": "return toy_|wind(car, 3)", "sees": ["wind a toy up"]},
    "ghost": {
        "file": "drivers/toy/user.c",
        "at": "unsigned int turns)\n|{",
        "types": "\n",
        "sees": ["return toy_wind(toy, 1);"],
    },
    "missing": {"sees": ["kexpert: ", "Install with pipx", "Open Settings"]},
}

#: What the model of the tests' own tree says wherever it is asked.
SENTENCE = ("{\n", "\treturn", " toy", "_wind", "(to", "y", ",", " ", "1", ");")

#: The same in any kernel tree.
KERNEL = {
    "hover": {"file": "mm/util.c", "at": "buf = kmalloc_|track_caller(len, gfp);", "sees": ["kmalloc_track_caller"]},
    "completion": {"file": "fs/read_write.c", "at": "if (!(file->|f_mode & FMODE_", "sees": ["f_mode", "f_op"]},
    "definition": {
        "file": "fs/read_write.c",
        "at": "const struct file_|operations generic_ro_fops",
        "lands": {"file": "include/linux/fs.h", "at": "\nstruct file_|operations {"},
    },
}


def main() -> int:
    try:
        vscode = get_vscode()
        fetch_packages(vscode)
        package = build(vscode)
    except NoVSCode as reason:
        print(f"test-vscode: {reason}", file=sys.stderr)
        return 1
    own = os.environ.get("TREE")
    with tempfile.TemporaryDirectory(prefix="kx", ignore_cleanup_errors=True) as temporary:
        home = Path(temporary)
        tree = Path(own).resolve() if own else write_tree(home / "linux", {**TOY_FILES, **MORE})
        shots = Path(os.environ.get("SCREENSHOTS") or home / "shots").resolve()
        shots.mkdir(parents=True, exist_ok=True)
        model = {} if own else {"kexpert.model.path": str(speaking_model(home / "model", SENTENCE))}
        with serving(vscode, package, home, model, keep_cache=bool(own)) as address:
            job = {
                "address": address,
                "tree": str(tree),
                "shots": str(shots),
                "settings": str(home / "user/User/settings.json"),
                "look": KERNEL if own else TOY,
            }
            failed = look(vscode, job)
            if os.environ.get("PICTURES") and not failed:
                for shot, picture in PICTURES.items():
                    shutil.copy(shots / f"{shot}.png", EXTENSION / "images" / f"{picture}.png")
            return failed


@contextmanager
def serving(vscode: VSCode, package: Path, home: Path, settings: dict[str, Any], keep_cache: bool) -> Iterator[str]:
    """code-server with the extension, in folders below ``home``; its address."""
    user = home / "user"
    (user / "User").mkdir(parents=True)
    (user / "User" / "settings.json").write_text(json.dumps(SETTINGS | settings))
    folders = ["--user-data-dir", str(user), "--extensions-dir", str(home / "extensions")]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    environment = {
        **vscode.environment(),
        "HOME": str(home),
        **{f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state")},
        "XDG_CACHE_HOME": cache if keep_cache else str(home / "cache"),
        "TMPDIR": str(home),  # it holds sockets, whose paths must be short
    }
    run([vscode.node, vscode.server, *folders, "--install-extension", str(package)], home, environment)
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


def look(vscode: VSCode, job: dict[str, Any]) -> int:
    """Drive the browser; 0 when all that must be seen was seen."""
    modules = vscode.folder / "node_modules"
    environment = {**os.environ, "PLAYWRIGHT": str(modules / "playwright-core/index.mjs"), "CHROMIUM": vscode.chromium}
    return subprocess.run([vscode.node, HERE / "drive.mjs", json.dumps(job)], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
