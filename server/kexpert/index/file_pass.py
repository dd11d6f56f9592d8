"""What passes over the indexed files share: a pass reads them again by id, part by part, in worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from kexpert.background.file_identity import FileIdentity
from kexpert.background.process_pool import ProcessPool, default_jobs, end_with_parent, run_here, uncut
from kexpert.background.tree import MAX_FILE_BYTES, read

#: Up to this many files are read in this process: starting workers takes longer.
_MAX_FILES_HERE = 48
_WORKER_NICENESS = 10

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class PassFile(NamedTuple):
    id: int
    path: str
    identity: FileIdentity


def pass_files(rows: Iterable[tuple[Any, ...]]) -> list[PassFile]:
    """Files from rows of (id, path, size, mtime_ns)."""
    return [PassFile(number, path, FileIdentity(size, mtime_ns)) for number, path, size, mtime_ns in rows]


def jobs_for(files: Sequence[PassFile], jobs: int | None) -> int:
    """Number of worker processes; 0 for few files, which are read in this process."""
    return (jobs or default_jobs()) if len(files) > _MAX_FILES_HERE else 0


def run_tasks(
    work: Callable[[_Task], _Result],
    tasks: Iterable[_Task],
    jobs: int,
    interrupted: Callable[[], bool],
    split: Callable[[_Task], Iterable[_Task]] = uncut,
) -> Iterator[tuple[_Task, _Result | None]]:
    """Run tasks in their order, in this process for no ``jobs``. None for a task that killed its worker."""
    if not jobs:
        return run_here(work, tasks, interrupted)
    return ProcessPool(work, jobs, _start_worker, ordered=True, abandon=True, split=split).run(tasks, interrupted)


def singles(batch: list[PassFile]) -> list[list[PassFile]]:
    """A batch whose worker died, file by file."""
    return [[file] for file in batch]


def unchanged_texts(
    root: str | Path, files: Iterable[PassFile], max_bytes: int = MAX_FILE_BYTES
) -> Iterator[tuple[int, bytes]]:
    """(id, text) of the files that are as they were when the symbol index read them, without larger ones."""
    for file in files:
        data = read(root, file.path, max_bytes)
        if data is None or len(data) != file.identity.size:
            continue
        if FileIdentity.of(f"{root}/{file.path}") == file.identity:
            yield file.id, data


def _start_worker() -> None:
    os.nice(_WORKER_NICENESS)
    end_with_parent()
