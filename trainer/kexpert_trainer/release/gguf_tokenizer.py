"""The tokenizer of a Hugging Face folder in GGUF: byte-level BPE with a pre-tokenizer that llama.cpp knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import Tokenizer

from kexpert_trainer.data.tokenizer import PRETOKENIZER
from kexpert_trainer.errors import UserError
from kexpert_trainer.release.gguf_layout import read_config

FILE_NAME, SETTINGS, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"

#: Regex of a Split -> the pre-tokenizer's name in llama.cpp.
_BY_REGEX = {PRETOKENIZER: "qwen2", PRETOKENIZER.replace(r"|\p{N}|", r"|\p{N}{1,3}|"): "llama-bpe"}


def load(base: Path) -> Tokenizer:
    """Read ``tokenizer.json``. Raises UserError."""
    try:
        return Tokenizer.from_file(str(base / FILE_NAME))
    except Exception as problem:  # tokenizers raises nothing more specific
        raise UserError(f"{base / FILE_NAME}: not a tokenizer ({problem}); make the folder again") from None


def chat_template(base: Path) -> str:
    """The chat template of a folder; "" if it has none."""
    if (base / TEMPLATE).is_file():
        return (base / TEMPLATE).read_text()
    found = _settings(base).get("chat_template")
    return found if isinstance(found, str) else ""


def tokens_in_order(tokenizer: Tokenizer, vocabulary: int) -> list[str]:
    """Every token, in the order of the ids; rows of the embedding without a token have a name of their own."""
    found = (tokenizer.id_to_token(at) for at in range(vocabulary))
    return [f"[PAD{at}]" if token is None else token for at, token in enumerate(found)]


def add_tokenizer(writer: GGUFWriter, base: Path, vocabulary: int, template: str = "") -> None:
    """Write the tokenizer with its special tokens and chat template ("": the base's own).

    Raises UserError if llama.cpp lacks its kind.
    """
    tokenizer = load(base)
    described = json.loads(tokenizer.to_str())
    tokens = tokens_in_order(tokenizer, vocabulary)
    added = {int(token["id"]): bool(token["special"]) for token in described["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pretokenizer_name(base, described))
    writer.add_token_list(tokens)
    writer.add_token_types([_token_type(at, tokenizer, added) for at in range(len(tokens))])
    merges = described["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    ids = special_ids(base)
    for name, add in (
        ("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id), ("pad", writer.add_pad_token_id),
        ("unk", writer.add_unk_token_id),
    ):  # fmt: skip
        if name in ids:
            add(ids[name])
    writer.add_add_bos_token("bos" in ids and tokenizer.encode("").ids[:1] == [ids["bos"]])
    writer.add_add_space_prefix(False)
    if template := template or chat_template(base):
        writer.add_chat_template(template)


def special_ids(base: Path) -> dict[str, int]:
    """The ids of bos, eos, pad and unk, as far as the folder names them."""
    tokenizer, settings, config = load(base), _settings(base), read_config(base)
    found: dict[str, int] = {}
    for name in ("bos", "eos", "pad", "unk"):
        token = settings.get(f"{name}_token")
        token = token.get("content") if isinstance(token, Mapping) else token
        number = tokenizer.token_to_id(token) if isinstance(token, str) else config.get(f"{name}_token_id")
        if isinstance(number, int) and not isinstance(number, bool):
            found[name] = number
    return found


def answer_ends(base: Path, end: int) -> list[int]:
    """The ids at which an answer ends: ``end`` of the frame, and what llama.cpp takes for an end in any model."""
    tokenizer = load(base)
    found = {end, special_ids(base).get("eos"), tokenizer.token_to_id("<|endoftext|>")}
    return sorted(token for token in found if token is not None)


def _token_type(at: int, tokenizer: Tokenizer, added: Mapping[int, bool]) -> TokenType:
    if at in added:
        return TokenType.CONTROL if added[at] else TokenType.USER_DEFINED
    return TokenType.NORMAL if tokenizer.id_to_token(at) is not None else TokenType.UNUSED


def _pretokenizer_name(base: Path, described: Mapping[str, Any]) -> str:
    """The name in llama.cpp of what splits a text into words."""
    model, before = described["model"], described["pre_tokenizer"] or {}
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise UserError(f"{base}: its tokenizer is no byte-level BPE; use llama.cpp's convert_hf_to_gguf.py")
    steps = before["pretokenizers"] if before.get("type") == "Sequence" else [before]
    last = steps[-1]
    if last.get("type") == "ByteLevel":
        rest = steps[:-1]
        if last["use_regex"] and not rest:
            return "gpt-2"
        if last["use_regex"] and all(s["type"] == "Digits" and s["individual_digits"] for s in rest):
            return "smollm"
        if not last["use_regex"] and len(rest) == 1 and rest[0]["type"] == "Split":
            regex = rest[0]["pattern"].get("Regex")
            if regex in _BY_REGEX:
                return _BY_REGEX[regex]
    raise UserError(f"{base}: llama.cpp has no name for how its tokenizer splits words; use convert_hf_to_gguf.py")


def _settings(base: Path) -> Mapping[str, Any]:
    file = base / SETTINGS
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_bytes())
    except ValueError as problem:
        raise UserError(f"{file}: not JSON ({problem}); make the folder again") from None
    return found if isinstance(found, dict) else {}
