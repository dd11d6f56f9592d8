"""All steps from a kernel tree to an adapter that the server loads: the command ``kexpert-train expert``.

    OUT/base       the base, as a Hugging Face folder
    OUT/corpus     mined, curated and checked rows;  OUT/dataset: published
    OUT/sft, OUT/prefer        runs
    OUT/merged     base and adapter as one model
    OUT/model      GGUF, model.json, Modelfile, card: what kexpert and Ollama load
    OUT/steps      a record of each step that is done

Each step continues where it was stopped or killed; one that is done is not repeated unless its input changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kexpert_trainer.data.corpus_folder import CorpusFolder, digest
from kexpert_trainer.data.curate import curate
from kexpert_trainer.data.falsify import falsify
from kexpert_trainer.data.mine_tree import mine_tree
from kexpert_trainer.data.tree import name_of, require_tree
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.held_out_summaries import measure, test_rows
from kexpert_trainer.models.base import prepare_base
from kexpert_trainer.models.presets import PRESETS
from kexpert_trainer.progress import Advance, progress
from kexpert_trainer.release.chat_export import ChatExport, ChatSource, export_chat, licence_of
from kexpert_trainer.release.dataset import publish
from kexpert_trainer.release.export import Origin
from kexpert_trainer.release.lora_gguf import ADAPTER_WEIGHTS
from kexpert_trainer.release.merge import merge
from kexpert_trainer.steps import Steps
from kexpert_trainer.training import prefer, sft
from kexpert_trainer.training.adapter_run import BEST, LAST, STATE
from kexpert_trainer.training.sft_config import SftConfig, SftLimits

_STEPS = 10


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """The settings of a whole pipeline. ``sft`` and ``prefer`` give all but base, corpus and adapter."""

    tree: Path
    base: str  # a preset, or a Hugging Face folder
    out: Path
    name: str
    sft: SftConfig
    prefer: prefer.PreferConfig | None = None  # None: no preference training
    commits: int = 20_000
    kinds: tuple[str, ...] = ("Q8_0",)
    evaluation_functions: int = 200
    jobs: int = 2


def make_expert(config: ExpertConfig, limits: SftLimits) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run each step, or what is missing of it, and yield its name and result. Raises UserError, OSError."""
    require_tree(config.tree)
    out, steps = config.out, Steps(config.out / "steps", _STEPS)
    folder, dataset = CorpusFolder(out / "corpus"), out / "dataset"
    base = out / "base" if config.base in PRESETS else Path(config.base)

    def prepare() -> dict[str, Any]:
        if config.base in PRESETS:
            with progress("base, MB", 0) as advance:
                prepare_base(PRESETS[config.base], base, on_bytes=_counting(advance))
        elif not (base / "config.json").is_file():
            raise UserError(f"{config.base}: no preset ({', '.join(PRESETS)}) and no Hugging Face folder")
        return {"base": str(base), "licence": licence_of(base)}

    def mine() -> dict[str, Any]:
        return {key: mine_tree(config.tree, folder, config.jobs, config.commits)[key] for key in ("rows", "sha256")}

    def curated() -> dict[str, Any]:
        return {**curate(folder, config.jobs).as_json(), "sha256": digest(folder.curated)}

    def falsified() -> dict[str, Any]:
        report = falsify(folder, config.tree, config.jobs)
        if report.refused:
            raise UserError(f"too few rows pass {', '.join(report.refused)}; all of them are in {folder.failing}")
        return report.as_json()

    def published() -> dict[str, Any]:
        made = publish(folder, dataset)
        files = {name: digest(dataset / name) for name in (sft.TRAIN, sft.HELD_OUT, prefer.NEGATIVES)}
        return {"rows": made.rows, "negatives": made.negatives, "sha256": files}

    yield "base", steps.run("base", {"base": config.base}, prepare)
    # Mining looks whether the tree is still the same, so it is asked each time.
    mined = mine()
    yield "mine", steps.run("mine", {"sha256": mined["sha256"]}, lambda: mined)
    yield "curate", steps.run("curate", {}, curated)
    yield "falsify", steps.run("falsify", {}, falsified)
    data = steps.run("publish", {}, published)
    yield "publish", data

    settings = replace(config.sft, base=str(base), corpus=str(dataset))
    tuned = steps.run("sft", asdict(settings), lambda: _sft(settings, out / "sft", limits, data["sha256"]))
    yield "sft", tuned
    adapter = out / "sft" / BEST
    if config.prefer is None:
        yield "prefer", steps.run("prefer", {}, lambda: {"skipped": "not asked for"})
    else:
        wishes = replace(config.prefer, base=str(base), corpus=str(dataset), adapter=str(adapter))
        yield "prefer", steps.run("prefer", asdict(wishes), lambda: _prefer(wishes, out / "prefer", limits))
        adapter = out / "prefer" / BEST
    merged = out / "merged"
    yield "merge", steps.run("merge", {}, lambda: merge(base, adapter, merged, threads=limits.threads).as_dict())
    measured = steps.run(
        "evaluate", {"functions": config.evaluation_functions},
        lambda: measure(
            test_rows(folder, config.evaluation_functions), base, adapter, out / "answers.jsonl", limits.threads
        ),
    )
    yield "evaluate", measured
    exported = {"kinds": config.kinds, "name": config.name}
    yield "export", steps.run("export", exported, lambda: _export(config, base, adapter, tuned, measured, data, limits))


