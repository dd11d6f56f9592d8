"""Write the settings of the server, which kexpert.workspace.settings lists, to where users read them.

These are the README, the extension's package.json and Neovim's ``:help kexpert``. Run it after a change of a setting;
a test compares.
"""

from __future__ import annotations

import dataclasses
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from kexpert import __version__
from kexpert.workspace.settings import Settings, settings_markdown

EDITORS = Path(__file__).resolve().parent
README = EDITORS.parent / "README.md"
PACKAGE = EDITORS / "vscode" / "package.json"
HELP = EDITORS / "neovim" / "doc" / "kexpert.txt"

_README_TABLE = re.compile(r"(?<=<!-- options -->\n).*?(?=<!-- /options -->)", re.S)
_HELP_LIST = re.compile(r"(?<=~ options ~\n).*?(?=~ end of options ~)", re.S)
_HELP_WIDTH = 78

#: What the extension itself reads; the server never sees it.
OWN: dict[str, Any] = {
    "kexpert.server.command": {
        "type": "string",
        "default": "",
        "scope": "machine-overridable",
        "markdownDescription": "The program to start, as `~/.local/bin/kexpert`. Without this setting it is the "
        "`kexpert` of the folder's `.venv`, else that of the `PATH`.",
    },
}


def vscode_settings() -> dict[str, Any]:
    """All settings as VS Code wants them described."""
    defaults = Settings()
    described = {
        f"kexpert.{option.metadata['key']}": _schema(getattr(defaults, option.name), option.metadata)
        for option in dataclasses.fields(Settings)
    }
    return OWN | described


def _schema(default: Any, option: Any) -> dict[str, Any]:
    description = {"markdownDescription": option["description"]}
    if option["private"]:
        description["scope"] = "machine"  # what a workspace says of it does not count
    if isinstance(default, bool):
        return {"type": "boolean", "default": default} | description
    if isinstance(default, tuple):
        return {"type": "array", "items": {"type": "string"}, "default": list(default)} | description
    if isinstance(default, str):
        choices = {"enum": list(option["choices"])} if option["choices"] else {}
        return {"type": "string", **choices, "default": default} | description
    kind = "integer" if isinstance(default, int) else "number"
    return {"type": kind, "default": default, "minimum": option["low"], "maximum": option["high"]} | description


def package() -> str:
    """The extension's package.json as it should be."""
    written: dict[str, Any] = json.loads(PACKAGE.read_text())
    written["version"] = __version__
    groups: dict[str, dict[str, Any]] = {}
    for key, described in vscode_settings().items():
        groups.setdefault(key.split(".")[1], {})[key] = described
    written["contributes"]["configuration"] = [
        {"title": name.capitalize(), "properties": properties} for name, properties in groups.items()
    ]
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def readme() -> str:
    return _README_TABLE.sub(lambda _: settings_markdown(), README.read_text())


def help_text() -> str:
    return _HELP_LIST.sub(lambda _: _help_list(), HELP.read_text())


def _help_list() -> str:
    """A paragraph a setting, with its tag."""
    defaults = Settings()
    lines: list[str] = [""]
    for option in dataclasses.fields(Settings):
        key = option.metadata["key"]
        tag = f"*kexpert-{key}*"
        default = json.dumps(_plain(getattr(defaults, option.name)))
        lines.append(f"{key} = {default}".ljust(_HELP_WIDTH - len(tag)) + tag)
        choices = option.metadata["choices"]
        text = option.metadata["description"] + (f" One of {', '.join(choices)}." if choices else "")
        lines += textwrap.wrap(text, _HELP_WIDTH, initial_indent="    ", subsequent_indent="    ")
        lines.append("")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def main() -> None:
    for path, text in ((PACKAGE, package()), (README, readme()), (HELP, help_text())):
        path.write_text(text)


if __name__ == "__main__":
    main()
