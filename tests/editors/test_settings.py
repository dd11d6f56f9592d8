"""The editors' files describe the server's settings as the server does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from editors import settings

EDITORS = Path(__file__).resolve().parents[2] / "editors"


@pytest.mark.parametrize("file", ["PACKAGE", "README", "HELP"])
def test_every_place_offers_the_settings_that_the_server_has(file: str) -> None:
    written = {"PACKAGE": settings.package, "README": settings.readme, "HELP": settings.help_text}[file]()
    assert getattr(settings, file).read_text() == written, "run python -m editors.settings"


def test_the_help_has_a_tag_for_every_setting_and_command() -> None:
    text = settings.HELP.read_text()
    plugin = (EDITORS / "neovim/plugin/kexpert.lua").read_text()
    commands = {line.split('"')[1] for line in plugin.splitlines() if line.strip().startswith("command(")}
    assert commands
    assert not {name for name in commands if f"*:{name}*" not in text}
    assert all(f"*{key.replace('kexpert.', 'kexpert-', 1)}*" in text for key in settings.vscode_settings()
               if key not in settings.OWN)  # fmt: skip


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((EDITORS / "vscode/package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_what_the_extension_needs_is_packaged() -> None:
    package = json.loads((EDITORS / "vscode/package.json").read_text())
    patterns = (EDITORS / "vscode/.vscodeignore").read_text().splitlines()
    contributes = package["contributes"]
    named = [package["icon"], *(grammar["path"] for grammar in contributes["grammars"])]
    steps = contributes["walkthroughs"][0]["steps"]
    named += [step["media"].get("image") or step["media"]["markdown"] for step in steps]
    for name in (each.removeprefix("./") for each in named):
        assert (EDITORS / "vscode" / name).is_file()
        assert any(Path(name).match(pattern[1:]) for pattern in patterns if pattern.startswith("!")), name
