"""Shows rows as a model is trained on them: each token, and whether it carries loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kexpert.prompt.chat import Task
from kexpert_trainer.data.chat_batches import ChatEncoder, Example
from kexpert_trainer.data.review import printable
from kexpert_trainer.data.rows import Row

_PERCENTILES = (50, 95, 100)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of prompts and answers of one task, at the percentiles 50, 95 and 100."""

    rows: int
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    too_long: int  # rows that training would leave out


def token_text(base: Path) -> Callable[[int], str]:
    """The text of single tokens of a base's tokenizer."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    return lambda token: str(tokenizer.decode([token], skip_special_tokens=False))


def lengths(examples: Iterable[Example], max_tokens: int) -> dict[Task, Lengths]:
    """Token counts by task; an answer includes its end mark."""
    by_task: dict[Task, list[tuple[int, int]]] = {}
    for example in examples:
        size = (example.answer_start, len(example.tokens) - example.answer_start)
        by_task.setdefault(example.task, []).append(size)
    found = {}
    for task in Task:
        if sizes := by_task.get(task):
            prompts, answers = zip(*sizes, strict=True)
            too_long = sum(prompt + answer > max_tokens for prompt, answer in sizes)
            found[task] = Lengths(len(sizes), _percentiles(prompts), _percentiles(answers), too_long)
    return found


def lengths_table(found: dict[Task, Lengths]) -> str:
    lines = ["| task | rows | prompt tokens (50 %, 95 %, all) | answer tokens | too long |", "|---" * 5 + "|"]
    for task, size in found.items():
        prompt, answer = (", ".join(f"{count:,}" for count in counts) for counts in (size.prompt, size.answer))
        lines.append(f"| {task} | {size.rows:,} | {prompt} | {answer} | {size.too_long:,} |")
    return "\n".join(lines)


def row_page(row: Row, encoder: ChatEncoder, text_of: Callable[[int], str]) -> Iterator[str]:
    """A row as lines: provenance, then its tokens; a token that carries loss stands in ``⟦⟧``."""
    example = encoder.example(row)
    count = len(example.tokens)
    yield (
        f"── {row.id} {row.task}, {row.path}:{row.line}-{row.end_line}, {row.licence or 'no licence'}, "
        f"quality {row.quality:.2f}"
    )
    yield f"   {count} tokens; loss on {count - example.answer_start}, from token {example.answer_start} on"
    yield marked(example, text_of)


def marked(example: Example, text_of: Callable[[int], str]) -> str:
    """The tokens of an example as text, with each token that carries loss in ``⟦⟧``."""
    prompt = "".join(text_of(token) for token in example.tokens[: example.answer_start])
    answer = "".join(f"⟦{text_of(token)}⟧" for token in example.tokens[example.answer_start :])
    return printable(prompt + answer)


def token_table(example: Example, text_of: Callable[[int], str]) -> Iterator[str]:
    """One line a token: position, id, whether it carries loss, text."""
    for at, token in enumerate(example.tokens):
        loss = "loss" if at >= example.answer_start else ""
        yield f"{at:5} {token:7} {loss:5} {text_of(token)!r}"


def _percentiles(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(np.percentile(counts, percent, method="nearest")) for percent in _PERCENTILES)
