"""``kexpert web`` as a real process over a small tree."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.toy_tree import TOY_FILES, home_environment, write_tree
from tests.support.waiting import eventually

_ADDRESS = re.compile(r"https?://\S+(?=/$)", re.M)
_START_SECONDS = 60

#: Text that would run in a page that does not escape it, wherever a page shows text.
HOSTILE = '<script>hacked=1</script><img src=x onerror="hacked=1">'
WEB_FILES = {
    **TOY_FILES,
    "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 7\nobj-y += drivers/toy/\n",
    "Kconfig": f"""\
config SMP
	bool "{HOSTILE}"
	help
	  {HOSTILE}

config TOY
	tristate "Toy"
	depends on SMP
""",
    "drivers/toy/hostile.c": f"""\
#include "{HOSTILE}"
/**
 * evil_toy - {HOSTILE}
 * @turns: {HOSTILE}
 */
int evil_toy(int turns)
{{
	/* {HOSTILE} */
	return sizeof("{HOSTILE.replace('"', "'")}") + '<';
}}
""",
    "drivers/toy/latin.c": b"/* caf\xe9 */ int cafe_toy; int after_cafe;\n",
    "drivers/toy/alarm.c": "static void ring(void)\n{\n}\nvoid set_alarm(void)\n{\n\tcall_later(ring);\n}\n",
    "arch/x86/toy.c": "#ifdef CONFIG_SMP\nvoid spin_toy(int a)\n{\n}\n#endif\n",
    "arch/arm64/toy.c": "void spin_toy(int a)\n{\n}\n",
    "drivers/toy/data.bin": b"\0\1\2",
    "net/long.c": "".join(f"int long_{number}; /* {number} */\n" for number in range(1, 12_400)),
}  # fmt: skip


def make_web_tree(folder: Path) -> Path:
    """The tree, with its index in ``folder``/cache and what must not be shown beside it."""
    tree = write_tree(folder / "linux", WEB_FILES)
    (folder / "secret.txt").write_text("secret")
    (tree / "drivers/toy/outside.c").symlink_to(folder / "secret.txt")
    (tree / ".git").mkdir()
    (tree / ".git/config").write_text("secret")
    config = folder / "config/kexpert/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[vectors]\nenabled = false\n")
    index(folder, tree)
    return tree


def index(folder: Path, tree: Path) -> None:
    command = [sys.executable, "-m", "kexpert", "index", "--tree", str(tree)]
    subprocess.run(command, env=environment(folder), check=True, capture_output=True)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, **home_environment(folder)}


@contextmanager
def web_server(folder: Path, tree: Path, *options: str) -> Iterator[str]:
    """Its address, without the slash at its end; the server ends with the block."""
    process = start(folder, tree, options)
    try:
        yield address_of(process, folder)
    finally:
        stop(process)


def start(folder: Path, tree: Path, options: Sequence[str], listen: str = "127.0.0.1:0") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kexpert", "web", "--tree", str(tree), "--listen", listen, *options]
    with (folder / "web.log").open("wb") as log:
        return subprocess.Popen(command, env=environment(folder), stdout=log, stderr=log)


def address_of(process: subprocess.Popen[bytes], folder: Path) -> str:
    log = folder / "web.log"

    def answers() -> str:
        assert process.poll() is None, log.read_text()
        found = _ADDRESS.search(log.read_text())
        if found is None:
            return ""
        try:
            httpx.get(f"{found[0]}/livez", timeout=10, verify=False)
        except httpx.TransportError:
            return ""
        return found[0]

    return str(eventually(answers, seconds=_START_SECONDS))


def stop(process: subprocess.Popen[bytes]) -> None:
    """As a person does, with Ctrl+C; a server that stays is killed, and the test fails."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the server did not end within 30 s") from None
