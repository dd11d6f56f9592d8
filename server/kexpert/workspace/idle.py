"""Whether the machine has time for work that nobody waits for: no question, no other load, no battery."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

_QUIET_SECONDS = 5.0  # since the last question or edit
#: Other programs may keep this share of the CPUs busy.
_MAX_LOAD_SHARE = 0.6
#: The kernel's load average forgets with this time constant.
_LOAD_SECONDS = 60.0
_POWER_SUPPLIES = Path("/sys/class/power_supply")


def on_battery(folder: Path = _POWER_SUPPLIES) -> bool:
    """True if a battery is discharging. False for a machine without one, or where that cannot be read."""
    try:
        supplies = list(folder.iterdir())
    except OSError:
        return False
    return any(
        _read(supply / "type") == "Battery"
        and _read(supply / "scope") != "Device"  # of a mouse
        and _read(supply / "status") == "Discharging"
        for supply in supplies
    )


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        return ""


class OwnLoad:
    """The part of the load average that our own work made, by the same exponential average."""

    def __init__(self) -> None:
        self._load = 0.0
        self._at = time.monotonic()

    def add(self, seconds: float, threads: int) -> None:
        """Count work that has just ended."""
        now = time.monotonic()
        self._load = self.at(now) + threads * (1 - math.exp(-seconds / _LOAD_SECONDS))
        self._at = now

    def at(self, now: float) -> float:
        return self._load * math.exp(-(now - self._at) / _LOAD_SECONDS)


class Idle:
    """Watches questions, load and power. Any thread may use it."""

    def __init__(self) -> None:
        self.own_load = OwnLoad()
        self._last_question = time.monotonic()

    def note_question(self) -> None:
        """Somebody asks or types."""
        self._last_question = time.monotonic()

    def is_quiet(self) -> bool:
        """Nobody has asked or typed for some seconds."""
        return time.monotonic() - self._last_question >= _QUIET_SECONDS

    def is_idle(self) -> bool:
        """The machine has time."""
        if not self.is_quiet() or on_battery():
            return False
        try:
            load = os.getloadavg()[0]
        except OSError:
            return True
        return load - self.own_load.at(time.monotonic()) < _MAX_LOAD_SHARE * (os.cpu_count() or 1)
