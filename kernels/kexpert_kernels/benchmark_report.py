"""Summary figures and plots of a benchmark's rows, the plots with published results for comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: TFLOP/s of the causal forward pass at 4,096 and 16,384 tokens on an H100 SXM5: Shah et al., "FlashAttention-3", 2024,
#: figure 5. Device and versions differ from ours, so they only give the order of magnitude.
PUBLISHED = {
    64: {"FlashAttention-2": (284, 299), "Triton": (363, 363), "cuDNN": (363, 388), "FlashAttention-3": (420, 473)},
    128: {"FlashAttention-2": (319, 335), "Triton": (353, 378), "cuDNN": (518, 539), "FlashAttention-3": (579, 616)},
}
PUBLISHED_LENGTHS = (4096, 16384)

OURS = "kexpert_triton"


def summary(rows: list[dict[str, Any]], copy_gbps: float) -> dict[str, float | None]:
    """Compute the summary figures from the rows of a run; ``None`` where the rows are missing."""
    by_shape: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_shape.setdefault((row["pass"], row["what"]), {})[row["implementation"]] = row

    def ratios(kind: str, other: str, *words: str, key: str = "ms") -> list[float]:
        return [
            found[other][key] / found[OURS][key]
            for (what_kind, what), found in by_shape.items()
            if what_kind == kind and {OURS, other} <= set(found) and set(words) <= set(what.split())
            and key in found[OURS] and key in found[other]
        ]  # fmt: skip

    small = ("b2", "h8", "s512", "d64", "causal")
    mine = [row for row in rows if row["implementation"] == OURS]
    long = [
        r["tflops"] for r in mine if r["pass"] == "forward" and r["causal"] and r["d"] == 128 and r["queries"] >= 4096
    ]
    single = [r["gbps"] for r in mine if r["pass"] == "decode" and r["batch"] == 1 and r["keys"] == 16384]
    return {
        "times eager, forward, b2 h8 s512 d64 causal": max(ratios("forward", "eager", *small), default=None),
        "the same without launches": max(ratios("forward", "eager", *small, key="graphed_ms"), default=None),
        "times sdpa flash, forward causal, worst": min(ratios("forward", "sdpa flash", "causal"), default=None),
        "times sdpa flash, backward, worst": min(ratios("backward", "sdpa flash"), default=None),
        "tflops, forward causal d128 from 4k, worst": min(long, default=None),
        "share of copy bandwidth, decode b1 16k, worst": min((g / copy_gbps for g in single), default=None),
        "times sdpa, generated tokens": max(ratios("generate", "sdpa"), default=None),
        "times sdpa, training step": max(ratios("train", "sdpa"), default=None),
    }


def draw(content: dict[str, Any], folder: Path) -> list[Path]:
    """Write a PNG for each of forward pass, backward pass and decoding that has rows; return the paths."""
    import matplotlib

    matplotlib.use("Agg")
    written = []
    for kind, unit, along in (
        ("forward", "tflops", "queries"),
        ("backward", "tflops", "queries"),
        ("decode", "gbps", "keys"),
    ):
        rows = [row for row in content["rows"] if row["pass"] == kind]
        if kind != "decode":  # a line joins shapes with the same number of tokens
            max_tokens = max((row["batch"] * row["queries"] for row in rows), default=0)
            rows = [row for row in rows if row["batch"] * row["queries"] == max_tokens]
        if rows:
            written.append(_figure(content, rows, kind, unit, along, folder / f"{kind}.png"))
    return written


def _figure(content: dict[str, Any], rows: list[dict[str, Any]], kind: str, unit: str, along: str, path: Path) -> Path:
    from matplotlib import pyplot

    panels = sorted({_panel(row) for row in rows})
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.2 * len(panels), 4), squeeze=False, sharey=True)
    for axis, panel in zip(axes[0], panels, strict=True):
        inside = [row for row in rows if _panel(row) == panel]
        for name in dict.fromkeys(row["implementation"] for row in inside):
            points = sorted((row[along], row[unit]) for row in inside if row["implementation"] == name)
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        d, causal, shared = panel
        if kind == "forward" and causal and d in PUBLISHED and content["capability"]:
            for name, values in PUBLISHED[d].items():
                axis.plot(PUBLISHED_LENGTHS, values, "x:", linewidth=0.8, label=f"{name}, published, H100")
        axis.set_xscale("log", base=2)
        axis.set_title(", ".join([f"d {d}", *(["causal"] if causal else []), shared]), fontsize=9)
        axis.set_xlabel(along)
        axis.legend(fontsize=6)
    axes[0][0].set_ylabel({"tflops": "TFLOP/s", "gbps": "GB/s"}[unit])
    figure.suptitle(f"{kind}, {content['dtype']}, {content['device']}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _panel(row: dict[str, Any]) -> tuple[int, bool, str]:
    """Return the key of a row's panel; rows of a panel differ only in length."""
    shared = f"{row['heads'] // row['key_heads']} heads a key"
    return row["d"], row["causal"], shared if row["pass"] != "decode" else f"batch {row['batch']}, {shared}"
