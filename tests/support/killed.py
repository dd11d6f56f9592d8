"""Run ``kexpert index`` and kill it, as ``kill -9`` does, at a chosen moment of the copying of another tree's index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_DRIVER = """
import os, signal, sys
from importlib import import_module

seeding, moments = import_module(sys.argv[1]), int(sys.argv[2])
kexpert = sys.argv[3:]

def counted(do):
    def call(*arguments, **named):
        global moments
        moments -= 1
        if moments < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*arguments, **named)
    return call

class Counted:
    \"\"\"The module ``os``, whose ``replace`` counts.\"\"\"
    def __getattr__(self, name):
        found = getattr(os, name)
        return counted(found) if name == "replace" else found

copy_and_compare = seeding.copy_and_compare

def with_counted_progress(root, similar, files, on_progress, cancelled):
    return copy_and_compare(root, similar, files, counted(on_progress), cancelled)

seeding.copy_and_compare = with_counted_progress
for name in ("adopt", "discard", "discard_vectors"):
    if hasattr(seeding, name):
        setattr(seeding, name, counted(getattr(seeding, name)))
seeding.os = Counted()

from kexpert.__main__ import main
sys.exit(main(kexpert))
"""


def index_until_killed(module: str, moment: int, root: Path, *options: str) -> bool:
    """Index ``root``. The process dies at the ``moment``th step (from 0) of the copying in ``module``, before it is
    made; True if it came so far."""
    kexpert = ["index", "--tree", str(root), "--jobs", "1", *options]
    command = [sys.executable, "-c", _DRIVER, module, str(moment), *kexpert]
    ran = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr
    return ran.returncode != 0
