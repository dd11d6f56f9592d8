"""The commands that make the model: ``model`` does what ``tokenizer``, ``corpus``, ``pretrain`` and ``export`` do one
after the other; ``load`` and ``parts`` carry a corpus to another machine, and weights back."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from kexpert_trainer.models.sizes import SIZES

Commands = Any  # argparse gives the type of add_subparsers no public name


def tokenizer(commands: Commands) -> None:
    command = commands.add_parser("tokenizer", help="train a byte-level BPE on a tree")
    command.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="tokenizer.json to write")
    command.add_argument("--vocabulary", type=int, default=16_384, help="default: 16384")
    command.add_argument("--megabytes", type=float, default=120, help="of text to learn from (default: 120)")
    command.set_defaults(run=_run_tokenizer)


def _run_tokenizer(args: argparse.Namespace) -> int:
    from kexpert_trainer.data import sources
    from kexpert_trainer.data import tokenizer as tokenizers

    texts = sources.sample(args.tree, args.megabytes)
    made = tokenizers.train(texts, args.vocabulary)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(args.out))
    print(json.dumps({"vocabulary": made.get_vocab_size(), "identity": tokenizers.identity(made)}))
    return 0


def corpus(commands: Commands) -> None:
    command = commands.add_parser("corpus", help="a tree as token shards; goes on where it stopped")
    command.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    command.add_argument("--tokenizer", type=Path, required=True, metavar="FILE", help="tokenizer.json")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the corpus")
    command.add_argument("--sequence", type=int, default=2048, help="tokens of the longest document (default: 2048)")
    command.add_argument("--megabytes", type=float, default=0, help="of text at most (default: the whole tree)")
    command.add_argument("--seed", type=int, default=0, help="another one makes other windows and holes (default: 0)")
    command.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    command.set_defaults(run=_run_corpus)


def _run_corpus(args: argparse.Namespace) -> int:
    from kexpert_trainer.data.corpus import Settings, make
    from kexpert_trainer.data.tokenizer import load

    settings = Settings(sequence=args.sequence, megabytes=args.megabytes, seed=args.seed)
    made = make(args.tree, load(args.tokenizer), args.out, settings, args.jobs)
    print(json.dumps({"shards": len(made.shards["train"]), "tokens": made.tokens, "bytes": made.bytes}))
    return 0


def load(commands: Commands) -> None:
    command = commands.add_parser("load", help="as much of a corpus as another machine takes at a time")
    command.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="the whole corpus")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder; a load in it is replaced")
    command.add_argument("--megabytes", type=float, default=50, help="of files (default: 50)")
    command.add_argument("--skip", type=int, default=0, help="training shards that earlier loads held (default: 0)")
    command.set_defaults(run=_run_load)


def _run_load(args: argparse.Namespace) -> int:
    from kexpert_trainer.data.corpus import pack

    made = pack(args.corpus, args.out, int(args.megabytes * 1e6), args.skip)
    print(json.dumps({"shards": len(made.shards["train"]), "tokens": made.tokens}))
    return 0


def pretrain(commands: Commands) -> None:
    command = commands.add_parser("pretrain", help="train a model, or go on training it")
    command.add_argument("--corpus", required=True, metavar="DIR", help="folder of token shards")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of checkpoint and log")
    command.add_argument("--size", choices=sorted(SIZES), default="2m", help="default: 2m")
    command.add_argument("--tokens", type=float, default=10e6, help="of the whole run (default: 10e6)")
    command.add_argument("--batch-rows", type=int, default=16, help="rows of a step on all devices (default: 16)")
    command.add_argument("--micro-rows", type=int, default=16, help="rows at once on one device (default: 16)")
    command.add_argument("--matrix-rate", type=float, default=0.02, help="learning rate of Muon (default: 0.02)")
    command.add_argument("--embedding-rate", type=float, default=3e-3, help="that of AdamW (default: 0.003)")
    command.add_argument("--decay", type=float, default=0.3, help="last part of the tokens (default: 0.3)")
    command.add_argument("--seed", type=int, default=0, help="default: 0")
    command.add_argument("--minutes", type=float, default=float("inf"), help="stop, saved, after so many")
    command.add_argument("--steps", type=int, default=0, help="stop, saved, after so many more (default: no limit)")
    command.add_argument("--threads", type=int, default=0, help="of the CPU (default: torch's choice)")
    attentions = ("masked", "each", "varlen", "triton")
    command.add_argument("--attention", choices=attentions, default="", help="default: by device")
    command.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS", help="default: 100")
    command.add_argument("--evaluation-rows", type=int, default=256, metavar="ROWS", help="default: 256")
    command.set_defaults(run=_run_pretrain)


def _run_pretrain(args: argparse.Namespace) -> int:
    from kexpert_trainer.training.pretrain import Limits, Plan, run

    plan = Plan(
        corpus=args.corpus, size=args.size, tokens=int(args.tokens), batch_rows=args.batch_rows,
        micro_rows=args.micro_rows, matrix_rate=args.matrix_rate, embedding_rate=args.embedding_rate,
        decay=args.decay, seed=args.seed,
    )  # fmt: skip
    limits = Limits(
        minutes=args.minutes, steps=args.steps, threads=args.threads, attention=args.attention,
        evaluate_every=args.evaluate_every, evaluation_rows=args.evaluation_rows,
    )  # fmt: skip
    run(plan, args.out, limits)
    return 0


def export(commands: Commands) -> None:
    command = commands.add_parser("export", help="a checkpoint as GGUF with model.json and a model card")
    command.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="…/last of a run")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model")
    command.add_argument("--name", required=True, help="of the model")
    command.add_argument("--provenance", required=True, help="one sentence: by what it was trained, and for how long")
    command.add_argument("--corpus", type=Path, required=True, metavar="DIR", help="what it was trained on")
    command.add_argument("--figures", type=Path, metavar="FILE", help="JSON object of what was measured")
    command.add_argument("--kinds", nargs="+", default=["Q8_0"], metavar="KIND", help="first is served (default: Q8_0)")
    command.set_defaults(run=_run_export)


def _run_export(args: argparse.Namespace) -> int:
    from kexpert.model.engines.llama_cpp_engine import quantize
    from kexpert_trainer.release.export import export, origin_of

    measured = json.loads(args.figures.read_text()) if args.figures else {}
    origin = origin_of(args.checkpoint, args.corpus, args.name, args.provenance, measured)
    made = export(args.checkpoint, args.out, origin, args.kinds, quantize)
    print(json.dumps({"base": made.base, "sha256": made.base_sha256}))
    return 0


def parts(commands: Commands) -> None:
    command = commands.add_parser("parts", help="a checkpoint's weights as files of a limited size, and back")
    command.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="to read; with --join to make")
    command.add_argument("--parts", type=Path, required=True, metavar="DIR", help="folder of the parts")
    command.add_argument("--megabytes", type=float, default=16, help="of a part at most (default: 16)")
    command.add_argument("--join", action="store_true", help="make the checkpoint of its parts")
    command.set_defaults(run=_run_parts)


def _run_parts(args: argparse.Namespace) -> int:
    from kexpert_trainer.release.checkpoint_parts import join, split

    if args.join:
        join(args.parts, args.checkpoint)
    else:
        print(json.dumps({"parts": split(args.checkpoint, args.parts, int(args.megabytes * 1e6))}))
    return 0


def model(commands: Commands) -> None:
    command = commands.add_parser("model", help="all of it: a tree in, GGUF out; goes on where it stopped")
    command.add_argument("--tree", type=Path, required=True, metavar="DIR", help="kernel tree to learn from")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of all that is made")
    command.add_argument("--size", choices=sorted(SIZES), default="100m", help="default: 100m")
    command.add_argument("--tokens", type=float, default=400e6, help="of the whole run (default: 400e6)")
    command.add_argument("--vocabulary", type=int, default=16_384, help="default: 16384")
    command.add_argument("--sequence", type=int, default=2048, help="tokens of the longest document (default: 2048)")
    command.add_argument("--megabytes", type=float, default=0, help="of text at most (default: the whole tree)")
    command.add_argument("--batch-rows", type=int, default=128, help="rows of a step (default: 128)")
    command.add_argument("--micro-rows", type=int, default=32, help="rows at once on one device (default: 32)")
    command.add_argument("--minutes", type=float, default=float("inf"), help="stop training, saved, after so many")
    command.add_argument("--kinds", nargs="+", default=["Q4_K_M"], metavar="KIND", help="of GGUF (default: Q4_K_M)")
    command.set_defaults(run=_run_model)


def _run_model(args: argparse.Namespace) -> int:
    from kexpert_trainer.cli import arguments
    from kexpert_trainer.data.tree import name_of

    vocabulary, whole, run = (args.out / name for name in ("tokenizer.json", "corpus", "run"))
    name, sequence = f"kexpert-{args.size}", str(args.sequence)
    provenance = f"Pre-trained from nothing on {name_of(args.tree)}."
    steps: list[list[str | Path]] = [
        ["tokenizer", "--tree", args.tree, "--out", vocabulary, "--vocabulary", str(args.vocabulary)],
        ["corpus", "--tree", args.tree, "--tokenizer", vocabulary, "--out", whole, "--sequence", sequence,
         "--megabytes", str(args.megabytes)],
        ["pretrain", "--corpus", whole, "--out", run, "--size", args.size, "--tokens", str(args.tokens),
         "--batch-rows", str(args.batch_rows), "--micro-rows", str(args.micro_rows), "--minutes", str(args.minutes)],
        ["export", "--checkpoint", run / "last", "--corpus", whole, "--out", args.out / "model", "--name", name,
         "--provenance", provenance, "--kinds", *args.kinds],
    ]  # fmt: skip
    for step in steps[vocabulary.exists() :]:
        words = [str(word) for word in step]
        print(shlex.join(("kexpert-train", *words)), file=sys.stderr)
        each = arguments().parse_args(words)
        each.run(each)
    return 0


GROUPS = (model, tokenizer, corpus, load, pretrain, export, parts)
