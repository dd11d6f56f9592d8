"""Compares the greedy answers of a model in two forms: torch and GGUF, with an adapter and with it merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kexpert.prompt.chat import Message
from kexpert_trainer.data.chat_batches import ChatEncoder
from kexpert_trainer.data.chat_frames import ChatFrame
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import compute_dtype, load_adapter, load_base

#: A difference within the first tokens of an answer is early: rounding needs time to add up, a wrong scale, row order
#: or token does not.
EARLY_TOKENS = 8
#: Two tokens whose logits in the reference differ by less are a tie, which rounding may decide either way.
TIE_LOGITS = 0.1
MAX_ANSWER_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """A greedy answer; ``logits`` (tokens, vocabulary) float32 are those that chose its tokens."""

    prompt: list[int]
    tokens: list[int]
    logits: Tensor


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the answers of one form are those of the reference."""

    prompts: int
    identical: int
    mean_equal_tokens: float  # from the beginning, as a fraction of the reference's answer
    early: tuple[int, ...]  # prompts with an early difference that is no tie
    early_ties: int = 0

    def figures(self, prefix: str) -> dict[str, Any]:
        """Entries for a manifest."""
        return {
            f"{prefix}_identical_answers": f"{self.identical} of {self.prompts}",
            f"{prefix}_mean_equal_fraction": round(self.mean_equal_tokens, 3),
            f"{prefix}_early_differences": len(self.early),
        }


def load_reference(base: Path, adapter: Path | None) -> Any:
    """A base with its adapter in the precision that others are compared with: float32, on a GPU that of training."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_base(base, device, compute_dtype(device) if device.type == "cuda" else torch.float32)
    return model if adapter is None else load_adapter(model, adapter)


def answers_by_torch(
    model: Any, prompts: Sequence[Sequence[int]], ends: Sequence[int], report: Callable[[], None] = lambda: None
) -> list[Answer]:
    """Greedy answers of a Hugging Face model, each up to one of ``ends`` or ``MAX_ANSWER_TOKENS``."""
    model.eval()
    answers: list[Answer] = []
    for prompt in prompts:
        tokens, logits = zip(*_greedy(model, prompt, set(ends)), strict=True)
        answers.append(Answer(list(prompt), list(tokens), torch.stack(logits)))
        report()
    return answers


@torch.inference_mode()
def _greedy(model: Any, prompt: Sequence[int], ends: set[int]) -> Iterator[tuple[int, Tensor]]:
    device = next(model.parameters()).device
    cache = None
    given = list(prompt)
    for _ in range(MAX_ANSWER_TOKENS):
        out = model(torch.tensor([given], device=device), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, logits = out.past_key_values, out.logits[0, -1].float().cpu()
        token = int(logits.argmax())
        yield token, logits
        if token in ends:
            return
        given = [token]


@torch.inference_mode()
def max_logit_difference(model: Any, answers: Sequence[Answer]) -> float:
    """The largest difference of any logit from the reference's, over the same prompts and answers."""
    device = next(model.parameters()).device
    largest = 0.0
    for answer in answers:
        tokens = torch.tensor([[*answer.prompt, *answer.tokens[:-1]]], device=device)
        logits = model(tokens, use_cache=False, logits_to_keep=len(answer.tokens)).logits[0].float().cpu()
        largest = max(largest, float((logits - answer.logits).abs().max()))
    return largest


def compare(expected: Sequence[Answer], got: Sequence[Sequence[int]]) -> Agreement:
    """Compare token by token."""
    identical = ties = 0
    fractions: list[float] = []
    early: list[int] = []
    for number, (answer, tokens) in enumerate(zip(expected, got, strict=True)):
        equal = _common_length(answer.tokens, tokens)
        fractions.append(equal / len(answer.tokens))
        if list(tokens) == answer.tokens:
            identical += 1
        elif equal < min(EARLY_TOKENS, len(answer.tokens)):
            if equal < len(tokens) and _is_tie(answer.logits[equal], answer.tokens[equal], tokens[equal]):
                ties += 1
            else:
                early.append(number)
    return Agreement(len(fractions), identical, sum(fractions) / len(fractions), tuple(early), ties)


def _common_length(a: Sequence[int], b: Sequence[int]) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _is_tie(logits: Tensor, best: int, other: int) -> bool:
    return float(logits[best] - logits[other]) < TIE_LOGITS


def answers_by_gguf(path: Path, adapter: Path | None, expected: Sequence[Answer], threads: int = 0) -> list[list[int]]:
    """The answers of llama.cpp to the same prompts. Raises UserError if it cannot load the files."""
    from kexpert.model.engines.llama_cpp_engine import greedy

    try:
        return greedy(path, adapter, [answer.prompt for answer in expected], MAX_ANSWER_TOKENS, threads)
    except ValueError as problem:
        raise UserError(f"{path}: llama.cpp cannot load what was exported: {problem}") from None


def require_same_tokens(path: Path, encoder: ChatEncoder, prompts: Sequence[Sequence[Message]]) -> None:
    """Raises UserError if the vocabulary of a GGUF divides a text of the prompts otherwise than the trainer does."""
    from kexpert.model.engines.llama_cpp_engine import tokenize

    texts = [message.text for messages in prompts for message in messages]
    try:
        found = tokenize(path, texts)
    except ValueError as problem:
        raise UserError(f"{path}: llama.cpp cannot load it: {problem}") from None
    for text, tokens in zip(texts, found, strict=True):
        if tokens != encoder.text(text):
            raise UserError(
                f"{path}: llama.cpp divides {text[:40]!r} into other tokens than the trainer; tokenizer.json of the "
                "base is of another model than the weights"
            )


def gives_same_chat(template: str, frame: ChatFrame, prompts: Sequence[Sequence[Message]]) -> bool:
    """True if a base's own chat template gives the text that training used."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception  # templates of Llama and Qwen call it
    try:
        own, used = (environment.from_string(each) for each in (template, frame.jinja))
        for messages in prompts:
            given = [{"role": message.role, "content": message.text} for message in messages]
            text, wanted = (
                each.render(messages=given, add_generation_prompt=True, bos_token=frame.bos) for each in (own, used)
            )
            if text != wanted:
                return False
    except (TemplateError, TypeError):  # a template may call functions that only transformers has
        return False
    return True
