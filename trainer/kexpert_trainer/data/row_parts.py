"""Long work over a corpus in parts: each batch makes one file, so a killed run loses the batches in progress alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from kexpert_trainer.progress import progress

MAX_JOBS = 2  # processes; a corpus is made beside other work
_NICENESS = 10
_KEY = "key.json"
#: Bytes of a tree that are not UTF-8 (lone surrogates in a text) become escapes, which JSON reads back.
_ESCAPE = "backslashreplace"

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one stage, in ``folder``. ``key`` holds everything that decides their content.

    Parts of another key are removed before work begins.
    """

    folder: Path
    key: Mapping[str, Any]

    def make(
        self, work: Callable[[Batch], Iterable[str]], batches: Sequence[Batch], jobs: int, title: str
    ) -> list[Path]:
        """Make the missing parts and return all of them, in the order of the batches.

        ``work`` gives the lines of a part. It runs in other processes if ``jobs`` is more than 1, so it must be a
        function of a module, or a ``partial`` of one. Raises what ``work`` raises, OSError.
        """
        self._claim()
        paths = [self.folder / f"part-{number:05d}.jsonl" for number in range(len(batches))]
        missing = [(path, batch) for path, batch in zip(paths, batches, strict=True) if not path.exists()]
        with progress(title, len(batches)) as advance:
            advance(len(batches) - len(missing))
            for _ in _made(work, missing, jobs):
                advance()
        return paths

    def remove(self) -> None:
        """Remove the folder: its lines are in another file now."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _claim(self) -> None:
        text = json.dumps(self.key, sort_keys=True)
        record = self.folder / _KEY
        if record.exists() and record.read_text() == text:
            return
        self.remove()
        self.folder.mkdir(parents=True)
        record.write_text(text)


def lines_of(parts: Iterable[Path]) -> Iterator[str]:
    """The lines of parts, in order, without their ends."""
    for part in parts:
        with part.open(encoding="utf-8") as lines:
            for line in lines:
                yield line.rstrip("\n")


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines in one atomic step; returns their number."""
    part = path.with_name(path.name + ".part")
    count = 0
    with part.open("w", encoding="utf-8", errors=_ESCAPE) as out:
        for line in lines:
            out.write(line + "\n")
            count += 1
    part.replace(path)
    return count


def _made(
    work: Callable[[Batch], Iterable[str]], missing: Sequence[tuple[Path, Batch]], jobs: int
) -> Iterator[None]:
    if jobs <= 1 or len(missing) <= 1:
        for path, batch in missing:
            write_lines(path, work(batch))
            yield
        return
    with ProcessPoolExecutor(min(jobs, MAX_JOBS), get_context("spawn"), _start) as pool:
        futures = [pool.submit(partial(_write, work), path, batch) for path, batch in missing]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _write(work: Callable[[Batch], Iterable[str]], path: Path, batch: Batch) -> None:
    write_lines(path, work(batch))


def _start() -> None:
    """Prepare a worker: low priority, and an end when its parent ends (one killed with SIGKILL cannot stop it)."""
    os.nice(max(0, _NICENESS - os.nice(0)))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
