"""``kexpert web``: the HTTP API and the page as a command."""

from __future__ import annotations

import argparse
import ipaddress
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kexpert.http.app import Agents

_EXTRA = "pip install 'kexpert[web]'"


def add_arguments(commands: argparse._SubParsersAction[Any], agents: Agents, worker_target: str) -> None:
    """``agents``: what answers AI agents. ``worker_target``: as ``server.serve`` takes it."""
    what = "serve a tree over HTTP: a page for browsers and an API"
    command = commands.add_parser("web", help=what, description=f"{what[:1].upper()}{what[1:]}. Read-only.")
    command.add_argument("--tree", metavar="DIR", type=Path, help="the kernel tree (default: around this folder)")
    listen = "where to listen (HOST: 127.0.0.1); an address that other machines reach needs --tokens"
    command.add_argument("--listen", metavar="[HOST:]PORT", type=address, default=("127.0.0.1", 7410), help=listen)
    tokens = "a file with NAME TOKEN lines that only you may read; each request needs one of the tokens"
    command.add_argument("--tokens", metavar="FILE", type=Path, help=tokens)
    names = "answer requests for this host name too; may be given several times"
    command.add_argument("--host-name", metavar="NAME", action="append", default=[], help=names)
    command.add_argument("--workers", metavar="N", type=_workers, default=1, help="processes that answer")
    rate = "requests a second of one client and process in the long run; 0 for no limit"
    command.add_argument("--rate", metavar="N", type=_rate, default=50.0, help=rate)
    read_only = "answer from the index that another process writes, write nothing"
    command.add_argument("--read-only", action="store_true", help=read_only)
    command.add_argument("--no-model", action="store_true", help="leave the chat model out")
    command.add_argument("--certificate", metavar="PEM", default="", help="serve HTTPS with this certificate")
    command.add_argument("--key", metavar="PEM", default="", help="the certificate's private key")
    command.set_defaults(run=lambda args: run(args, agents, worker_target))


def run(args: argparse.Namespace, agents: Agents, worker_target: str) -> int:
    from kexpert.workspace.find_tree import NotFound, find_tree

    try:
        import markdown_it  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        return _complain(f"web needs {error.name}: {_EXTRA}")
    from kexpert.http.access import TokenFileError, Tokens
    from kexpert.http.options import LOOPBACK_NAMES, WebOptions
    from kexpert.http.server import serve

    host, port = args.listen
    try:
        tree = find_tree(args.tree)
        if args.tokens is not None:
            Tokens.read(args.tokens)  # to complain before a worker does
        elif not is_loopback(host):
            return _complain(f"{host} can be reached from other machines: --tokens FILE says who may ask")
        options = WebOptions(
            tree=str(tree),
            host_names=(*LOOPBACK_NAMES, *_own_names(host), *args.host_name),
            token_file=str(args.tokens.absolute()) if args.tokens else "",
            rate=args.rate,
            read_only=args.read_only,
            use_model=not args.no_model,
        )
        return serve(options, host, port, args.workers, args.certificate, args.key, agents, worker_target)
    except (NotFound, TokenFileError) as problem:
        return _complain(str(problem))
    except OSError as error:
        return _complain(f"{host}:{port}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 0


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal()) or len(port) > 5 or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT such as 127.0.0.1:7410")
    return host.strip("[]") or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_names(host: str) -> tuple[str, ...]:
    """The names under which a listening address is reached; this machine's own for one that stands for all."""
    if host in ("0.0.0.0", "::"):
        return (socket.gethostname(), socket.getfqdn())
    return (host,)


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:4]) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes from 1 to 64")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of requests a second")
    return rate


def _complain(message: str) -> int:
    print("kexpert:", message, file=sys.stderr)
    return 1
