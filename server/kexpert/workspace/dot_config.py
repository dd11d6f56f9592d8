"""The tree's ``.config`` as values of options."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from kexpert.background.file_identity import FileIdentity
from kexpert.core.c.condition_value import OptionValue
from kexpert.core.kernel.kconfig import parse_dotconfig

#: A larger file is no ``.config``; that of a distribution has 300 kB.
_MAX_BYTES = 4 << 20
#: In the head of a file that Kconfig wrote, which holds every option that can be set.
_WHOLE = b"Automatically generated file; DO NOT EDIT."
_HEAD_BYTES = 400


def dot_config(root: Path | None) -> OptionValue | None:
    """The value of each option in the tree's ``.config``; None where there is none.

    An option that a file written by Kconfig does not name is off; one that another file does not name is unknown.
    """
    if root is None:
        return None
    identity = FileIdentity.of(f"{root}/.config")
    return _read(str(root), identity) if identity is not None else None


@lru_cache(maxsize=4)
def _read(root: str, identity: FileIdentity) -> OptionValue | None:
    if identity.size > _MAX_BYTES:
        return None
    try:
        data = Path(root, ".config").read_bytes()
    except OSError:
        return None
    values = parse_dotconfig(data)
    absent = "n" if _WHOLE in data[:_HEAD_BYTES] else None
    return lambda name: values.get(name, absent)
