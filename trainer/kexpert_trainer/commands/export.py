"""``kexpert-train export``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert_trainer.errors import UserError

if TYPE_CHECKING:
    from kexpert.prompt.manifest import Manifest

HELP = "write a model as GGUF with model.json and a model card: a checkpoint, or a chat model with or without a LoRA"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--provenance", required=True, help="one sentence: what trained it, and for how long")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="JSON object of measurements")
    parser.add_argument("--kinds", nargs="+", default=["Q8_0"], metavar="KIND", help="first is served (default: Q8_0)")
    fills = parser.add_argument_group("a checkpoint of pretrain")
    fills.add_argument("--checkpoint", type=Path, metavar="DIR", help="…/last of a run")
    fills.add_argument("--corpus", type=Path, metavar="DIR", help="what it was trained on")
    chat = parser.add_argument_group("a chat model, which must answer as it does in torch")
    chat.add_argument("--base", type=Path, metavar="DIR", help="Hugging Face folder: base, or model of merge")
    chat.add_argument("--adapter", type=Path, metavar="DIR", help="export a LoRA beside its base: …/best of a run")
    chat.add_argument("--base-gguf", type=Path, metavar="FILE", help="serve this GGUF of the base (default: written)")
    chat.add_argument("--lora-kind", choices=("F32", "F16", "Q8_0"), default="F16", help="default: F16")
    chat.add_argument("--licence", default="", help="of the model (default: that of the base, where it is known)")
    chat.add_argument("--data", type=Path, metavar="FILE", help="JSON object: dataset.json of kexpert-train publish")
    chat.add_argument("--context", type=int, default=2048, help="num_ctx in the Modelfile (default: 2048)")
    chat.add_argument("--threads", type=int, default=0, help="of the CPU (default: the libraries' choice)")


def run(args: argparse.Namespace) -> None:
    from kexpert_trainer.release.export import export, origin_of, read_figures

    figures = read_figures(args.figures) if args.figures else {}
    if args.base is not None and args.checkpoint is None:
        manifest = _export_chat(args, figures)
    elif args.checkpoint is None or args.corpus is None or args.base is not None:
        raise UserError("give --checkpoint and --corpus of a pre-trained model, or --base of a chat model")
    else:
        origin = origin_of(args.checkpoint, args.corpus, args.name, args.provenance, figures)
        manifest = export(args.checkpoint, args.out, origin, args.kinds)
    print(json.dumps({"base": manifest.base, "sha256": manifest.base_sha256}))


def _export_chat(args: argparse.Namespace, figures: dict[str, Any]) -> Manifest:
    from kexpert_trainer.release.chat_export import ChatExport, ChatSource, export_chat, licence_of
    from kexpert_trainer.release.export import Origin, read_figures

    data = read_figures(args.data) if args.data else {}
    licence = args.licence or licence_of(args.base)
    origin = Origin(args.name, args.provenance, licence, data, figures)
    source = ChatSource(args.base, args.adapter, args.base_gguf)
    return export_chat(source, args.out, origin, ChatExport(args.kinds, args.lora_kind, args.context, args.threads))
