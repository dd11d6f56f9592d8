"""Both evaluations of a chat model, on trees of a few files, a tiny base and an adapter of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from kexpert.prompt.chat import Message
from kexpert.prompt.sources import NO_ANSWER
from kexpert_trainer.cli import main
from kexpert_trainer.data.rows import Row, read_rows
from kexpert_trainer.data.subsystems import is_held_out_subsystem
from kexpert_trainer.evaluation.chat_model import Answer, AnswerStore, ChatModel, Prompt
from kexpert_trainer.evaluation.documentation import (
    ELSEWHERE,
    FILE,
    NAME,
    NEAREST,
    SIMPLE,
    Writer,
    evaluate,
    first_sentence,
    writers_of,
)
from kexpert_trainer.evaluation.documented_functions import chosen, documented, function_sets, new_in
from kexpert_trainer.evaluation.new_functions import is_for_evaluation
from kexpert_trainer.evaluation.questions import FIRST_SOURCE
from kexpert_trainer.evaluation.questions import evaluate as evaluate_questions
from kexpert_trainer.evaluation.questions import questions as make_questions
from kexpert_trainer.evaluation.rivals import Embeddings, shipped_embedder
from kexpert_trainer.evaluation.text_metrics import chrf
from kexpert_trainer.training.sft import chat_encoder
from tests.support.tiny_chat import chat_base

HELD_OUT = "net/netfilter"
DRIVER = """\
// SPDX-License-Identifier: GPL-2.0
/**
 * {n}_start - start the {n} engine
 * @foo: the engine to start
 * @flags: how to start it
 *
 * Return: 0 on success
 */
int {n}_start(struct foo *foo, int flags)
{{
	/* wake it up first */
	if (!foo)
		return -ENODEV;
	mutex_lock(&foo->lock);
	{n}_wake(foo, flags);
	mutex_unlock(&foo->lock);
	return 0;
}}

/**
 * {n}_stop - stop the {n} engine
 * @foo: the engine to stop
 */
void {n}_stop(struct foo *foo)
{{
	{n}_wake(foo, 0);
}}

static void {n}_wake(struct foo *foo, int flags)
{{
	foo->flags = flags;
}}

static const struct foo_ops {n}_ops = {{
	.start = {n}_start,
	.stop = {n}_stop,
}};
"""


def evaluation_path(folder: str, number: int = 0) -> str:
    """A path of a file for evaluation, in a folder."""
    names = (f"{folder}/eval{at}.c" for at in range(1000))
    return [name for name in names if is_for_evaluation(name)][number]


def tuning_path(folder: str) -> str:
    return next(name for at in range(1000) if not is_for_evaluation(name := f"{folder}/tune{at}.c"))


NEW, OLD, KEPT = evaluation_path("drivers/new"), evaluation_path("drivers/old"), tuning_path("drivers/new")


def write(tree: Path, files: dict[str, str]) -> Path:
    for path, text in {"Makefile": "VERSION = 6\nPATCHLEVEL = 1\n", "Kconfig": "", **files}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    return tree


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("trees")
    old = {OLD: DRIVER.format(n="old"), f"{HELD_OUT}/core.c": DRIVER.format(n="nf")}
    new = {OLD: DRIVER.format(n="old"), NEW: DRIVER.format(n="fresh"), KEPT: DRIVER.format(n="kept")}
    return write(root / "newer", new), write(root / "older", old)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_base(tmp_path_factory.mktemp("base") / "hf")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from kexpert_trainer.models.lora import LoraSettings, add_adapter, load_base

    folder = tmp_path_factory.mktemp("adapter")
    model = add_adapter(load_base(base, torch.device("cpu"), torch.float32), LoraSettings(r=2))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(str(folder))
    return folder


class Scripted(ChatModel):
    """Answers by a function of the prompt's text, and keeps the prompts."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.identity = "scripted"
        self.asked: list[str] = []

    def answers(self, prompts: Any, store: AnswerStore, advance: Any = None) -> list[Answer]:
        texts = [prompt.messages[-1].text for prompt in prompts]
        self.asked += texts
        return [Answer(self.answer(text)) for text in texts]


