"""Answers of a chat model, with or without an adapter: in batches, kept so that a run can go on.

Prompts are tokenized as in training. The weights are those of a Hugging Face folder, not the quantised GGUF that is
shipped; ``kexpert-train export`` compares the two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert.prompt.chat import Message, chatml_pieces
from kexpert.prompt.sampling import NUCLEUS, TEMPERATURE
from kexpert_trainer.errors import UserError

_BATCH_TOKENS = 4_000  # of prompts, with padding


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages, and the most tokens that an answer may have.

    ``seed``: as in ``abilities.Chat.answer``; what is drawn depends on the prompts of the same batch too.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote. ``ended``: it ended by itself, not by the limit of tokens."""

    text: str
    ended: bool = True


class AnswerStore:
    """Answers by model and prompt, in a file of JSON lines that only grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    key, text, ended = json.loads(line)
                except ValueError:
                    continue  # the line that was being written when a run was killed
                self.answers[key] = Answer(text, ended)

    def add(self, answers: Iterable[tuple[str, Answer]]) -> None:
        new = dict(answers)
        self.answers.update(new)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as out:
            for key, answer in new.items():
                out.write(json.dumps([key, answer.text, answer.ended], ensure_ascii=False) + "\n")


def key_of(identity: str, prompt: Prompt) -> str:
    drawn = [f"seed {prompt.seed}"] if prompt.seed else []
    text = "\0".join([identity, str(prompt.max_tokens), *drawn, *chatml_pieces(prompt.messages)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class ChatModel:
    """A base model, and an adapter if given; loaded when the first answer is wanted that no store has.

    Raises UserError for a folder that holds no model.
    """

    def __init__(self, base: Path, adapter: Path | None = None, threads: int = 0) -> None:
        for folder, name in ((base, "config.json"), (adapter, "adapter_config.json")):
            if folder is not None and not (folder / name).is_file():
                raise UserError(f"{folder}: no {name}; give the folder of a Hugging Face model or of a PEFT adapter")
        self.base = base
        self.adapter = adapter
        self.threads = threads
        self.identity = _digest(base) + (f"+{_digest(adapter)}" if adapter else "")
        self._loaded: Any = None

    def answers(
        self, prompts: Sequence[Prompt], store: AnswerStore, advance: Callable[[int], None] = lambda count: None
    ) -> list[Answer]:
        """The answer to each prompt. ``advance(count)`` is called as answers are there."""
        keys = [key_of(self.identity, prompt) for prompt in prompts]
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in store.answers}
        advance(len(keys) - sum(key in missing for key in keys))
        if missing:
            model, encode, decode, ends = self._load()
            encoded = sorted(
                ((encode(prompt), (prompt.max_tokens, prompt.seed), key) for key, prompt in missing.items()),
                key=lambda each: (each[1], len(each[0]), each[2]),
            )
            for batch in _batches(encoded):
                answers = _generate(model, [tokens for tokens, _, _ in batch], *batch[0][1], ends, decode)
                store.add((key, answer) for (_, _, key), answer in zip(batch, answers, strict=True))
                advance(sum(keys.count(key) for _, _, key in batch))
        return [store.answers[key] for key in keys]

    def _load(self) -> Any:
        if self._loaded is None:
            import torch
            from tokenizers import Tokenizer
            from transformers.utils.logging import disable_progress_bar

            from kexpert_trainer.models.lora import compute_dtype, load_adapter, load_base
            from kexpert_trainer.training.sft import chat_encoder

            disable_progress_bar()  # type: ignore[no-untyped-call]  # of the weights: it would break ours
            if self.threads:
                torch.set_num_threads(self.threads)
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            model = load_base(self.base, device, compute_dtype(device))
            if self.adapter is not None:
                model = load_adapter(model, self.adapter).merge_and_unload()
            encoder = chat_encoder(self.base)
            tokenizer = Tokenizer.from_file(str(self.base / "tokenizer.json"))

            def encode(prompt: Prompt) -> list[int]:
                return encoder.chat(prompt.messages)

            def decode(tokens: Sequence[int]) -> str:
                return str(tokenizer.decode(list(tokens), skip_special_tokens=True))

            self._loaded = model.eval(), encode, decode, (encoder.end, encoder.start)
        return self._loaded


Encoded = tuple[list[int], tuple[int, int], str]  # tokens, (limit, seed), key


def _batches(encoded: Sequence[Encoded]) -> list[list[Encoded]]:
    """Prompts of like length, with the same limit and seed, up to ``_BATCH_TOKENS`` with padding."""
    found: list[list[Encoded]] = []
    for each in encoded:
        fits = bool(found) and found[-1][0][1] == each[1] and (len(found[-1]) + 1) * len(each[0]) <= _BATCH_TOKENS
        if fits:
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _generate(
    model: Any, prompts: Sequence[list[int]], max_tokens: int, seed: int, ends: tuple[int, int],
    decode: Callable[[Sequence[int]], str],
) -> list[Answer]:  # fmt: skip
    """The likeliest answers, or with a seed drawn ones; padding is on the left and masked."""
    import torch

    how: dict[str, Any] = {"do_sample": False}
    if seed:
        torch.manual_seed(seed)
        how = {"do_sample": True, "temperature": TEMPERATURE, "top_p": NUCLEUS, "top_k": 0}

    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), ends[0], dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(prompts):
        ids[row, width - len(tokens) :] = torch.tensor(tokens)
        mask[row, width - len(tokens) :] = 1
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device), max_new_tokens=max_tokens,
            **how, num_beams=1, repetition_penalty=1.0, eos_token_id=list(ends), pad_token_id=ends[0],
        )  # fmt: skip
    found = []
    for row in out[:, width:].tolist():
        length = next((at for at, token in enumerate(row) if token in ends), len(row))
        found.append(Answer(decode(row[:length]).strip(), length < len(row) or length < max_tokens))
    return found


def _digest(folder: Path | None) -> str:
    """A digest of the weights in a folder, by their size and beginning and end."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")) if folder else ():
        if not path.name.startswith(("adapter_model", "model")):
            continue
        with path.open("rb") as data:
            size = path.stat().st_size
            for start in range(0, size, max(size // 64, 1)):
                data.seek(start)
                digest.update(data.read(4_096))
            digest.update(f"{path.name} {size}".encode())
    return digest.hexdigest()[:16]
