"""The settings of a fine-tuning run, and their TOML file, which is kept beside the result.

    base = "/path/to/smollm2-135m"
    corpus = "/path/to/corpus"
    tokens = 1_600_000
    learning_rate = 6e-4

    [lora]
    r = 16
    alpha = 32

    [mix]
    summary = 1.0
    answer = 0.5
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from kexpert.prompt.chat import Task
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import LoraSettings

FILE_NAME = "run.toml"
SCHEDULES = ("wsd", "cosine")
METHODS = ("lora", "qlora", "full")

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class SftConfig:
    """Decides the result of a run. Tokens are those of prompts and answers, without padding."""

    base: str  # folder of a Hugging Face model
    corpus: str  # folder with ``train.jsonl`` and ``held-out.jsonl``
    tokens: int = 1_000_000
    batch_tokens: int = 1_300  # of one optimizer step, with padding
    learning_rate: float = 5e-4
    schedule: str = "wsd"  # warm-up, level, linear decay; or "cosine": warm-up, half a cosine
    warmup: float = 0.02  # fraction of the tokens
    decay: float = 0.4  # fraction of the tokens; of "wsd"
    max_tokens: int = 512  # a longer row is left out
    patience: int = 0  # evaluations without a better loss, after which the run ends; 0: no end before the tokens
    #: "lora"; "qlora": base in NF4 on a GPU (Dettmers et al. 2023, arXiv:2305.14314); "full": all weights, no adapter
    method: str = "lora"
    adapter: str = ""  # folder of a trained adapter that the run goes on from, whose ``lora`` then holds; "": a new one
    mix: Mapping[str, float] = field(default_factory=lambda: {str(task): 1.0 for task in Task})
    lora: LoraSettings = field(default_factory=LoraSettings)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SftLimits:
    """Decides how far one call goes and what it takes, not what it computes."""

    minutes: float = math.inf
    steps: int = 0
    threads: int = 0
    micro_tokens: int = 0  # tokens at once on one device, with padding; 0: the device's share of a step
    checkpointing: bool = False  # compute activations again in the backward pass: less memory, a third more time
    evaluate_every: int = 100  # steps
    evaluation_rows: int = 160
    save_minutes: float = 3.0
    wandb: str = ""  # a project of Weights & Biases; "": nothing is sent


def check(config: SftConfig) -> SftConfig:
    """Return the settings. Raises UserError for a value that makes no sense."""
    known = {str(task) for task in Task}
    unknown = ", ".join(sorted(set(config.mix) - known))
    for wrong, message in (
        (config.method not in METHODS, f"method is {config.method!r}; known: {', '.join(METHODS)}"),
        (config.schedule not in SCHEDULES, f"schedule is {config.schedule!r}; known: {', '.join(SCHEDULES)}"),
        (bool(unknown), f"mix names {unknown}; tasks: {', '.join(sorted(known))}"),
        (config.method == "full" and bool(config.adapter), 'method "full" trains no adapter: give none'),
        (config.lora.r < 1, f"lora.r is {config.lora.r}, not above 0"),
        (not 0 <= config.lora.dropout < 1, f"lora.dropout is {config.lora.dropout}, not in [0, 1)"),
        (config.tokens < 1 or config.batch_tokens < 1, "tokens and batch_tokens must be above 0"),
        (not config.learning_rate > 0, f"learning_rate is {config.learning_rate}, not above 0"),
    ):  # fmt: skip
        if wrong:
            raise UserError(f"the run's settings: {message}")
    return config


def read_toml(path: Path, kind: type[Config], **more: Any) -> Config:
    """Read a dataclass of settings from TOML; ``more`` replaces entries. Raises UserError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as problem:
        raise UserError(f"{path}: not a TOML file of settings ({problem})") from None
    return build(kind, {**found, **more}, str(path))


def dump_toml(config: Any) -> str:
    """The TOML text of a dataclass of settings."""
    tables: list[str] = []
    lines: list[str] = []
    for key, value in asdict(config).items():
        if isinstance(value, Mapping):
            tables += ["", f"[{key}]", *(f"{_key(name)} = {_value(each)}" for name, each in value.items())]
        else:
            lines.append(f"{key} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)


def build(kind: type[Config], found: Mapping[str, Any], where: str) -> Config:
    """A dataclass of settings from a table; ``where`` begins the message of an error. Raises UserError."""
    assert is_dataclass(kind)
    known = {each.name: each for each in fields(kind)}
    if unknown := sorted(set(found) - set(known)):
        raise UserError(f"{where}: unknown setting {unknown[0]!r}; known: {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name == "lora":
            values[name] = build(LoraSettings, _table(value, f"{where}: {name}"), f"{where}: [lora]")
        else:
            values[name] = _checked(value, str(known[name].type), f"{where}: {name}")
    try:
        return kind(**values)
    except TypeError:
        missing = [n for n in ("base", "corpus", "adapter") if n in known and n not in values]
        raise UserError(f"{where}: lacks {' and '.join(missing)}") from None


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{where} must be a table")
    return value


def _checked(value: Any, kind: str, where: str) -> Any:
    """``kind``: the annotation of the field."""
    if kind.startswith("Mapping"):
        return {str(key): _checked(each, "float", f"{where}.{key}") for key, each in _table(value, where).items()}
    if kind.startswith("Sequence"):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UserError(f"{where} must be a list of strings")
        return tuple(value)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = {"int": int, "float": float, "str": str, "bool": bool}[kind]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise UserError(f"{where} must be of type {kind}, not {value!r}")
    return value
