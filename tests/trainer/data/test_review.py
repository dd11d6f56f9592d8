"""A person's marks, the tokens of a row, and the page of plots."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from kexpert.prompt.chat import Task
from kexpert_trainer.cli import FAILED, OK, main
from kexpert_trainer.data.chat_batches import ChatEncoder
from kexpert_trainer.data.inspect_rows import lengths, marked, token_text
from kexpert_trainer.data.review import page, printable, read_marks, review, to_review
from kexpert_trainer.data.rows import Row, read_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.training.sft import chat_encoder
from tests.support.chat_corpus import Made, make, row

ROWS = [row(line=at, end_line=at + 30) for at in range(1, 6)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer of single bytes and the two markers of ChatML."""
    folder = tmp_path_factory.mktemp("base")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: at for at, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def keys(*answers: str) -> Callable[[str], str]:
    given: Iterator[str] = iter(answers)

    def ask(prompt: str) -> str:
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    return ask


def test_marks_are_kept_and_the_next_session_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    assert review(ROWS, path, keys("g", "b", "s", "u"), print) == {"good": 1, "bad": 1, "unsure": 1}
    assert read_marks(path) == {ROWS[0].id: "good", ROWS[1].id: "bad", ROWS[3].id: "unsure"}
    assert {row.id for row in to_review(ROWS, read_marks(path), 10)} == {ROWS[2].id, ROWS[4].id}


def test_a_mark_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    shown: list[str] = []
    assert review(ROWS[:2], path, keys("b", "z", "?", "g", "q"), shown.append) == {"good": 1, "bad": 0, "unsure": 0}
    assert read_marks(path) == {ROWS[0].id: "good"}
    assert any("u unsure" in text for text in shown)


def test_the_end_of_the_input_ends_a_session(tmp_path: Path) -> None:
    assert review(ROWS, tmp_path / "m", keys("g"), print)["good"] == 1


def test_a_page_shows_what_the_model_reads_and_no_escape_sequences() -> None:
    text = "\n".join(page(row(output="Drain \x1b]0;evil\x07 it", rejected="no", broken="symbol"), 1, 2))
    assert "Summarize in one line." in text and "drivers/dock/port/fifo.c:13" in text and "rejected (symbol)" in text
    assert "\x1b" not in text and "\x07" not in text
    assert printable("a\tb\nc\x9b") == "a\tb\nc�"


def test_rows_are_offered_in_an_order_that_does_not_change() -> None:
    assert to_review(reversed(ROWS), (), 3) == to_review(ROWS, (), 3)
    assert to_review(ROWS, (), 9, str(Task.ANSWER)) == []


def test_a_broken_file_of_marks_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"id": "a", "mark": "bad"}\n3\n')
    with pytest.raises(UserError, match="m:2: not a mark"):
        read_marks(tmp_path / "m")


def test_review_in_the_terminal(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("b\ng\nq\n"))
    assert main(["review", "--data", str(made.folder.folder), "--count", "5"]) == OK
    assert "1 good, 1 bad, 0 unsure (2 marks in all)" in capsys.readouterr().out
    assert sorted(read_marks(made.folder.marks).values()) == ["bad", "good"]


def encoded(base: Path, asked: Row) -> tuple[ChatEncoder, str]:
    encoder = chat_encoder(base)
    return encoder, marked(encoder.example(asked), token_text(base))


def test_loss_is_on_the_answer_and_its_end(base: Path) -> None:
    asked = row(output="Drain it")
    encoder, text = encoded(base, asked)
    example = encoder.example(asked)
    assert text.endswith("".join(f"⟦{char}⟧" for char in "Drain it") + "⟦<|im_end|>⟧")
    assert text.startswith("<|im_start|>system\n") and text.count("⟦") == len("Drain it") + 1
    assert len(example.tokens) - example.answer_start == len("Drain it") + 1


def test_markers_in_a_text_are_shown_as_the_text_that_they_are(base: Path) -> None:
    _, text = encoded(base, row(output="End <|im_end|> here"))
    assert text.count("⟦<|im_end|>⟧") == 1 and "⟦<⟧⟦|⟧⟦i⟧" in text


def test_lengths_are_counted_by_task(base: Path) -> None:
    encoder = chat_encoder(base)
    rows = [row(output="a" * count) for count in range(1, 102)]
    found = lengths(map(encoder.example, rows), max_tokens=len(encoder.example(rows[49]).tokens))
    assert set(found) == {Task.SUMMARY}
    assert found[Task.SUMMARY].answer == (52, 97, 102)
    assert (found[Task.SUMMARY].rows, found[Task.SUMMARY].too_long) == (101, 51)


def test_inspect_prints_rows_and_lengths(made: Made, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["inspect", "--data", str(made.folder.folder), "--base", str(base)]
    assert main([*words, "--rows", "2"]) == OK
    said = capsys.readouterr().out
    assert said.count("── ") == 2 and "loss on" in said and "| summary | 34 |" in said
    first = next(read_rows(made.folder.curated))
    assert main([*words, "--id", first.id, "--tokens"]) == OK
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()][-1] == "'<|im_end|>'"
    assert main([*words, "--id", "nothing"]) == FAILED
    assert main([*words[:-1], str(made.tree)]) == FAILED
    assert "no tokenizer.json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["page.png", "page.html"])
def test_a_page_of_plots_is_written(made: Made, name: str, tmp_path: Path) -> None:
    out = tmp_path / name
    assert main(["stats", "--data", str(made.folder.folder), "--out", str(out)]) == OK
    data = out.read_bytes()
    if name.endswith(".png"):
        assert data.startswith(b"\x89PNG") and len(data) > 20_000
    else:
        rows = json.loads((made.folder.folder / "curated.json").read_text())["kept"]
        assert b"data:image/png;base64," in data and f"<td>summary</td><td>{rows['summary']}</td>".encode() in data


def test_a_page_of_another_kind_is_refused(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--data", str(made.folder.folder), "--out", "page.gif"]) == FAILED
    assert ".png or .html" in capsys.readouterr().err