def _sft(config: SftConfig, folder: Path, limits: SftLimits, corpus: dict[str, str]) -> dict[str, Any]:
    """Fine-tune until the run has its tokens. Raises UserError if ``--minutes`` or ``--steps`` stopped it before."""
    note = folder / "corpus.json"
    if (folder / LAST).exists() and (not note.is_file() or json.loads(note.read_text()) != corpus):
        raise UserError(f"{folder}: was trained on other rows; move it away to train anew")
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(corpus))
    return _finished("sft", sft.run(config, folder, limits), folder, config)


def _prefer(config: prefer.PreferConfig, folder: Path, limits: SftLimits) -> dict[str, Any]:
    return _finished("prefer", prefer.run(config, folder, limits), folder, config)


def _finished(name: str, figures: dict[str, float], folder: Path, config: SftConfig) -> dict[str, Any]:
    progress_ = json.loads((folder / LAST / STATE).read_text())["progress"]
    is_tired = config.patience and progress_["worse"] >= config.patience
    if progress_["tokens"] < config.tokens and not is_tired:
        raise UserError(
            f"{name} stopped after {progress_['tokens']:,} of {config.tokens:,} tokens; the same command continues it"
        )
    best = json.loads((folder / BEST / STATE).read_text())
    minutes, adapter = round(progress_["seconds"] / 60, 1), digest(folder / BEST / ADAPTER_WEIGHTS)
    return {
        "last": figures, "best": best["losses"], "tokens": progress_["tokens"], "minutes": minutes, "adapter": adapter,
    }  # fmt: skip


def _export(
    config: ExpertConfig, base: Path, adapter: Path, tuned: dict[str, Any], measured: dict[str, Any],
    data: dict[str, Any], limits: SftLimits,
) -> dict[str, Any]:  # fmt: skip
    tree = name_of(config.tree)
    provenance = f"A LoRA of {config.base}, trained on {tree} for {tuned['tokens']:,} tokens by kexpert-train expert."
    figures = {"held_out_nats_per_token": tuned["best"]["held_out"], "training_minutes": tuned["minutes"], **measured}
    rows = {split: sum(by_task.values()) for split, by_task in data["rows"].items()}
    origin = Origin(config.name, provenance, licence_of(base), {"tree": tree, "rows": rows}, figures)
    settings = ChatExport(config.kinds, threads=limits.threads)
    manifest = export_chat(ChatSource(base, adapter), config.out / "model", origin, settings)
    return {"model": str(config.out / "model"), "base": manifest.base, "adapter": manifest.adapter}


def _counting(advance: Advance) -> Callable[[str, int, int], None]:
    """Show bytes as megabytes."""
    done_before = 0

    def on_bytes(title: str, done: int, total: int) -> None:
        nonlocal done_before
        advance(done // 10**6 - done_before, title, total // 10**6)
        done_before = done // 10**6

    return on_bytes
