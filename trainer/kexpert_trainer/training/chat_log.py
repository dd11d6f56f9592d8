"""The log of a fine-tuning run: lines on standard output and in ``log.jsonl``, curves for TensorBoard.

Nothing is sent anywhere unless a project of Weights & Biases is named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kexpert_trainer.errors import UserError


class ChatLog:
    """``described``: the first line. ``wandb``: a project, "" for none. Raises UserError if wandb is not installed."""

    def __init__(self, folder: Path, described: Mapping[str, Any], wandb: str = "") -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._run: Any = _wandb_run(wandb, folder, described) if wandb else None
        self._file = (folder / "log.jsonl").open("a")
        self._board: Any = SummaryWriter(str(folder / "tensorboard"))
        self._line(described)

    def write(self, entry: Mapping[str, float]) -> None:
        """``entry`` names its step."""
        self._line(entry)
        values = {name: value for name, value in entry.items() if name != "step"}
        for name, value in values.items():
            self._board.add_scalar(name, value, entry["step"])
        if self._run is not None:
            self._run.log(values, step=int(entry["step"]))

    def close(self) -> None:
        self._file.close()
        self._board.close()
        if self._run is not None:
            self._run.finish()

    def _line(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry)
        print(line, flush=True)
        self._file.write(line + "\n")
        self._file.flush()


def _wandb_run(project: str, folder: Path, described: Mapping[str, Any]) -> Any:
    try:
        import wandb
    except ImportError:
        raise UserError("--wandb needs wandb, which is not installed: pip install wandb") from None
    return wandb.init(project=project, dir=str(folder), config=dict(described), resume="allow")
