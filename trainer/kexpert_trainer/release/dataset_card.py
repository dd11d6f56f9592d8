"""The card of a published chat corpus, written from the rows and from what the stages recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kexpert.prompt.chat import CHAT_PROMPT_VERSION
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.subsystems import subsystem_of

_MAX_SHOWN = 12
_HEAD = """\
---
license: gpl-2.0
language: en
tags: [code, linux, kernel, c, documentation]
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train.parquet}
  - {split: validation, path: data/validation.parquet}
  - {split: test, path: data/test.parquet}
- config_name: negatives
  data_files:
  - {split: train, path: negatives/train.parquet}
---
"""


def card(
    by_split: Mapping[str, Sequence[Row]], splits: str, mined: Mapping[str, Any], curated: Mapping[str, Any],
    checked: Mapping[str, Any],
) -> str:  # fmt: skip
    """The card as Markdown. The records are those of ``corpus_folder``; ``splits`` is a table."""
    rows = [row for own in by_split.values() for row in own]
    trees = ", ".join(sorted({row.tree for row in rows})) or "no tree"
    head = mined.get("head", "")
    words = sorted(len(row.output.split()) for row in rows) or [0]
    lines = [
        f"# Explanations of Linux kernel code: {trees}", "",
        f"{len(rows):,} questions about kernel code with the answers that its authors wrote, "
        f"prompt version {CHAT_PROMPT_VERSION} of kexpert. Made by `kexpert-train mine`, `curate`, `falsify` and "
        "`publish`; nothing was written by a model.", "",
        "## Rows", "", splits, "",
        "A split holds whole subsystems, with the headers that belong to them. Answers have "
        f"{words[len(words) // 2]} words in the median, {words[len(words) * 95 // 100]} at the 95th percentile.", "",
        "| task | input | answer |", "|---|---|---|",
        "| summary | a function, macro, record or hunk of a change | one line |",
        "| kernel-doc | a function | a text for each parameter, and the return value |",
        "| explanation | a function, or a hunk of a change | two or three sentences |",
        "| answer | a question and numbered sources | a sentence of a source, with its number |", "",
        "## Sources", "",
        *_table("tree", [(trees + (f", commit {head}" if head else ""), len(rows))]), "",
        *_table("licence of the file", Counter(row.licence for row in rows).most_common()), "",
        *_table("subsystem", Counter(subsystem_of(row.path) for row in rows).most_common()), "",
        *_table("kind", Counter(row.kind for row in rows).most_common()), "",
        "Every row has path, lines and licence of what it was made from. The kernel as a whole is under GPL-2.0; "
        "files under a licence that is not compatible with it, or that names none, are left out.", "",
        "## Gates", "",
        f"Of {curated.get('rows', 0):,} mined rows; rows dropped by each gate:", "",
        *_table("gate", [(gate, sum(by.values())) for gate, by in curated.get("dropped", {}).items()]), "",
        f"Documented functions: {curated.get('functions', 0):,}, logic-rich ones (five decisions and more): "
        f"{curated.get('logic_rich', 0):,}. Mean quality: {curated.get('mean_quality', 0):.2f}.", "",
        "## Checks", "",
        "| check | rows it looks at | pass | corruptions noticed |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, outcome in checked.get("checks", {}).items():
        noticed = f"{outcome['noticed']:,} of {outcome['corrupted']:,}" if outcome["corrupted"] else ""
        lines.append(f"| {name} | {outcome['rows']:,} | {outcome['share']:.1%} | {noticed} |")
    lines += [
        "", "Rows that fail a check are not in the data set. Negatives are answers broken on purpose, which exactly "
        "one check of the answer refuses.", "",
        "## Limits", "",
        "Comments are as good as their authors: the checks find contradictions that a program can see, no others. "
        "Most answers are short and in the style of kernel-doc.", "",
    ]  # fmt: skip
    return _HEAD + "\n" + "\n".join(lines)


def _table(title: str, counts: Sequence[tuple[str, int]]) -> list[str]:
    shown, rest = counts[:_MAX_SHOWN], counts[_MAX_SHOWN:]
    lines = [f"| {title} | rows |", "|---|---|", *(f"| {_cell(name)} | {count:,} |" for name, count in shown)]
    if rest:
        lines.append(f"| {len(rest)} others | {sum(count for _, count in rest):,} |")
    return lines


def _cell(text: str) -> str:
    """Text from a tree inside a table."""
    return text.replace("|", "\\|").replace("\n", " ") or "none"
