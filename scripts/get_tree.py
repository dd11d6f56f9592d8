"""Print the path of a Linux kernel tree; fetch a tree if this machine has none.

The first of these that exists: ``$TREE``; a tree unpacked earlier under ``$XDG_CACHE_HOME/kexpert/trees``; an archive
that the distribution installed as ``/usr/src/linux-source-*.tar.xz``; the same archive from apt, as root; a shallow
clone of mainline. Prints the path to stdout and messages to stderr. Uses the standard library only, because it runs
before anything is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

#: The benchmarks of this project were measured on this tree; any other tree works.
PREFERRED = "linux-source-6.1"
MAINLINE = (
    "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git",
    "https://github.com/torvalds/linux.git",
)
NEEDED_BYTES = 1_600_000_000
HAS_DATA_FILTER = hasattr(tarfile, "data_filter")  # since Python 3.11.4; Debian 12 has 3.11.2


class NoTree(Exception):
    """No tree can be found or fetched; the message is one line."""


def main() -> int:
    try:
        print(get_tree())
    except NoTree as error:
        print(f"get_tree: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def get_tree() -> Path:
    named = os.environ.get("TREE")
    if named:
        root = Path(named).expanduser().resolve()
        if not is_tree(root):
            raise NoTree(f"TREE={named}: not a kernel tree: it needs MAINTAINERS, Kbuild and include/linux")
        return root
    trees = cache_dir()
    try:
        trees.mkdir(parents=True, exist_ok=True)
        remove_leftovers(trees)
        return unpacked(trees) or from_archive(trees) or from_apt(trees) or from_git(trees)
    except (OSError, tarfile.TarError) as error:
        raise NoTree(f"{trees}: {error}; set TREE=DIR to a kernel tree of your own") from error


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kexpert" / "trees"


def is_tree(path: Path) -> bool:
    return (path / "MAINTAINERS").is_file() and (path / "Kbuild").is_file() and (path / "include/linux").is_dir()


def unpacked(trees: Path) -> Path | None:
    found = sorted((p for p in trees.iterdir() if not p.name.startswith(".") and is_tree(p)), key=by_preference)
    return found[0] if found else None


def from_archive(trees: Path) -> Path | None:
    archives = sorted(Path("/usr/src").glob("linux-source-*.tar.xz"), key=by_preference)
    return unpack(archives[0], trees) if archives else None


def from_apt(trees: Path) -> Path | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    for command in (["install", PREFERRED], ["update"], ["install", PREFERRED], ["install", "linux-source"]):
        say(f"apt-get {' '.join(command)}")
        quiet = ["apt-get", "-qq", "-y", "--no-install-recommends", *command]
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(quiet, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode == 0 and command[0] == "install":
            return from_archive(trees)
    return None


def from_git(trees: Path) -> Path:
    if shutil.which("git") is None:
        raise NoTree("no kernel tree, no linux-source archive in /usr/src and no git: install git or set TREE=DIR")
    need_room(trees)
    part = part_of(trees, "linux-mainline")
    for url in MAINLINE:
        say(f"cloning {url} (one commit, about 300 MB)")
        progress = ["--progress"] if sys.stderr.isatty() else ["--quiet"]
        command = ["git", "clone", "--depth", "1", *progress, url, str(part)]
        environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode == 0:
            return settle(part, trees / "linux-mainline")
        shutil.rmtree(part, ignore_errors=True)
    raise NoTree("no kernel tree, and git could not fetch one: install linux-source-6.1 or set TREE=DIR")


def unpack(archive: Path, trees: Path) -> Path:
    """Unpack into a temporary folder, then rename it, so that a tree in ``trees`` is always complete."""
    need_room(trees)
    name = archive.name.removesuffix(".tar.xz")
    part = part_of(trees, name)
    try:
        with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|xz") as tar:
            size, shown = archive.stat().st_size, 0.0
            for member in tar:
                if HAS_DATA_FILTER:
                    tar.extract(member, part, filter="data")
                else:
                    check_member(member, part)
                    tar.extract(member, part)
                if time.monotonic() - shown > 2:
                    shown = time.monotonic()
                    say(f"unpacking {archive.name}: {100 * raw.tell() // size} %")
        tops = [p for p in part.iterdir() if is_tree(p)]
        if not tops:
            raise NoTree(f"{archive}: contains no kernel tree; set TREE=DIR")
        return settle(tops[0], trees / name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_member(member: tarfile.TarInfo, root: Path) -> None:
    """Raise NoTree if a member of an archive is a device, or is or points outside ``root``."""
    path = root / member.name
    paths = [path]
    if member.issym():
        paths.append(path.parent / member.linkname)
    elif member.islnk():
        paths.append(root / member.linkname)
    if member.isdev() or not all(Path(os.path.realpath(each)).is_relative_to(root.resolve()) for each in paths):
        raise NoTree(f"{member.name}: this member of the archive is a device or leaves its folder; set TREE=DIR")


def settle(part: Path, final: Path) -> Path:
    """Rename a complete tree to its final name, unless another process has put a tree there."""
    try:
        part.rename(final)
    except OSError:
        if not is_tree(final):
            raise
    return final


def part_of(trees: Path, name: str) -> Path:
    """Return the temporary folder of this process for the tree ``name``."""
    return trees / f".{name}.{os.getpid()}.part"


def remove_leftovers(trees: Path) -> None:
    """Delete the temporary folders of processes that no longer run."""
    for part in trees.glob(".*.part"):
        pid = part.name.split(".")[-2]
        if pid.isdecimal() and not is_running(pid):
            shutil.rmtree(part, ignore_errors=True)


def is_running(pid: str) -> bool:
    try:
        return bool(Path("/proc", pid, "cmdline").read_bytes())  # empty for a zombie
    except OSError:
        return False


def need_room(trees: Path) -> None:
    free = shutil.disk_usage(trees).free
    if free < NEEDED_BYTES:
        raise NoTree(
            f"{trees}: {free // 10**6} MB free, a tree needs {NEEDED_BYTES // 10**6}; set TREE or XDG_CACHE_HOME"
        )


def by_preference(path: Path) -> tuple[bool, list[int]]:
    """Sort key: the preferred tree first, then the newest version."""
    name = path.name.removesuffix(".tar.xz")
    return name != PREFERRED, [-int(n) for n in re.findall(r"\d+", name)]


def say(message: str) -> None:
    print(f"get_tree: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
