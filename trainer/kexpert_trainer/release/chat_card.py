"""The model card of a chat model, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kexpert.prompt.manifest import Manifest
from kexpert_trainer.release.export import table


def card(manifest: Manifest, config: Mapping[str, Any], file_sizes: Mapping[str, int]) -> str:
    """Describe a model and its files (name -> bytes). ``config``: the ``config.json`` of the base."""
    files = "\n".join(f"| `{name}` | {size / 1e6:.1f} MB |" for name, size in file_sizes.items())
    tables = {"Trained on": manifest.data, "Measured": manifest.figures}
    described = "\n".join(f"## {title}\n\n{table(values)}\n" for title, values in tables.items() if values)
    tasks = ", ".join(manifest.tasks) or "none in particular"
    prompts = (
        f"version {manifest.chat_prompt_version} (`kexpert/prompt/chat.py`)"
        if manifest.chat_prompt_version
        else "any"
    )
    return f"""# {manifest.name}

A language model that answers about Linux kernel code. {manifest.provenance}

| | |
|---|---|
| base | `{manifest.base}` |
| adapter | {f"`{manifest.adapter}`" if manifest.adapter else "none"} |
| architecture | {config["model_type"]}: {config["num_hidden_layers"]} layers, {config["hidden_size"]} wide |
| context | {manifest.context} tokens |
| tasks | {tasks} |
| prompts | {prompts} |
| licence | {manifest.licence} |

| file | size |
|---|---|
{files}

{described}
kexpert uses it with `chat.path` set to this folder; Ollama with `ollama create {manifest.name} -f Modelfile`.

It words what it is shown, and what it adds may be wrong: check names, locks and return values against the code.
"""
