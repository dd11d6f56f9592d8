"""The diagnostics of one file: what checkpatch finds in it as it was saved, and what its options lack as it is now."""

from __future__ import annotations

import hashlib

from kexpert.core.paths import is_configuration, is_kconfig
from kexpert.workspace.snapshot import Cancelled, CheckedFile, Snapshot, never


def has_diagnostics(snapshot: Snapshot, path: str) -> bool:
    """Whether anything looks for faults in a file."""
    return snapshot.checkpatch is not None or _names_options(snapshot, path)


def file_diagnostics(snapshot: Snapshot, path: str, cancelled: Cancelled = never) -> CheckedFile | None:
    """All diagnostics of a file; None where nothing looks for any. Raises checkpatch.GaveUp.

    What checkpatch says of a saved Kconfig file is left out while the open text differs from it.
    """
    checked = None if is_configuration(path) else snapshot.diagnostics(path, cancelled)
    source = snapshot.source(path)
    if source is None or not _names_options(snapshot, path):
        return checked
    from kexpert.features.build_files.unknown_options import unknown_options

    found = unknown_options(snapshot.view, source, cancelled)
    version = hashlib.sha256(source.data + repr(found).encode()).hexdigest()[:16]
    if checked is not None and checked.source.data == source.data:
        return CheckedFile(f"{checked.version} {version}", source, [*checked.diagnostics, *found])
    return CheckedFile(version, source, found)


def _names_options(snapshot: Snapshot, path: str) -> bool:
    return snapshot.settings.diagnostics_kconfig and (is_kconfig(path) or is_configuration(path))
