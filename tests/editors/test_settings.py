"""The editors' files describe the server's settings as the server does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

EDITORS = Path(__file__).resolve().parents[2] / "editors"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings", EDITORS / "vscode/scripts/settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_vscode_offers_the_settings_that_the_server_has(generator: ModuleType) -> None:
    written = json.loads((EDITORS / "vscode/package.json").read_text())
    assert written == generator.package(), "run python editors/vscode/scripts/settings.py"


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((EDITORS / "vscode/package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
