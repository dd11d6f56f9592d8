"""Choose the engine that runs the model, and open it.

Imports no model library: choosing looks at the disk only.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from kexpert.abilities import Chat, Completer, Refused
from kexpert.model.registry import models_in_use
from kexpert.model.types import ChatSettings, EngineChoice, ModelSettings
from kexpert.prompt.manifest import FILE_NAME, Ability, Manifest, ManifestError, lacks_ability, parse_manifest

#: The model that comes with kexpert.
BUNDLED_MODEL = Path(__file__).resolve().parent.parent / "data" / "model"
#: Holds one entry for each GPU that NVIDIA's driver runs.
_CUDA_DEVICES = Path("/proc/driver/nvidia/gpus")
NO_CHAT_MODEL = "no chat model: kexpert models add smollm2-135m"
_GPU_PACKAGES = ("torch", "transformers", "triton")


def choose_engine(settings: ModelSettings) -> EngineChoice:
    """Choose an engine without loading anything. A model that cannot be used gives kind "none" and the reason."""
    if settings.url:
        return EngineChoice("remote", f"model.url names {settings.url}")
    location, source = BUNDLED_MODEL, "the model that comes with kexpert"
    if settings.path:
        location, source = Path(settings.path).expanduser(), "model.path"
    elif settings.installed:
        location, source = Path(settings.installed), "the installed model"
    try:
        path, manifest = find_model(location)
    except Refused as refusal:
        return EngineChoice("none", str(refusal))
    return _choose_for(path, manifest, source, settings.device, "complete")


def choose_chat_engine(settings: ChatSettings) -> EngineChoice:
    """Choose the engine of a chat model, as ``choose_engine`` does: a server, a file, the installed model in use."""
    if settings.url:
        return EngineChoice("remote", f"chat.url names {settings.url}", ability="chat")
    if settings.path:
        location, source = Path(settings.path).expanduser(), "chat.path"
    else:
        in_use = models_in_use()
        if in_use.chat is None:
            return EngineChoice("none", in_use.problem or NO_CHAT_MODEL, ability="chat")
        location, source = in_use.chat.path, f"the installed model {in_use.chat.name}"
    try:
        path, manifest = find_model(location)
    except Refused as refusal:
        return EngineChoice("none", str(refusal), ability="chat")
    return _choose_for(path, manifest, source, settings.device, "chat")


def _choose_for(path: Path, manifest: Manifest | None, source: str, device: str, ability: Ability) -> EngineChoice:
    if manifest and (reason := lacks_ability(manifest, ability)):
        return EngineChoice("none", reason, path, manifest, ability=ability)
    return replace(_choose_device(path, manifest, source, device), ability=ability)


def _choose_device(path: Path, manifest: Manifest | None, source: str, device: str) -> EngineChoice:
    missing = [name for name in _GPU_PACKAGES if importlib.util.find_spec(name) is None]
    is_folder = path.is_dir()
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
        return EngineChoice("torch", f"{source}: torch on the NVIDIA GPU", path, manifest, on_gpu=True)
    if is_folder and not missing:
        return EngineChoice("torch", f"{source}: a Hugging Face model, torch on the CPU ({no_gpu})", path, manifest)
    if is_folder:
        return EngineChoice("none", f"{path}: a Hugging Face model needs the gpu extra ({', '.join(missing)})", path)
    if importlib.util.find_spec("llama_cpp") is None:
        return EngineChoice("none", "llama-cpp-python is not installed", path, manifest)
    if adapter and not adapter.endswith(".gguf"):
        return EngineChoice("none", f"{adapter}: llama.cpp takes adapters in GGUF only ({no_gpu})", path, manifest)
    return EngineChoice("llama", f"{source}: llama.cpp on the CPU ({no_gpu})", path, manifest)


def has_cuda() -> bool:
    """True if NVIDIA's driver runs a GPU. Asks the driver's files, because importing torch takes seconds."""
    try:
        return any(_CUDA_DEVICES.iterdir())
    except OSError:
        return False


def find_model(location: Path) -> tuple[Path, Manifest | None]:
    """Find the weights at a path, and their manifest if there is one. Raises Refused."""
    if location == BUNDLED_MODEL and not (location / FILE_NAME).is_file():
        raise Refused("no model comes with this kexpert")
    if location.is_dir():
        if (location / FILE_NAME).is_file():
            return _weights_of(location / FILE_NAME)
        if (location / "config.json").is_file():
            return location, None
        weights = sorted(location.glob("*.gguf"))
        if len(weights) == 1:
            return weights[0], None
        raise Refused(f"{location}: holds neither {FILE_NAME} nor a Hugging Face model nor exactly one GGUF")
    if not location.is_file():
        raise Refused(f"{location}: no such file or folder")
    if location.name == FILE_NAME:
        return _weights_of(location)
    sibling = location.parent / FILE_NAME
    if sibling.is_file():
        path, manifest = _weights_of(sibling)
        if path == location:
            return path, manifest
    return location, None


def _weights_of(manifest_file: Path) -> tuple[Path, Manifest]:
    try:
        manifest = parse_manifest(manifest_file.read_bytes())
    except (ManifestError, OSError) as problem:
        raise Refused(f"{manifest_file}: {problem}") from None
    for name in filter(None, (manifest.base, manifest.adapter)):
        if not (manifest_file.parent / name).exists():
            raise Refused(f"{manifest_file}: {name} is not beside it")
    return manifest_file.parent / manifest.base, manifest


def open_engine(choice: EngineChoice, settings: ModelSettings) -> Completer:
    """Make the engine of a choice. It loads its model on the first request. Raises Refused for kind "none"."""
    if choice.kind == "remote":
        from kexpert.model.engines.openai_server import OpenAIServer

        return OpenAIServer(settings.url, settings.name, settings.api, settings.context)
    if choice.kind == "none":
        raise Refused(choice.reason)
    from kexpert.model.engines.worker_process import WorkerProcess

    return WorkerProcess(choice, threads=settings.threads, context=settings.context)


def open_chat(choice: EngineChoice, settings: ChatSettings) -> Chat:
    """Make the engine of a choice. It loads its model on the first request. Raises Refused for kind "none"."""
    if choice.kind == "remote":
        from kexpert.model.engines.chat_server import ChatServer

        return ChatServer(settings.url, settings.name, settings.key_env, settings.context)
    if choice.kind == "none":
        raise Refused(choice.reason)
    from kexpert.model.engines.chat_process import ChatProcess

    return ChatProcess(choice, threads=settings.threads, context=settings.context)
