"""Tiny chat models of random weights as Hugging Face folders, with a ChatML tokenizer, and rows to train them on."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from kexpert.prompt.chat import END, START, Task
from kexpert_trainer.data.rows import Row, write_rows
from kexpert_trainer.data.tokenizer import PRETOKENIZER
from tests.support.small_training import HEADER, driver

VOCABULARY = 500
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_QWEN = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(PRETOKENIZER), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
_SMOLLM = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
_SIZE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": 1024, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip


MARKERS = (START, START, END)  # beginning of a text, of a message, end of an answer


@cache
def chat_tokenizer(family: str = "llama", markers: tuple[str, ...] = MARKERS) -> Tokenizer:
    """Byte-level BPE with the special tokens of SmolLM2, ids from 0, or with others.

    Where the first marker is not the second, every text begins with it.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _QWEN if family == "qwen2" else _SMOLLM
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 4,  # the embedding has rows to spare, as that of Qwen has
        special_tokens=["<|endoftext|>", *dict.fromkeys(markers)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [HEADER, *(driver(at) for at in range(20)), "You explain Linux kernel code. Summarize in one line."]
    tokenizer.train_from_iterator(texts, trainer)
    if markers[0] != markers[1]:
        tokenizer.post_processor = processors.TemplateProcessing(f"{markers[0]} $A", special_tokens=[(markers[0], 1)])
    return tokenizer


def chat_base(folder: Path, family: str = "llama", markers: tuple[str, ...] = MARKERS, **size: Any) -> Path:
    """Write a model of random weights. ``family``: llama, qwen2 or granite; ``size``: entries of its configuration."""
    from transformers import (
        GraniteConfig,
        GraniteForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    kinds: dict[str, Any] = {
        "llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM),
        "granite": (GraniteConfig, GraniteForCausalLM),
    }  # fmt: skip
    config_class, model_class = kinds[family]
    torch.manual_seed(0)
    model = model_class(config_class(**{**_SIZE, **size}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(4)  # as large as in a trained model; else every logit would be near 0
            elif name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    chat_tokenizer(family, markers).save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": markers[0], "eos_token": markers[2],
        "pad_token": markers[2], "chat_template": TEMPLATE,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


_VERBS = ("start", "stop", "read", "write", "reset", "probe")
_THINGS = ("widget", "queue", "timer", "device", "bus", "frame")


def rows(count: int = 36) -> list[Row]:
    """Summaries of small functions, each with a wrong one."""
    made: list[Row] = []
    for at in range(count):
        verb, thing = _VERBS[at % 6], _THINGS[at // 6 % 6]
        code = f"int {thing}_{verb}(struct {thing} *{thing})\n{{\n\treturn do_{verb}({thing}->id, {at});\n}}\n"
        wrong = f"{_VERBS[(at + 1) % 6].capitalize()} the {thing}"
        made.append(
            Row(
                id=f"row-{at}", task=Task.SUMMARY, output=f"{verb.capitalize()} the {thing}", path=f"drivers/{thing}.c",
                line=at + 1, name=f"{thing}_{verb}", kind="function", code=code, rejected=wrong, broken="meaning",
            )
        )
    return made


def chat_corpus(folder: Path, count: int = 36) -> Path:
    """Write ``train.jsonl`` and ``held-out.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    made = rows(count)
    write_rows(folder / "train.jsonl", made[: count * 5 // 6])
    write_rows(folder / "held-out.jsonl", made[count * 5 // 6 :])
    return folder
