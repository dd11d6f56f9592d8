"""What the settings ask for and which engine was chosen, as the engines see it. Imports no engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kexpert.prompt.manifest import Manifest

EngineKind = Literal["none", "llama", "torch", "remote"]
Api = Literal["auto", "infill", "completions"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The settings that name a model. The defaults mean the bundled model on the best device of this machine."""

    path: str = ""  # a GGUF, a model.json, or a folder with either or with a Hugging Face model
    url: str = ""
    name: str = ""  # the model to ask the server at ``url`` for
    api: Api = "auto"
    threads: int = 0
    context: int = 0  # tokens; 0 for the engine's default
    device: Literal["auto", "cpu"] = "auto"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine to run, the files it loads, and the reason in one line."""

    kind: EngineKind
    reason: str
    path: Path | None = None  # a GGUF, or a folder with a Hugging Face model
    manifest: Manifest | None = None
    on_gpu: bool = False

    @property
    def adapter(self) -> Path | None:
        """The LoRA adapter that the manifest names."""
        if self.path is None or self.manifest is None or not self.manifest.adapter:
            return None
        return self.path.parent / self.manifest.adapter
