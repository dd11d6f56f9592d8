"""The report of ``evaluate documentation`` as Markdown tables and as a plot."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

_COLUMNS = (
    ("chrf", "chrF", 1), ("chrf_corpus", "chrF (corpus)", 1), ("bleu4", "BLEU-4", 1), ("rouge_l", "ROUGE-L", 1),
    ("invented", "invents names", 3), ("rank_first", "first of 100", 2), ("shown", "shown", 2),
    ("shown_chrf", "chrF of shown", 1), ("shown_invented", "shown invents", 3),
)  # fmt: skip
_KERNEL_DOC_COLUMNS = (
    ("complete", "all parameters", 2), ("added", "adds names", 2), ("return_right", "Return right", 2),
    ("chrf", "chrF", 1),
)  # fmt: skip


def tables(report: dict[str, Any]) -> str:
    """All tables, each under a line that says what it is about."""
    parts = []
    for name, section in report["sets"].items():
        title = f"One-line summaries: {section['functions']} functions, {name}; {section['pool']:,} comments to copy"
        parts.append(f"{title}\n\n{_table(section['writers'], _COLUMNS)}")
        lines = [
            f"- {pair}: {each['mean']:+.1f} chrF ({each['low']:+.1f} to {each['high']:+.1f}, p {each['p']:.3f})"
            for pair, each in section["differences"].items()
        ]
        parts.append("\n".join(lines))
    for name, writers in report["kernel_doc"].items():
        count = next(iter(writers.values()))["functions"]
        parts.append(f"Kernel-doc: {count} functions, {name}\n\n{_table(writers, _KERNEL_DOC_COLUMNS)}")
    return "\n\n".join(part for part in parts if part)


def _table(writers: dict[str, dict[str, float]], columns: tuple[tuple[str, str, int], ...]) -> str:
    used = [column for column in columns if any(column[0] in metrics for metrics in writers.values())]
    lines = ["| | " + " | ".join(title for _, title, _ in used) + " |", "|---|" + "---:|" * len(used)]
    for name, metrics in writers.items():
        cells = [_cell(metrics.get(key, math.nan), digits) for key, _, digits in used]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def plot(report: dict[str, Any], path: Path) -> None:
    """Bars of chrF by writer, a panel for each set, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    sets = report["sets"]
    figure, panels = pyplot.subplots(1, len(sets), figsize=(6 * len(sets), 4), squeeze=False)
    for panel, (name, section) in zip(panels[0], sets.items(), strict=True):
        writers = list(section["writers"])[::-1]
        values = [section["writers"][writer]["chrf"] for writer in writers]
        colours = ["tab:blue" if "adapter" in writer or writer == "gate" else "tab:gray" for writer in writers]
        bars = panel.barh(writers, values, color=colours)
        panel.bar_label(bars, fmt="%.1f", padding=2)
        panel.set(title=f"{section['functions']} functions, {name}", xlabel="chrF (mean over functions)")
        panel.set_xlim(0, max([*values, 1]) * 1.15)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
