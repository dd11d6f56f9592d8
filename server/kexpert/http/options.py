"""What ``kexpert web`` was told, in a form that its worker processes read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields

_VARIABLE = "KEXPERT_WEB_OPTIONS"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class WebOptions:
    tree: str
    #: Host header names that are answered, without ports.
    host_names: tuple[str, ...] = LOOPBACK_NAMES
    token_file: str = ""
    #: Requests a second of one client, in the long run; 0 for no limit.
    rate: float = 50.0
    read_only: bool = False
    use_model: bool = True
    #: Where the worker processes leave their figures for each other; "" for a single process.
    metrics_folder: str = ""

    def to_environment(self) -> None:
        os.environ[_VARIABLE] = json.dumps(asdict(self))

    @classmethod
    def from_environment(cls) -> WebOptions:
        values = json.loads(os.environ[_VARIABLE])
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{**known, "host_names": tuple(known["host_names"])})