def test_only_new_functions_of_files_for_evaluation_are_asked(trees: tuple[Path, Path], tmp_path: Path) -> None:
    newer, older = trees
    sets, fitting = function_sets(newer, older, tmp_path, None, 0, 0)
    assert {row.name for row in sets[0].rows} == {"fresh_start", "fresh_stop"}
    assert {each.summary.path for each in sets[0].pool} == {OLD, NEW}
    assert {row.path for row in fitting.rows} == {f"{HELD_OUT}/core.c"}
    assert all(is_held_out_subsystem(row.path) for row in fitting.rows)


def test_the_functions_of_an_earlier_run_are_read_again(trees: tuple[Path, Path], tmp_path: Path) -> None:
    first = function_sets(*trees, tmp_path, None, 0, 0)
    again = function_sets(Path("/nowhere"), Path("/nowhere"), tmp_path, None, 0, 0)
    assert [row.id for row in again[0][0].rows] == [row.id for row in first[0][0].rows]


def test_the_order_of_functions_does_not_depend_on_their_number(trees: tuple[Path, Path]) -> None:
    functions = documented(trees[0], is_for_evaluation)
    assert chosen(functions, 2) == chosen(functions[::-1], 0)[:2]
    assert {each.summary.name for each in new_in(functions, trees[1])} == {"fresh_start", "fresh_stop"}


def test_every_file_gives_one_function_before_any_gives_two(trees: tuple[Path, Path]) -> None:
    functions = documented(trees[0], lambda path: path.endswith(".c"))
    assert len({each.summary.path for each in chosen(functions, 3)}) == 3
    assert len(chosen(functions, 0)) == len(functions) == 6


def test_a_prompt_shows_all_but_the_functions_own_kernel_doc(trees: tuple[Path, Path], tmp_path: Path) -> None:
    sets, _ = function_sets(*trees, tmp_path, None, 0, 0)
    model = Scripted(lambda text: "start something")
    evaluate(sets[:1], None, writers_of(model, None), Embeddings(shipped_embedder()), AnswerStore(tmp_path / "a"), 0)
    start = next(text for text in model.asked if "Like:" in text and "int fresh_start" in text)
    assert "start the fresh engine" not in start
    assert "wake it up first" in start
    assert "Like: fresh_stop() - stop the fresh engine" in start
    bare = next(text for text in model.asked if "Like:" not in text and "int fresh_start" in text)
    assert bare == "\n".join(line for line in start.split("\n") if not line.startswith("Like:"))


def test_scores_of_writers_by_hand(trees: tuple[Path, Path], tmp_path: Path) -> None:
    sets, fitting = function_sets(*trees, tmp_path, None, 0, 0)

    def answer(text: str) -> str:
        return "start the fresh engine" if "fresh_start(" in text.split("Code:")[1] else "Calls foo_invented() here."

    model = Scripted(answer)
    embeddings = Embeddings(shipped_embedder())
    report, details = evaluate(sets, fitting, writers_of(model, None), embeddings, AnswerStore(tmp_path / "a"), 4)
    section = report["sets"]["new in newer"]
    assert section["functions"] == 2
    written = {(each["writer"], each["name"]): each["text"] for each in details if each["set"] == "new in newer"}
    assert written["base", "fresh_start"] == "start the fresh engine"
    assert written[NAME, "fresh_start"] == "fresh start"
    assert written[FILE, "fresh_start"] == "stop the fresh engine"
    assert written[NEAREST, "fresh_start"] in ("stop the fresh engine", "start the old engine")
    assert written[ELSEWHERE, "fresh_start"] == "start the old engine"
    assert section["writers"]["base"]["invented"] == 0.5
    assert section["writers"]["base"]["shown"] == 0.5  # the server hides the line with the invented name
    assert section["writers"]["base"]["shown_chrf"] == chrf("Start the fresh engine", "start the fresh engine")
    assert section["writers"]["base"]["shown_invented"] == 0.0
    assert "gate" in section["writers"]
    assert "gate" not in report["sets"]["held out of older"]["writers"]
    assert report["kernel_doc"]["new in newer"]["base"]["functions"] == 2


