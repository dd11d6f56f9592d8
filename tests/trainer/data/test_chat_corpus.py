"""A corpus from a small tree: curated, checked, split; whole stages, what they leave on disk, and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.prompt.chat import Task
from kexpert_trainer.data.corpus_folder import CorpusFolder, read_corpus
from kexpert_trainer.data.curate import curate, judge_batch
from kexpert_trainer.data.falsify import LEAKAGE, REPRODUCIBILITY, FalsifyReport, falsify
from kexpert_trainer.data.mine_tree import mine_tree
from kexpert_trainer.data.row_batches import batches_of, rows_of
from kexpert_trainer.data.row_parts import Parts, lines_of
from kexpert_trainer.data.rows import Row, dump_row, read_rows, write_rows
from kexpert_trainer.data.splits import SHARES, SPLITS, assign, families, split_rows
from kexpert_trainer.data.subsystems import is_held_out_subsystem
from kexpert_trainer.errors import UserError
from tests.support.chat_corpus import Made, function, make, row
from tests.support.toy_tree import write_tree

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def report(made: Made) -> FalsifyReport:
    return falsify(made.folder, None, jobs=1)


def test_every_mined_row_is_kept_or_dropped_with_a_reason(tmp_path: Path) -> None:
    good = function("dock_drain", 0, 3)
    copy = good.replace("dock_", "car_")
    short = "/**\n * f_halt() - Stop the motor at once, whatever it does\n */\nint f_halt(void)\n{\n\treturn 0;\n}\n"
    tree = write_tree(tmp_path / "t", {
        "drivers/a/b/dock.c": "// SPDX-License-Identifier: GPL-2.0\n" + good,
        "drivers/a/b/car.c": "// SPDX-License-Identifier: GPL-2.0\n" + copy + short,
        "drivers/a/b/none.c": good.replace("dock_", "ship_"),
    })  # fmt: skip
    folder = CorpusFolder(tmp_path / "chat")
    mine_tree(tree, folder, jobs=1, commits=0)
    made = curate(folder, jobs=1)
    dropped = [json.loads(line) for line in lines_of([folder.dropped])]
    assert {(entry["name"], entry["gate"]) for entry in dropped} == {
        ("f_halt", "length"), ("ship_drain", "licence"), ("dock_drain", "near-duplicate"),
    }  # fmt: skip
    assert all(entry["reason"] for entry in dropped)
    assert next(entry for entry in dropped if entry["name"] == "dock_drain")["original"] == "drivers/a/b/car.c:12"
    kept = list(read_rows(folder.curated))
    assert {row.name for row in kept} == {"car_drain"} and len(kept) + len(dropped) == made.rows == 10
    assert (made.functions, made.logic_rich) == (1, 1)
    assert "| near-duplicate | −1 | −1 | −1 |  | −3 |" in made.table()


def test_rows_carry_their_quality(made: Made) -> None:
    assert all(0 < row.quality < 1 for row in read_rows(made.folder.curated))


def test_a_clean_corpus_passes_every_check(report: FalsifyReport) -> None:
    assert report.refused == [] and report.failing == []
    assert all(outcome.share == 1 for outcome in report.outcomes.values())
    assert report.outcomes[REPRODUCIBILITY].rows > 0 < report.outcomes[LEAKAGE].rows


def test_every_corruption_is_noticed_and_kept_as_a_negative(made: Made, report: FalsifyReport) -> None:
    assert all(outcome.noticed == outcome.corrupted for outcome in report.outcomes.values())
    negatives = list(read_rows(made.folder.negatives))
    assert len(negatives) == report.negatives > 0
    assert {row.broken for row in negatives} >= {"syntax", "return", "errnos", "locks", "symbol"}
    originals = {row.id: row for row in read_rows(made.folder.curated)}
    assert all(replace(row, rejected="", broken="") == originals[row.id] for row in negatives)


def test_checking_twice_gives_the_same_bytes(made: Made, report: FalsifyReport) -> None:
    before = [path.read_bytes() for path in (made.folder.negatives, made.folder.failing)]
    falsify(made.folder, made.tree, jobs=2)
    assert [path.read_bytes() for path in (made.folder.negatives, made.folder.failing)] == before


def damaged(made: Made, folder: Path, damage: Callable[[Row], Row]) -> CorpusFolder:
    """A copy of a corpus whose rows went through ``damage``."""
    copy = CorpusFolder(folder)
    folder.mkdir()
    for path in (made.folder.mined, made.folder.folder / "mined.json", made.folder.folder / "curated.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    write_rows(copy.curated, map(damage, read_rows(made.folder.curated)))
    return copy


@pytest.mark.parametrize(
    ("check", "damage"),
    [
        ("integrity", lambda row: replace(row, line=row.line + 1)),
        ("syntax", lambda row: replace(row, output=row.output.replace("@", "") + "\nint x;")),
        ("parameters", lambda row: replace(row, output=row.output.replace("@limit", "@bound"))),
        ("return", lambda row: replace(row, output=row.output + "\nReturn: 0") if "void" in row.code else row),
        ("errnos", lambda row: replace(row, output=row.output.replace("EINVAL", "EBUSY"))),
        ("locks", lambda row: replace(row, output=f"Caller must hold state_lock. {row.output}")),
        ("symbol", lambda row: replace(row, output="Feed the elephants of the zoo")),
        ("distribution", lambda row: replace(row, output="Feed the elephants of the zoo")),
        ("reproducibility", lambda row: replace(row, quality=row.quality / 2)),
    ],
)
def test_a_damaged_corpus_is_refused_by_the_check(
    check: str, damage: Callable[[Row], Row], made: Made, tmp_path: Path
) -> None:
    folder = damaged(made, tmp_path / "chat", damage)
    found = falsify(folder, None, jobs=1)
    assert check in found.refused
    failing = [json.loads(line) for line in lines_of([folder.failing])]
    assert any(entry["check"] == check and entry["reason"] for entry in failing)


def test_a_split_with_copies_leaks(made: Made, tmp_path: Path) -> None:
    rows = [row for row in read_rows(made.folder.curated) if row.kind == "function"]
    splits = split_rows(rows)
    shown = next(row for row in rows if splits[row.id] == "train")
    held_out = {row.id for row in rows if splits[row.id] != "train"}

    def copied(row: Row) -> Row:
        return replace(row, code=shown.code) if row.id in held_out else row

    found = falsify(damaged(made, tmp_path / "chat", copied), None, jobs=1)
    assert LEAKAGE in found.refused


def test_stages_in_the_wrong_order_are_one_clear_error(tmp_path: Path) -> None:
    folder = CorpusFolder(tmp_path)
    with pytest.raises(UserError, match="kexpert-train mine"):
        curate(folder, jobs=1)
    with pytest.raises(UserError, match="--tree"):
        falsify(folder, None, jobs=1)
    write_rows(folder.curated, [row()])
    folder.write_record("mined", {"root": str(tmp_path / "gone")})
    with pytest.raises(UserError, match="no such tree"):
        falsify(folder, None, jobs=1)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "curated.jsonl"
    path.write_text(dump_row(row()) + "\n{\"id\": 3\n")
    with pytest.raises(UserError, match=r"curated\.jsonl:2: not a row"):
        list(read_corpus(path, "curate"))
    with pytest.raises(UserError, match="no row at byte"):
        list(rows_of(path, (0, path.stat().st_size)))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(100, 900))
def test_ranges_of_a_file_hold_each_row_once(lengths: list[int], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        rows = [row(line=at + 1, output="é" * length) for at, length in enumerate(lengths)]
        write_rows(path, rows)
        assert [found for batch in batches_of(path, size) for found in rows_of(path, batch)] == rows


# -- splits --------------------------------------------------------------------------------------


def test_a_subsystem_and_its_headers_are_in_one_split() -> None:
    paths = [f"drivers/bus{at}/port/core{at}.c" for at in range(40)]
    paths += [f"include/linux/core{at}.h" for at in range(40)]
    rows = [row(path=path, line=line) for path in paths for line in (10, 20)]
    splits = split_rows(rows)
    by_unit = {(families(paths)[each.path], splits[each.id]) for each in rows}
    assert len(by_unit) == len({unit for unit, _ in by_unit})
    assert splits[rows[0].id] == splits[rows[81].id]


def test_a_header_of_two_subsystems_is_a_unit_of_its_own() -> None:
    found = families(["drivers/a/b/core.c", "drivers/c/d/core.c", "include/linux/core.h", "include/linux/b.h"])
    assert found["include/linux/core.h"] == "include/linux/core.h"


def test_subsystems_that_no_model_sees_are_for_the_test_alone() -> None:
    paths = [f"drivers/bus{at}/port/core.c" for at in range(400)]
    held_out = {path for path in paths if is_held_out_subsystem(path)}
    rows = [row(path=path) for path in paths]
    splits = split_rows(rows)
    assert held_out
    assert {splits[each.id] for each in rows if each.path in held_out} == {"test"}


def test_the_largest_subsystem_is_for_training() -> None:
    rows = [row(path="drivers/gpu/drm/a.c", line=line) for line in range(1, 60)]
    rows += [row(path=f"drivers/bus{at}/port/core.c") for at in range(40)]
    assert split_rows(rows)[rows[0].id] == "train"


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.dictionaries(st.sampled_from(list(Task)), st.integers(1, 9), min_size=1), min_size=90, max_size=140)
)
def test_shares_hold_for_each_task(counts: list[dict[Task, int]]) -> None:
    units = {f"fs/unit{at}": {str(task): count for task, count in by_task.items()} for at, by_task in enumerate(counts)}
    splits = assign(units)
    totals: Counter[str] = Counter()
    held: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for unit, by_task in units.items():
        totals.update(by_task)
        held[splits[unit]].update(by_task)
    for split, share in SHARES.items():
        for task, total in totals.items():
            assert abs(held[split][task] / total - share) < 0.1 + 20 / total
    assert assign(dict(reversed(units.items()))) == splits


# -- kills ---------------------------------------------------------------------------------------


def lines(batch: int) -> list[str]:
    return [f"{batch} {at}" for at in range(3)]


def test_parts_of_another_key_are_made_again(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "p", {"version": 1}).make(lines, [1, 2, 3], 1, "t")
    assert list(lines_of(parts)) == [line for batch in (1, 2, 3) for line in lines(batch)]
    parts[1].write_text("kept\n")
    assert list(lines_of(Parts(tmp_path / "p", {"version": 1}).make(lines, [1, 2, 3], 1, "t")))[3] == "kept"
    assert "kept" not in list(lines_of(Parts(tmp_path / "p", {"version": 2}).make(lines, [1, 2, 3], 1, "t")))


def test_an_error_in_a_worker_reaches_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n" * 3)
    with pytest.raises(UserError, match="no row at byte"):
        Parts(tmp_path / "p", {}).make(partial(judge_batch, path), [(0, 3), (3, 6)], 2, "t")


PROGRAM = """
import sys
from kexpert_trainer.data import curate
from kexpert_trainer.data.corpus_folder import CorpusFolder
from kexpert_trainer.data import row_batches
from pathlib import Path

