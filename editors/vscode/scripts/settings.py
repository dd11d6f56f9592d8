"""Write the settings of the server, which kexpert.workspace.settings lists, into the extension's package.json."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from kexpert import __version__
from kexpert.workspace.settings import Settings

PACKAGE = Path(__file__).resolve().parent.parent / "package.json"

#: What the extension itself reads; the server never sees it.
OWN = {
    "kexpert.server.command": {
        "type": "string",
        "default": "kexpert",
        "scope": "machine-overridable",
        "markdownDescription": "The program to start, as `~/.local/bin/kexpert` where it is not on the `PATH`.",
    }
}


def settings() -> dict[str, Any]:
    """All settings as VS Code wants them described."""
    defaults = Settings()
    described = {
        f"kexpert.{option.metadata['key']}": schema(getattr(defaults, option.name), option.metadata)
        for option in dataclasses.fields(Settings)
    }
    return OWN | described


def schema(default: Any, option: Any) -> dict[str, Any]:
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


def package() -> dict[str, Any]:
    """The extension's package.json as it should be."""
    written: dict[str, Any] = json.loads(PACKAGE.read_text())
    written["version"] = __version__
    written["contributes"]["configuration"]["properties"] = settings()
    return written


if __name__ == "__main__":
    PACKAGE.write_text(json.dumps(package(), indent=2) + "\n")
