"""Completion in Kconfig files, Makefiles, files of options and MAINTAINERS."""

from __future__ import annotations

import posixpath
import re

from kexpert.core.paths import is_configuration, is_kconfig, is_makefile
from kexpert.features.completion.item import CompletionRequest, Completions
from kexpert.features.completion.places import option_items

_KCONFIG_STATEMENTS = (
    "config", "menuconfig", "choice", "endchoice", "menu", "endmenu", "comment", "if", "endif", "source", "rsource",
    "osource",
)  # fmt: skip
_KCONFIG_ATTRIBUTES = (
    "bool", "tristate", "int", "hex", "string", "prompt", "default", "def_bool", "def_tristate", "depends on", "select",
    "imply", "range", "visible if", "help",
)  # fmt: skip
_NAME_OPTIONS = (b"depends", b"select", b"imply", b"default", b"if", b"visible", b"range")
_OBJECT_LIST = re.compile(rb"[\w.-]+-(?:y|m|objs|\$[({][^)}\n]*[)}])[ \t]*[:+]?=[^#\n]*\Z")
_SOURCE = re.compile(rb'[ \t]*o?r?source[ \t]+"?([\w./-]*)\Z')
_FILES = re.compile(rb"[FX]:\s*(\S*)\Z")
_FIELDS = {
    "M": "maintainer", "R": "reviewer", "L": "mailing list", "S": "status", "W": "web page", "Q": "patchwork",
    "B": "bugs", "C": "chat", "P": "profile", "T": "source tree", "F": "files", "X": "files left out",
    "N": "file names, a regular expression", "K": "contents, a regular expression",
}  # fmt: skip
_STATUS = ("Supported", "Maintained", "Odd Fixes", "Orphan", "Obsolete")


def complete_build_file(request: CompletionRequest, line: bytes) -> Completions | None:
    """Proposals in a file that is no C; None in C. ``line`` is the text before the cursor."""
    path = request.source.path
    if is_kconfig(path):
        return _kconfig(request, line)
    if is_makefile(path):
        return _makefile(request, line)
    if is_configuration(path):
        return _options(request)
    if path == "MAINTAINERS":
        return _maintainers(request, line)
    return None


def _kconfig(request: CompletionRequest, line: bytes) -> Completions:
    if match := _SOURCE.match(line):
        return _paths(request, match[1].decode(), "", ("Kconfig",))
    if line.count(b'"') % 2 or b"#" in line:
        return Completions()
    words = line.split()
    is_first = not words or (len(words) == 1 and not line[-1:].isspace())
    if is_first:
        known = _KCONFIG_ATTRIBUTES if line[:1].isspace() else _KCONFIG_STATEMENTS
        names = [name for name in known if name.startswith(request.prefix)]
        return Completions([request.item(name, "keyword", f"{at:02}") for at, name in enumerate(names)])
    if words[0] not in _NAME_OPTIONS and b"if" not in words:
        return Completions()
    return option_items(request, f"CONFIG_{request.prefix}", len("CONFIG_"))


def _options(request: CompletionRequest) -> Completions:
    """Options with CONFIG_, of which the prefix may be the beginning."""
    prefix = request.prefix
    if not prefix.startswith("CONFIG_") and not "CONFIG_".startswith(prefix):
        return Completions()
    return option_items(request, prefix if prefix.startswith("CONFIG_") else "CONFIG_")


def _makefile(request: CompletionRequest, line: bytes) -> Completions:
    if line.removesuffix(request.prefix.encode()).endswith((b"$(", b"${", b"ifdef ", b"ifndef ")):
        return _options(request)
    if not _OBJECT_LIST.match(line):
        return Completions()
    word = line.split()[-1] if not line[-1:].isspace() else b""
    folder, _, part = word.decode("latin-1").rpartition("/")
    here = posixpath.dirname(request.source.path)
    start = request.offset - len(part)
    items = []
    for name, is_folder in sorted(request.view.list_dir(posixpath.join(here, folder)).items()):
        stem, extension = posixpath.splitext(name)
        label = f"{name}/" if is_folder else f"{stem}.o" if extension in (".c", ".S", ".rs") else ""
        if label and label.startswith(part):
            items.append(request.item(label, "folder" if is_folder else "file", f"{is_folder:d}{label}", start=start))
    return Completions(items[: request.limit], len(items) > request.limit)


def _maintainers(request: CompletionRequest, line: bytes) -> Completions:
    if match := _FILES.match(line):
        return _paths(request, match[1].decode("latin-1"), "", ())
    if line.startswith(b"S:"):
        return Completions([request.item(name, "constant", f"{at}") for at, name in enumerate(_STATUS)
                            if name.lower().startswith(request.prefix.lower())])  # fmt: skip
    if line.strip() == request.prefix.encode() and len(request.prefix) <= 1:
        return Completions([
            request.item(f"{letter}:", "keyword", f"{at:02}", text, insert=f"{letter}:\t")
            for at, (letter, text) in enumerate(_FIELDS.items()) if letter.startswith(request.prefix)
        ])  # fmt: skip
    return Completions()


def _paths(request: CompletionRequest, typed: str, base: str, prefixes: tuple[str, ...]) -> Completions:
    """Folders and files of the tree; of files only those whose names begin so, if given."""
    folder, _, part = typed.rpartition("/")
    start = request.offset - len(part.encode())
    items = []
    for name, is_folder in sorted(request.view.list_dir(posixpath.join(base, folder)).items()):
        if name.startswith(part) and not name.startswith(".") and (is_folder or name.startswith(prefixes or "")):
            label = f"{name}/" if is_folder else name
            items.append(request.item(label, "folder" if is_folder else "file", f"{is_folder:d}{name}", start=start))
    return Completions(items[: request.limit], len(items) > request.limit)
