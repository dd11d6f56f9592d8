"""Fixtures for every folder of tests; see tests/support for those of small trees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.fixtures", "tests.support.base_model"]

ROOT = Path(__file__).resolve().parent.parent

# Property tests see the same examples in every run, so that no change is refused for what another one did;
# `make explore` tries new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)  # a busy machine fails no test
settings.register_profile("explore", max_examples=int(os.environ.get("KEXPERT_EXAMPLES", "3000")), deadline=None)
settings.load_profile("explore" if "KEXPERT_EXAMPLES" in os.environ else "fixed")

# Triton reads this when it is imported, by whichever test comes first: kernels are interpreted, but on a GPU if asked
# for.
if os.environ.get("KEXPERT_TEST_DEVICE", "cpu") == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _no_models_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the user of this machine chose by ``kexpert models`` decides no test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def kernel_tree() -> Path:
    """A whole kernel tree, read only; fetched where that is possible, else the test is skipped with the reason."""
    command = [sys.executable, str(ROOT / "scripts" / "get_tree.py")]
    got = subprocess.run(command, capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(got.stderr.strip().splitlines()[-1])
    return Path(got.stdout.strip())
