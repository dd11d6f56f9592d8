"""Merges an adapter into its base as a Hugging Face folder of 16 bits: the command ``kexpert-train merge``.

What 16 bits lose is measured: the same twenty prompts are answered by base and adapter in the precision of training
and by the merged model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import progress
from kexpert_trainer.release.agreement import answers_by_torch, compare, load_reference, max_logit_difference
from kexpert_trainer.release.check_prompts import check_prompts
from kexpert_trainer.release.gguf_tokenizer import answer_ends
from kexpert_trainer.training.sft import chat_encoder

MERGED = "merge.json"
_COPIED = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "LICENSE",
)  # fmt: skip
_TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How far the merged model is from base and adapter."""

    prompts: int
    identical_answers: int
    early_differences: int
    max_logit_difference: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "prompts": self.prompts, "identical_answers": self.identical_answers,
            "early_differences": self.early_differences, "max_logit_difference": self.max_logit_difference,
        }  # fmt: skip


def merge(base: Path, adapter: Path, target: Path, dtype: str = "float16", threads: int = 0) -> MergeReport:
    """Write base and adapter as one model in float16 or bfloat16, and measure it.

    float16 keeps three more bits of each weight; bfloat16 is for weights beyond 65,504. Raises UserError if the merged
    model answers otherwise from the first tokens on; then nothing is written.
    """
    if dtype not in _TYPES:
        raise UserError(f"{dtype}: a merged model is written as {' or '.join(_TYPES)}")
    if threads:
        torch.set_num_threads(threads)
    encoder = chat_encoder(base)
    prompts = [encoder.chat(messages) for messages in check_prompts()]
    model = load_reference(base, adapter)
    ends = answer_ends(base, encoder.end)
    with progress("answers, before and after", 2 * len(prompts)) as advance:
        expected = answers_by_torch(model, prompts, ends, advance)
        merged = model.float().merge_and_unload().to(_TYPES[dtype])
        if not all(bool(weight.isfinite().all()) for weight in merged.parameters()):
            raise UserError(f"{adapter}: merged weights do not fit {dtype}; use --dtype bfloat16")
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        merged.save_pretrained(str(part))
        merged = merged if torch.cuda.is_available() else merged.float()  # a CPU multiplies float16 slowly
        got = [answer.tokens for answer in answers_by_torch(merged, prompts, ends, advance)]
    agreement = compare(expected, got)
    report = MergeReport(
        len(prompts), agreement.identical, len(agreement.early), round(max_logit_difference(merged, expected), 4)
    )
    if agreement.early:
        shutil.rmtree(part)
        raise UserError(
            f"{adapter}: merged in {dtype}, {len(agreement.early)} of {len(prompts)} answers differ from the first "
            f"tokens on (max logit difference {report.max_logit_difference}); try the other of {', '.join(_TYPES)}"
        )
    _finish(base, adapter, part, target, report)
    return report


def _finish(base: Path, adapter: Path, part: Path, target: Path, report: MergeReport) -> None:
    for name in _COPIED:
        if (base / name).is_file():
            shutil.copyfile(base / name, part / name)
    entries: dict[str, Any] = {"base": str(base), "adapter": str(adapter), "measured": report.as_dict()}
    entries |= _training(adapter)
    (part / MERGED).write_text(json.dumps(entries, indent=2) + "\n")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _training(adapter: Path) -> Mapping[str, Any]:
    """Configuration and prompt version of the adapter's run, for ``export``."""
    file = adapter / "progress.json"
    try:
        found = json.loads(file.read_bytes())
        return {key: found[key] for key in ("config", "chat_prompt_version")}
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{file}: does not say what the adapter was trained on; give `best` of a run of sft") from None