def test_first_sentence_is_what_a_hover_would_show() -> None:
    row = Row("1", "summary", "", "a.c", 1, name="foo_start")  # type: ignore[arg-type]
    assert first_sentence("foo_start() - Start it. Then more.\nNext", row) == "Start it"
    assert first_sentence("\n Start v1.2 of it", row) == "Start v1.2 of it"
    assert first_sentence("", row) == ""


def test_a_killed_run_goes_on_where_it_was(base: Path, tmp_path: Path) -> None:
    prompts = [Prompt((Message("user", f"Summarize {name}"),), 4) for name in ("a", "b widget", "c")]
    store = tmp_path / "answers.jsonl"
    first = ChatModel(base).answers(prompts, AnswerStore(store))
    store.write_text("".join(store.read_text().splitlines(keepends=True)[:2]) + '["half a li')
    model = ChatModel(base)
    counted: list[int] = []
    assert model.answers(prompts, AnswerStore(store), counted.append) == first
    assert counted[0] == 2
    assert sum(counted) == 3


def test_a_batch_gives_the_answers_of_single_prompts(base: Path, tmp_path: Path) -> None:
    texts = ["int a;", "static int widget_enable(struct widget *w)\n{\n\treturn 0;\n}\n", "x"]
    prompts = [Prompt((Message("user", text),), 6) for text in texts]
    together = ChatModel(base).answers(prompts, AnswerStore(tmp_path / "a"))
    single = [ChatModel(base).answers([each], AnswerStore(tmp_path / "b"))[0] for each in prompts]
    assert together == single


def test_answers_that_are_drawn_are_kept_apart_by_seed(base: Path, tmp_path: Path) -> None:
    prompts = [Prompt((Message("user", "int a;"),), 8, seed) for seed in range(4)]
    store = AnswerStore(tmp_path / "a")
    texts = [answer.text for answer in ChatModel(base).answers(prompts, store)]
    assert len(store.answers) == 4
    assert len(set(texts)) > 1
    assert [answer.text for answer in ChatModel(base).answers(prompts, AnswerStore(tmp_path / "b"))] == texts


def test_of_several_answers_the_one_that_most_agree_with_counts(trees: tuple[Path, Path], tmp_path: Path) -> None:
    class Drawing(Scripted):
        def answers(self, prompts: Any, store: AnswerStore, advance: Any = None) -> list[Answer]:
            lines = ["Calls foo_invented() here", "start an engine", "start the engine", "start the engine"]
            return [Answer(lines[prompt.seed]) for prompt in prompts]

    sets, _ = function_sets(*trees, tmp_path, None, 0, 0)
    writer = Writer("several", Drawing(None), True, 4)
    report, _ = evaluate(sets[:1], None, [writer], Embeddings(shipped_embedder()), AnswerStore(tmp_path / "a"), 4)
    found = report["sets"]["new in newer"]["writers"]["several"]
    assert (found["invented"], found["shown"]) == (0.0, 1.0)
    assert report["kernel_doc"] == {}  # no texts are drawn


def test_a_base_with_another_frame_than_chatml_is_asked_in_its_own(tmp_path: Path) -> None:
    markers = ("<|start_of_role|>", "<|start_of_role|>", "<|end_of_text|>", "<|end_of_role|>")
    model = ChatModel(chat_base(tmp_path / "granite", "granite", markers))
    prompts = [Prompt((Message("user", "Summarize widget_start"),), 6)]
    assert len(model.answers(prompts, AnswerStore(tmp_path / "a"))) == 1
    tokenizer = Tokenizer.from_file(str(tmp_path / "granite" / "tokenizer.json"))
    asked = tokenizer.decode(chat_encoder(model.base).chat(prompts[0].messages), skip_special_tokens=False)
    assert asked.startswith("<|start_of_role|>user<|end_of_role|>Summarize widget_start<|end_of_text|>")


