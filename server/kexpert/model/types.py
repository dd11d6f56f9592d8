"""What the settings ask for and which engine was chosen, as the engines see it. Imports no engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kexpert.prompt.manifest import Ability, Manifest

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
    installed: str = ""  # path of the model that ``kexpert models use`` chose; used where ``path`` names none


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The settings that name a chat model. The defaults mean the installed model that is in use."""

    path: str = ""  # as in ModelSettings
    url: str = ""
    name: str = ""  # the model to ask the server at ``url`` for
    key_env: str = "KEXPERT_CHAT_KEY"  # the environment variable with that server's key
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
    ability: Ability = "complete"

    @property
    def adapter(self) -> Path | None:
        """The LoRA adapter that the manifest names."""
        if self.path is None or self.manifest is None or not self.manifest.adapter:
            return None
        return self.path.parent / self.manifest.adapter

    @property
    def model_name(self) -> str:
        """A name for people: the manifest's, else that of the file; "" without a file."""
        if self.manifest:
            return self.manifest.name
        return self.path.stem if self.path else ""

    @property
    def adapter_name(self) -> str:
        """A name of the adapter for people; "" for none."""
        return Path(self.manifest.adapter).stem if self.manifest else ""