folder = Path(sys.argv[1])
curate.batches_of = lambda path: row_batches.batches_of(path, 20_000)
curate.curate(CorpusFolder(folder), jobs=int(sys.argv[2]))
"""


def test_a_stage_killed_at_any_part_ends_with_the_same_bytes(made: Made, tmp_path: Path) -> None:
    folder = CorpusFolder(tmp_path / "chat")
    folder.folder.mkdir()
    folder.mined.write_bytes(made.folder.mined.read_bytes())
    roots = os.pathsep.join(str(ROOT / each) for each in ("server", "trainer", "kernels"))
    environment = {**os.environ, "PYTHONPATH": roots}
    command = [sys.executable, "-c", PROGRAM, str(folder.folder)]
    environment["OMP_NUM_THREADS"] = "1"
    parts = folder.parts("curate")
    finished: list[Path] = []
    with subprocess.Popen([*command, "2"], env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not finished:
            finished = list(parts.glob("part-*.jsonl"))
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert finished and not folder.curated.exists(), "it was killed too late to show anything"
    times = {path: path.stat().st_mtime_ns for path in parts.glob("part-*.jsonl")}
    with subprocess.Popen([*command, "1"], env=environment, stderr=subprocess.DEVNULL) as process:
        assert process.wait() == 0
    assert times
    assert folder.curated.read_bytes() == made.folder.curated.read_bytes()
    assert folder.dropped.read_bytes() == made.folder.dropped.read_bytes()
    assert not parts.exists()


def test_rows_of_the_tree_and_of_the_folder_agree(made: Made) -> None:
    rows: list[Row] = list(read_rows(made.folder.curated))
    assert made.folder.record("curated")["kept"] == dict(sorted(Counter(str(row.task) for row in rows).items()))
