"""Subsystems of a tree that no model is trained on, so that it can be evaluated on them.

Files of one driver are often copies of each other, so a split by file would leak.
"""

from __future__ import annotations

import hashlib

#: Of 1,000 subsystems.
_HELD_OUT_PER_MILLE = 40
#: Folders whose subfolders hold several subsystems each.
_DEEP = ("drivers", "arch", "sound")


def subsystem_of(path: str) -> str:
    """``fs/ext4`` of fs/ext4/inode.c, ``drivers/net/ethernet`` of drivers/net/ethernet/intel/ice/ice.h.

    Two parts of the folder's path, three under drivers, arch and sound. A header in include counts as a subsystem of
    its own name (``include/linux/fs.h``).
    """
    parts = path.split("/")
    if parts[0] == "include":
        return path
    depth = 3 if parts[0] in _DEEP else 2
    return "/".join(parts[:-1][:depth]) or path


def is_held_out_subsystem(path: str) -> bool:
    """True for files of about one subsystem in 25, by the SHA-256 of the subsystem's name."""
    digest = hashlib.sha256(f"subsystem {subsystem_of(path)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 1000 < _HELD_OUT_PER_MILLE
