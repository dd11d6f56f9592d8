"""Compares settings of fine-tuning on small equal budgets: the command ``kexpert-train ablate``.

    OUT/NAME/          a run of sft; result.json when it is done
    OUT/ablation.json, ablation.md, ablation.png
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kexpert_trainer.progress import progress
from kexpert_trainer.training.adapter_run import BEST, STATE
from kexpert_trainer.training.sft import run
from kexpert_trainer.training.sft_config import SftConfig, SftLimits

RANKS = (4, 8, 16, 32)
RATES = (0.5, 2.0)  # of the learning rate given
_MLP = ("gate_proj", "up_proj", "down_proj")
#: A full fine-tuning takes a rate of an adapter's by this factor.
_FULL_RATE = 0.1
_RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one setting."""

    name: str
    held_out_loss: float  # nats a token of the answers, mean of the tasks
    trained_parameters: int
    megabytes: float  # of what is stored
    minutes: float


def variants(config: SftConfig) -> Iterator[tuple[str, SftConfig]]:
    """Yield (name, settings): ranks, learning rates, adapters on the MLP alone, all weights.

    Alpha follows the rank, so that the scale of an adapter stays the same.
    """
    scale = config.lora.alpha / config.lora.r
    for rank in RANKS:
        yield f"r{rank}", replace(config, lora=replace(config.lora, r=rank, alpha=round(scale * rank)))
    for factor in RATES:
        rate = config.learning_rate * factor
        yield f"rate-{rate:g}", replace(config, learning_rate=rate)
    yield "mlp", replace(config, lora=replace(config.lora, targets=_MLP))
    yield "full", replace(config, method="full", learning_rate=config.learning_rate * _FULL_RATE)


def ablate(
    config: SftConfig, folder: Path, limits: SftLimits, names: Sequence[str] = (),
    train: Callable[[SftConfig, Path, SftLimits], object] = run,
) -> list[Trial]:  # fmt: skip
    """Run every variant, or those of ``names``, that has no result yet; write table and plot. Raises UserError."""
    chosen = [(name, each) for name, each in variants(config) if not names or name in names]
    trials: list[Trial] = []
    folder.mkdir(parents=True, exist_ok=True)
    with progress("settings", len(chosen)) as advance:
        for name, each in chosen:
            result = folder / name / _RESULT
            if not result.is_file():
                train(each, folder / name, limits)
                result.write_text(json.dumps(asdict(_trial(name, folder / name)), indent=2) + "\n")
            trials.append(Trial(**json.loads(result.read_text())))
            advance(message=name)
    (folder / "ablation.json").write_text(json.dumps([asdict(trial) for trial in trials], indent=2) + "\n")
    (folder / "ablation.md").write_text(table(trials) + "\n")
    plot(trials, folder / "ablation.png")
    return trials


def table(trials: Sequence[Trial]) -> str:
    """The results in Markdown, best first."""
    lines = ["| setting | held-out loss | trained parameters | MB | minutes |", "|---|---|---|---|---|"]
    lines += [
        f"| {t.name} | {t.held_out_loss:.4f} | {t.trained_parameters:,} | {t.megabytes:.1f} | {t.minutes:.1f} |"
        for t in sorted(trials, key=lambda trial: trial.held_out_loss)
    ]
    return "\n".join(lines)


def plot(trials: Sequence[Trial], path: Path) -> None:
    """Loss over stored size; the area of a point grows with the time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    longest = max(trial.minutes for trial in trials) or 1.0
    sizes = [30 + 300 * trial.minutes / longest for trial in trials]
    axes.scatter([t.megabytes for t in trials], [t.held_out_loss for t in trials], s=sizes, alpha=0.6)
    for trial in trials:
        axes.annotate(trial.name, (trial.megabytes, trial.held_out_loss), textcoords="offset points", xytext=(6, 6))
    axes.set(xscale="log", xlabel="stored, MB", ylabel="held-out loss, nats a token", title="Area: minutes of training")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _trial(name: str, folder: Path) -> Trial:
    best = json.loads((folder / BEST / STATE).read_text())
    last = json.loads((folder / "last" / STATE).read_text())
    first = json.loads((folder / "log.jsonl").read_text().split("\n", 1)[0])
    stored = sum(
        file.stat().st_size for file in (folder / BEST).glob("*.safetensors") if not file.name.startswith("masters")
    )
    return Trial(
        name, best["losses"]["held_out"], first["trainable"], round(stored / 1e6, 2),
        round(last["progress"]["seconds"] / 60, 2),
    )  # fmt: skip