def test_markers_in_a_tree_are_plain_text(base: Path, tmp_path: Path) -> None:
    prompts = [Prompt((Message("user", text),), 6) for text in ("a <|im_end|> b", "a  b")]
    answers = ChatModel(base).answers(prompts, AnswerStore(tmp_path / "a"))
    assert len(answers) == 2  # the marker neither ends the prompt nor raises


def test_the_documentation_command(trees: tuple[Path, Path], base: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "documentation", "--tree612", str(trees[0]), "--tree61", str(trees[1]), "--base", str(base)]
    command += ["--adapter", str(adapter), "--work", str(tmp_path / "work"), "--out", str(out)]
    assert main(command) == 0
    report = json.loads((out / "report.json").read_text())
    writers = report["sets"]["new in newer"]["writers"]
    drawn = "adapter + retrieval, most agreed of 8"
    assert {"base", "base + retrieval", "adapter", "adapter + retrieval", drawn, "gate", *SIMPLE} == set(writers)
    assert "adapter + retrieval - base" in report["sets"]["new in newer"]["differences"]
    assert (out / "chrf.png").read_bytes().startswith(b"\x89PNG")
    assert "| adapter + retrieval |" in (out / "report.md").read_text()
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    by_writer = {(each["writer"], each["name"]): each["text"] for each in answers}
    assert by_writer["adapter", "fresh_start"] != by_writer["base", "fresh_start"]


def test_a_folder_without_a_model_is_refused_in_one_line(
    trees: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "questions", "--tree612", str(trees[0]), "--tree61", str(trees[1])]
    command += ["--base", str(tmp_path / "none"), "--work", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"kexpert-train: {tmp_path / 'none'}: no config.json; "
        "give the folder of a Hugging Face model or of a PEFT adapter\n"
    )


def test_questions_are_about_what_no_model_has_seen(trees: tuple[Path, Path], tmp_path: Path) -> None:
    rows = make_questions(*trees, tmp_path, 40)
    assert {row.path for row in rows} == {NEW, f"{HELD_OUT}/core.c"}
    assert list(read_rows(tmp_path / "questions-40-0.jsonl")) == rows
    for row in rows:
        assert 1 <= len(row.sources) <= 6
        number = row.notes["source"]
        assert number == 0 or row.output.split(" [")[0].split(" (")[0] in row.sources[number - 1][1]


def test_scores_of_questions_by_hand(trees: tuple[Path, Path], tmp_path: Path) -> None:
    rows = make_questions(*trees, tmp_path, 40)

    def read(text: str) -> str:
        """Answer with the true source if it is there, and else that none says it."""
        row = next(row for row in rows if row.question in text)
        if "Answer from the sources" not in text:
            return "I do not know"
        own = row.sources[row.notes["source"] - 1]
        return f"{row.output.split(' [')[0]} [{row.notes['source']}]" if own[1] in text else NO_ANSWER

    report, details = evaluate_questions(rows, writers_of(Scripted(read), None), AnswerStore(tmp_path / "a"))
    found = report["found"]
    assert 0 < found <= 1
    assert report["writers"]["base"]["right"] == 0
    assert report["writers"]["base + retrieval"]["right"] >= found
    assert report["writers"]["base + retrieval"]["cites"] == 1
    assert report["writers"]["base + retrieval"]["says_so"] == 1
    first = [row.notes["source"] == 1 for row in rows]
    assert report["writers"][FIRST_SOURCE]["right"] >= sum(first) / len(first)
    assert report["differences"]["base + retrieval - base"]["mean"] > 50
    assert len(details) == 2 * len(rows)


def test_the_questions_command(trees: tuple[Path, Path], base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["evaluate", "questions", "--tree612", str(trees[0]), "--tree61", str(trees[1]), "--base", str(base)]
    assert main([*command, "--work", str(tmp_path), "--out", str(out), "--questions", "12"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["questions"] > 5
    assert {"base", "base + retrieval", FIRST_SOURCE} == set(report["writers"])
    assert (out / "questions.png").read_bytes().startswith(b"\x89PNG")
    assert "| base + retrieval |" in (out / "report.md").read_text()


