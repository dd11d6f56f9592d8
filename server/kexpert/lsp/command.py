"""``kexpert serve``: the language server as a command."""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(commands: argparse._SubParsersAction[Any]) -> None:
    command = commands.add_parser("serve", help="speak the Language Server Protocol on stdin and stdout")
    command.add_argument("--tcp", metavar="[HOST:]PORT", type=tcp_address, help="listen there (HOST: 127.0.0.1)")
    remote = "let --tcp listen on an address that other machines reach; who connects can read your files"
    command.add_argument("--allow-remote", action="store_true", help=remote)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from kexpert.lsp.server import serve

    return serve(args.tcp, allow_remote=args.allow_remote)


def tcp_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT such as 127.0.0.1:7400")
    return host.strip("[]") or "127.0.0.1", int(port)
