"""uvicorn with our options: one process, or several that share a listening socket."""

from __future__ import annotations

import resource
import tempfile
from dataclasses import replace

import uvicorn
from uvicorn.supervisors import Multiprocess

from kexpert.http.app import Agents, application
from kexpert.http.connection import BoundedConnection
from kexpert.http.options import WebOptions

#: Connections of one process; more are answered with 503.
_MAX_CONNECTIONS = 5000
_KEEP_ALIVE_SECONDS = 30
_SHUTDOWN_SECONDS = 5
_WANTED_FILES = 16384


def serve(
    options: WebOptions, host: str, port: int, workers: int, certificate: str, key: str, agents: Agents,
    worker_target: str,
) -> int:  # fmt: skip
    """Serve until a signal ends it. ``worker_target``: MODULE:FUNCTION that makes the application in a worker process.

    Raises OSError if the address cannot be used.
    """
    _raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="kexpert-web-") as folder:
        options = replace(options, metrics_folder=folder if workers > 1 else "")
        common = {
            "host": host, "port": port, "loop": "asyncio", "http": BoundedConnection, "ws": "none", "lifespan": "on",
            "log_level": "warning", "access_log": False, "server_header": False, "proxy_headers": False,
            "timeout_keep_alive": _KEEP_ALIVE_SECONDS, "timeout_graceful_shutdown": _SHUTDOWN_SECONDS,
            "limit_concurrency": _MAX_CONNECTIONS, "backlog": 2048, "ssl_certfile": certificate or None,
            "ssl_keyfile": key or None,
        }  # fmt: skip
        if workers == 1:
            config = uvicorn.Config(application(options, agents), **common)  # type: ignore[arg-type]
        else:
            options.to_environment()
            config = uvicorn.Config(worker_target, factory=True, workers=workers, **common)  # type: ignore[arg-type]
        listening = config.bind_socket()
        shown = f"[{host}]" if ":" in host else host
        address = f"{'https' if certificate else 'http'}://{shown}:{listening.getsockname()[1]}/"
        print(f"kexpert: {options.tree} at {address}", flush=True)
        if workers == 1:
            uvicorn.Server(config).run(sockets=[listening])
        else:
            Multiprocess(config, sockets=[listening]).run()
    return 0


def _raise_file_limit() -> None:
    """Each client is a file; the usual limit of 1,024 is not enough for clients that listen."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
