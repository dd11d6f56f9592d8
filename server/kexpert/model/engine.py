"""What a model is to the rest of kexpert, and which one is used.

Nothing here imports a model's library: choosing costs a look at the disk.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kexpert.abilities import Completer, Refused
from kexpert.prompt.manifest import FILE_NAME, Manifest, ManifestError, parse_manifest

#: The model that comes with kexpert.
EMBEDDED = Path(__file__).resolve().parent.parent / "data" / "model"
#: One for each card that NVIDIA's driver runs.
_CUDA_DEVICES = Path("/proc/driver/nvidia/gpus")
_GPU_EXTRA = ("torch", "transformers", "triton")

Kind = Literal["none", "llama", "torch", "remote"]
Api = Literal["auto", "infill", "completions"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings ask for; all defaults: the model that comes with kexpert, on the best that is here."""

    path: str = ""  # a GGUF, a model.json or a folder with either or with a Hugging Face model
    url: str = ""
    name: str = ""  # which model of the server at ``url``
    api: Api = "auto"
    threads: int = 0
    context: int = 0  # tokens; 0 for what the model was trained on
    device: Literal["auto", "cpu"] = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which engine, on what, and why that one."""

    kind: Kind
    why: str
    path: Path | None = None  # a GGUF or a folder of Hugging Face's
    manifest: Manifest | None = None
    on_gpu: bool = False

    @property
    def adapter(self) -> Path | None:
        if self.path is None or self.manifest is None or not self.manifest.adapter:
            return None
        return self.path.parent / self.manifest.adapter


def choose(wanted: Wanted) -> Choice:
    """Decide without loading anything. A model that is named and cannot be used gives "none" with the reason."""
    if wanted.url:
        return Choice("remote", f"model.url names {wanted.url}")
    here = Path(wanted.path).expanduser() if wanted.path else EMBEDDED
    try:
        path, manifest = find_model(here)
    except Refused as reason:
        return Choice("none", str(reason))
    named = "model.path" if wanted.path else "the model that comes with kexpert"
    return _engine_for(path, manifest, named, wanted.device)


def _engine_for(path: Path, manifest: Manifest | None, named: str, device: str) -> Choice:
    missing = [name for name in _GPU_EXTRA if importlib.util.find_spec(name) is None]
    folder = path.is_dir()
    adapter = manifest.adapter if manifest else ""
    if device == "cpu":
        no_gpu = "model.device is cpu"
    elif not has_cuda():
        no_gpu = "no NVIDIA GPU here"
    elif missing:
        no_gpu = f"a GPU is here, but the gpu extra is not installed ({', '.join(missing)})"
    elif adapter.endswith(".gguf"):
        no_gpu = f"the adapter {adapter} is for llama.cpp"
    else:
        return Choice("torch", f"{named}: torch on the NVIDIA GPU", path, manifest, on_gpu=True)
    if folder and not missing:
        return Choice("torch", f"{named}: a Hugging Face model, torch on the CPU ({no_gpu})", path, manifest)
    if folder:
        return Choice("none", f"{path}: a Hugging Face model needs the gpu extra ({', '.join(missing)})", path)
    if importlib.util.find_spec("llama_cpp") is None:
        return Choice("none", "llama-cpp-python is not installed", path, manifest)
    if adapter and not adapter.endswith(".gguf"):
        return Choice("none", f"{adapter}: llama.cpp takes adapters in GGUF only ({no_gpu})", path, manifest)
    return Choice("llama", f"{named}: llama.cpp on the CPU ({no_gpu})", path, manifest)


def has_cuda() -> bool:
    """Whether NVIDIA's driver runs a GPU here (looked up where the driver says so: loading torch takes seconds)."""
    try:
        return any(_CUDA_DEVICES.iterdir())
    except OSError:
        return False


def find_model(here: Path) -> tuple[Path, Manifest | None]:
    """The weights that a path means and their manifest, if there is one. Raises Refused."""
    if here == EMBEDDED and not (here / FILE_NAME).is_file():
        raise Refused("no model comes with this kexpert")
    if here.is_dir():
        if (here / FILE_NAME).is_file():
            return _described(here / FILE_NAME)
        if (here / "config.json").is_file():
            return here, None
        weights = sorted(here.glob("*.gguf"))
        if len(weights) == 1:
            return weights[0], None
        raise Refused(f"{here}: holds neither {FILE_NAME} nor a Hugging Face model nor exactly one GGUF")
    if not here.is_file():
        raise Refused(f"{here}: no such file or folder")
    if here.name == FILE_NAME:
        return _described(here)
    beside = here.parent / FILE_NAME
    if beside.is_file():
        path, manifest = _described(beside)
        if path == here:
            return path, manifest
    return here, None


def _described(file: Path) -> tuple[Path, Manifest]:
    try:
        manifest = parse_manifest(file.read_bytes())
    except (ManifestError, OSError) as problem:
        raise Refused(f"{file}: {problem}") from None
    path = file.parent / manifest.base
    for name in filter(None, (manifest.base, manifest.adapter)):
        if not (file.parent / name).exists():
            raise Refused(f"{file}: {name} is not beside it")
    return path, manifest


def open_engine(choice: Choice, wanted: Wanted) -> Completer:
    """The engine of a choice; it loads its model when first asked. Raises Refused for "none"."""
    if choice.kind == "remote":
        from kexpert.model.engines.openai_server import Remote

        return Remote(wanted.url, wanted.name, wanted.api, wanted.context)
    if choice.kind == "none":
        raise Refused(choice.why)
    from kexpert.model.engines.worker import Worker

    return Worker(choice, threads=wanted.threads, context=wanted.context)
