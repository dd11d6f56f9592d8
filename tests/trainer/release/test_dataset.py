"""What ``publish`` writes, refuses and leaves out; nothing is sent unless asked, and then with a login."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from kexpert.prompt.chat import Task
from kexpert_trainer.cli import FAILED, OK, main
from kexpert_trainer.data.falsify import falsify
from kexpert_trainer.data.review import BAD, GOOD, add_mark
from kexpert_trainer.data.rows import dump_row, read_rows, write_rows
from kexpert_trainer.data.splits import SPLITS, families, split_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.release.dataset import publish
from kexpert_trainer.release.hub import push
from tests.support.chat_corpus import TREE, Made, make


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    found = make(tmp_path_factory.mktemp("publish"))
    falsify(found.folder, None, jobs=1)
    return found


@pytest.fixture(scope="module")
def out(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "set"
    publish(made.folder, folder)
    return folder


def table(path: Path) -> list[dict[str, object]]:
    return parquet.read_table(path).to_pylist() if path.exists() else []


def test_every_row_is_in_one_split_and_reads_back(made: Made, out: Path) -> None:
    rows = {row.id: row for row in read_rows(made.folder.curated)}
    splits = split_rows(list(rows.values()))
    found = {split: table(out / "data" / f"{split}.parquet") for split in SPLITS}
    assert {entry["id"]: split for split, own in found.items() for entry in own} == splits
    entry = next(entry for entry in found["train"] if entry["task"] == Task.KERNEL_DOC)
    row = rows[str(entry["id"])]
    assert entry["completion"] == [{"role": "assistant", "content": row.output}]
    assert entry["prompt"] == [{"role": message.role, "content": message.text} for message in row.messages()]
    assert (entry["path"], entry["line"], entry["licence"], entry["tree"]) == (row.path, row.line, "GPL-2.0", TREE)


def test_no_unit_is_in_two_splits(out: Path) -> None:
    paths = {split: {str(entry["path"]) for entry in table(out / "data" / f"{split}.parquet")} for split in SPLITS}
    units = families(path for own in paths.values() for path in own)
    seen = [{units[path] for path in own} for own in paths.values()]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    assert seen[0]


def test_training_reads_the_same_rows_as_lines(out: Path) -> None:
    for name, split in (("train.jsonl", "train"), ("held-out.jsonl", "validation")):
        assert [row.id for row in read_rows(out / name)] == [
            entry["id"] for entry in table(out / "data" / f"{split}.parquet")
        ]


def test_negatives_are_of_rows_for_training(out: Path) -> None:
    training = {row.id for row in read_rows(out / "train.jsonl")}
    negatives = list(read_rows(out / "negatives.jsonl"))
    assert negatives and {row.id for row in negatives} <= training
    pairs = table(out / "negatives" / "train.parquet")
    assert [pair["check"] for pair in pairs] == [row.broken for row in negatives]
    assert all(pair["chosen"] != pair["rejected"] for pair in pairs)


def test_the_card_is_written_from_the_data(made: Made, out: Path) -> None:
    card = (out / "README.md").read_text()
    rows = list(read_rows(made.folder.curated))
    assert card.startswith("---\nlicense: gpl-2.0\n")
    assert f"{len(rows):,} questions" in card and TREE in card
    assert f"| GPL-2.0 | {sum(row.licence == 'GPL-2.0' for row in rows):,} |" in card
    assert "| near-duplicate | " in card and "| symbol | " in card


def test_publishing_again_gives_the_same_bytes(made: Made, out: Path, tmp_path: Path) -> None:
    publish(made.folder, tmp_path / "again")
    first, second = (json.loads((folder / "dataset.json").read_text()) for folder in (out, tmp_path / "again"))
    assert first == second and len(first["sha256"]) >= 7
    publish(made.folder, out)
    assert json.loads((out / "dataset.json").read_text()) == first


def test_rows_that_a_person_rejected_are_left_out(made: Made, tmp_path: Path) -> None:
    rows = list(read_rows(made.folder.curated))
    add_mark(made.folder.marks, rows[0].id, BAD)
    add_mark(made.folder.marks, rows[1].id, GOOD)
    published = publish(made.folder, tmp_path / "set")
    made.folder.marks.unlink()
    assert published.left_out == {"rejected by a person": 1}
    assert sum(sum(by_task.values()) for by_task in published.rows.values()) == len(rows) - 1
    assert all(row.id != rows[0].id for row in read_rows(tmp_path / "set" / "negatives.jsonl"))


def test_a_corpus_that_fails_a_check_is_refused_with_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(tmp_path)
    rows = [replace(row, output="Feed the elephants of the zoo") for row in read_rows(made.folder.curated)]
    write_rows(made.folder.curated, rows)
    words = ["--data", str(made.folder.folder)]
    assert main(["publish", *words, "--out", str(tmp_path / "set")]) == FAILED
    assert "not checked since it was made; run kexpert-train falsify" in capsys.readouterr().err
    assert main(["falsify", *words, "--jobs", "1"]) == FAILED
    capsys.readouterr()
    assert main(["publish", *words, "--out", str(tmp_path / "set")]) == FAILED
    said = capsys.readouterr()
    assert "refused, fewer than 85% of the rows pass" in said.err and "symbol" in said.err
    assert f"symbol: {rows[0].id} {rows[0].path}:{rows[0].line}" in said.out
    assert not (tmp_path / "set").exists()


def test_rows_that_fail_are_left_out_of_an_accepted_corpus(tmp_path: Path) -> None:
    made = make(tmp_path)
    rows = list(read_rows(made.folder.curated))
    wrong = next(at for at, row in enumerate(rows) if row.task is Task.SUMMARY and row.kind == "function")
    rows[wrong] = replace(rows[wrong], output="Feed the elephants of the zoo")
    write_rows(made.folder.curated, rows)
    assert falsify(made.folder, None, jobs=1).refused == []
    assert publish(made.folder, tmp_path / "set").left_out == {"failing symbol": 1}
    assert all(row.id != rows[wrong].id for row in read_rows(tmp_path / "set" / "train.jsonl"))


def test_a_changed_corpus_must_be_checked_again(tmp_path: Path) -> None:
    made = make(tmp_path)
    falsify(made.folder, None, jobs=1)
    with made.folder.curated.open("a") as out:
        out.write(dump_row(next(read_rows(made.folder.curated))) + "\n")
    with pytest.raises(UserError, match="not checked since"):
        publish(made.folder, tmp_path / "set")


def test_a_folder_of_other_files_is_not_overwritten(made: Made, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        publish(made.folder, tmp_path)


def test_publishing_goes_on_after_it_was_interrupted(
    made: Made, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kexpert_trainer.release.dataset.card", stop)
        with pytest.raises(KeyboardInterrupt):
            publish(made.folder, tmp_path / "set")
    publish(made.folder, tmp_path / "set")
    assert (tmp_path / "set" / "dataset.json").read_bytes() == (out / "dataset.json").read_bytes()


def test_an_upload_is_private_and_holds_the_data_set_alone(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    class Hub:
        def create_repo(self, name: str, **given: object) -> str:
            asked.append((name, given))
            return f"https://hub.example/datasets/{name}"

        def upload_folder(self, **given: object) -> None:
            asked.append(("upload", given))

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "token")
    assert push(out, "someone/corpus", public=False) == "https://hub.example/datasets/someone/corpus"
    (_, created), (_, uploaded) = asked
    assert created["private"] is True and created["repo_type"] == "dataset"
    sent = [path for pattern in uploaded["allow_patterns"] for path in out.glob(pattern)]  # type: ignore[attr-defined]
    assert {path.suffix for path in sent} == {".md", ".json", ".parquet"}


def test_an_upload_needs_a_login_and_a_name(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(UserError, match="no login for the hub"):
        push(out, "someone/corpus", public=False)
    with pytest.raises(UserError, match="not a name of a repository"):
        push(out, "../corpus", public=False)


def test_publishing_opens_no_socket(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert main(["publish", "--data", str(made.folder.folder), "--out", str(tmp_path / "set")]) == OK
