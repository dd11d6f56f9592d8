"""The language server: a session, wired to a client.

``serve`` is the way in. What changes the session is here, in short handlers; what answers questions
is in ``handlers``.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kexpert.lsp.handshake import Client, await_initialize, dig
from kexpert.lsp.transport import Writer

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.lsp.handlers import Handler
    from kexpert.workspace.checkpatch import Checkpatch
    from kexpert.workspace.documents import Index

_WATCHED = "**/{*.c,*.h,*.S,Kconfig*,Kbuild*,Makefile*,MAINTAINERS,.config}"
#: More warnings about options than this at a time go to the log only.
_SHOWN_WARNINGS = 5
#: Seconds that a thread may keep the interpreter while another waits: a keystroke must not wait
#: behind a search over the tree.
_SWITCH_INTERVAL = 0.001


def serve(tcp: tuple[str, int] | None = None, *, allow_remote: bool = False) -> int:
    """Serve one client, over stdin and stdout or over the first connection to ``tcp``, until it
    leaves; the process's exit code."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        if tcp is None:
            return _serve_stdio()
        return _serve_tcp(*tcp, allow_remote)
    except KeyboardInterrupt:
        return 130


def _serve_stdio() -> int:
    # Whatever else writes to stdout, a library or a child, must not end up between two messages.
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        return converse(sys.stdin.buffer, out)


def _serve_tcp(host: str, port: int, allow_remote: bool) -> int:
    if not allow_remote and not _is_loopback(host):
        print(
            f"kexpert: {host} can be reached from other machines, and the server gives every file it can read to who"
            " connects: use 127.0.0.1, or allow it expressly",
            file=sys.stderr,
        )
        return 2
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
            print(f"kexpert: listening on {host}:{server.getsockname()[1]}", file=sys.stderr, flush=True)
            connection, _ = server.accept()
    except (OSError, OverflowError) as problem:
        print(f"kexpert: cannot listen on {host}:{port}: {problem}", file=sys.stderr)
        return 1
    with connection, connection.makefile("rb") as reader, connection.makefile("wb") as out:
        return converse(reader, out)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def converse(reader: BinaryIO, out: BinaryIO) -> int:
    """Speak with one client from ``initialize`` to ``exit``; the exit code."""
    writer = Writer(out)
    client = await_initialize(reader, writer)
    if client is None:
        return 1
    gc.disable()  # only while loading: the collector would look through 900 classes again and again
    server = Server(client, writer)
    gc.freeze()
    gc.set_threshold(20_000)  # an answer may be 200,000 tuples, and no garbage among them
    gc.enable()
    return server.run(reader)


class Server:
    """One client's session, and the handlers that change it."""

    def __init__(self, client: Client, writer: Writer) -> None:
        import logging

        from pygls.lsp.server import LanguageServer

        from kexpert.lsp.client_log import ProgressBar, Reporter
        from kexpert.lsp.dispatcher import Protocol
        from kexpert.workspace.documents import Session
        from kexpert.workspace.inline_session import Inline
        from kexpert.workspace.settings import Options

        logging.getLogger("pygls").setLevel(logging.CRITICAL)  # it logs every cancelled request as a failure
        self.client = client
        # pygls' server object keeps the registry and the types; its loops and its workspace are not used.
        pygls_server = LanguageServer("kexpert", "", protocol_cls=Protocol)
        protocol = pygls_server.protocol
        assert isinstance(protocol, Protocol)
        self.protocol = protocol
        protocol.connect(writer)
        self.reporter = Reporter(protocol)
        self.progress = ProgressBar(protocol, self._cancel_indexing)
        self.session = Session(client.encoding, Options())
        self.checkpatch: Checkpatch | None = None
        self.inline = Inline(self.reporter, lambda: protocol.jobs)
        self._client_settings: Any = None  # what workspace/configuration said last
        self._register()

    def run(self, reader: BinaryIO) -> int:
        self._configure()
        for folder in self._folders():
            if self._adopt_tree(folder):
                break
        try:
            return self.protocol.serve(reader)
        finally:
            self.inline.close()
            self.session.end()

    def _register(self) -> None:
        from lsprotocol import types

        from kexpert.lsp.handlers import HANDLERS

        short = {
            types.INITIALIZED: self.initialized,
            types.SHUTDOWN: lambda params: self.protocol.shut_down(),
            types.EXIT: lambda params: self.protocol.finish(),
            types.SET_TRACE: lambda params: None,
            types.TEXT_DOCUMENT_DID_OPEN: self.did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self.did_change,
            types.TEXT_DOCUMENT_DID_SAVE: self.did_save,
            types.TEXT_DOCUMENT_DID_CLOSE: self.did_close,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self.did_change_configuration,
            types.WORKSPACE_DID_CHANGE_WATCHED_FILES: self.did_change_watched_files,
            types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: self.did_change_workspace_folders,
            types.WINDOW_WORK_DONE_PROGRESS_CANCEL: lambda params: self.progress.cancelled(params.token),
        }
        for method, handler in short.items():
            self.protocol.register(method, handler)
        for method, answer in HANDLERS.items():
            self.protocol.register(method, self._long(method, answer))

    def _long(self, method: str, handler: Handler) -> Any:
        """A question's handler: the snapshot is taken when the request comes, the rest runs in its lane."""
        from pygls.exceptions import JsonRpcException

        from kexpert.lsp.dispatcher import Lane, LongHandler

        def begin(params: Any) -> Any:
            request = self._request(params)
            is_old = self.inline.arrived() if handler.lane is Lane.MODEL else lambda: False

            def work(cancelled: Any) -> Any:
                try:
                    return handler.answer(request(lambda: cancelled() or is_old()))
                except JsonRpcException:
                    raise
                except Exception as problem:
                    self.reporter.failure(method, problem)
                    return handler.fallback(params)

            return work

        return LongHandler(handler.lane, begin)

    def _request(self, params: Any) -> Any:
        """The session as it is now, as a ``Request`` that lacks its cancel flag."""
        from kexpert.lsp.handlers import Request

        snapshot, checkpatch, inline = self.session.snapshot(), self.checkpatch, self.inline
        return lambda cancelled: Request(params, snapshot, self.client, cancelled, checkpatch, inline, self.reporter)

    # The tree and the settings

    def _folders(self) -> list[str]:
        """Where the client works, as paths."""
        from kexpert.workspace.documents import file_path

        params = self.client.params
        folders = params.get("workspaceFolders")
        uris = [dig(folder, "uri") for folder in folders] if isinstance(folders, list) else []
        paths = [file_path(uri) for uri in (*uris, params.get("rootUri")) if isinstance(uri, str)]
        if isinstance(root_path := params.get("rootPath"), str):
            paths.append(root_path)
        return [path for path in paths if path]

    def _adopt_tree(self, path: str) -> bool:
        """Take the kernel tree around ``path``, if there is one, as the session's."""
        from kexpert.background.tree import find_root

        root = find_root(Path(path))
        if root is None:
            return False
        self.session.root = root
        self._configure()
        self._start_index(root)
        return True

    def _start_index(self, root: Path) -> None:
        try:
            self.session.adopt(root, self._make_index)
        except Exception as problem:
            self.session.index = None
            self.reporter.failure("index", problem)
            self.reporter.show_once("error", f"{root} cannot be indexed: {problem}; only open files are known")

    def _make_index(self, root: Path) -> Index:
        from kexpert.workspace.tree_index import SearchSettings, TreeIndex

        options = self.session.options
        tree_index: Index = TreeIndex(
            root,
            jobs=options.index_jobs or None,
            watch=options.index_watch,
            exclude=options.index_exclude,
            search=SearchSettings(options.vectors_enabled, options.vectors_url, options.vectors_embedder),
            on_progress=self._on_progress,
            on_message=lambda text: self.reporter.show_once("info", text),
        )
        return tree_index

    def _on_progress(self, progress: Progress) -> None:
        if self.client.can("window", "workDoneProgress") is True:
            self.progress.update(progress)

    def _cancel_indexing(self) -> None:
        if self.session.index:
            self.session.index.cancel()

    def _configure(self) -> None:
        """Read all settings again and let them take effect."""
        from kexpert.workspace.checkpatch import Checkpatch
        from kexpert.workspace.settings import client_layer, file_layers, resolve

        before, root = self.session.options, self.session.root
        layers, warnings = file_layers(root)
        for origin, value in (
            ("initializationOptions", self.client.params.get("initializationOptions")),
            ("workspace/configuration", self._client_settings),
        ):
            more, problems = client_layer(origin, value)
            layers += more
            warnings += problems
        options, problems = resolve(layers)
        self.session.options = options
        self.inline.configure(options)
        self.reporter.level = options.log_level
        for count, warning in enumerate(warnings + problems):
            if count < _SHOWN_WARNINGS:
                self.reporter.show_once("warning", warning)
            else:
                self.reporter.log("warning", warning)
        self.checkpatch = None
        if root and options.diagnostics_checkpatch:
            checkpatch = Checkpatch(root, options.diagnostics_timeout_seconds)
            if missing := checkpatch.missing():
                self.reporter.log("info", f"no diagnostics from checkpatch: {missing}")
            else:
                self.checkpatch = checkpatch
        indexing = (
            "index_jobs", "index_watch", "index_exclude", "vectors_enabled", "vectors_url", "vectors_embedder",
        )  # fmt: skip
        if root and self.session.index and any(getattr(before, o) != getattr(options, o) for o in indexing):
            self.session.end()
            self._start_index(root)

    def _ask_for_settings(self) -> bool:
        from lsprotocol import types

        if self.client.can("workspace", "configuration") is not True:
            return False
        self.protocol.send_request(
            types.WORKSPACE_CONFIGURATION,
            types.ConfigurationParams([types.ConfigurationItem(section="kexpert")]),
            callback=lambda answer: self._settings_arrived(answer[0] if isinstance(answer, list) and answer else None),
        )
        return True

    def _settings_arrived(self, settings: Any) -> None:
        self._client_settings = settings
        self._configure()

    # What the client tells

    def initialized(self, params: Any) -> None:
        from lsprotocol import types

        self._ask_for_settings()
        if self.client.can("workspace", "didChangeWatchedFiles", "dynamicRegistration") is True:
            watchers = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(_WATCHED)])
            registration = types.Registration(
                "kexpert-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, register_options=watchers
            )
            self.protocol.send_request(types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams([registration]))

    def did_open(self, params: Any) -> None:
        from kexpert.lsp.dispatcher import Lane
        from kexpert.lsp.handlers import warm

        document = params.text_document
        path = self.session.open(document.uri, document.text)
        if self.session.root is None and path.startswith("/") and not self._adopt_tree(os.path.dirname(path)):
            self.reporter.show_once(
                "warning",
                f"{os.path.dirname(path)} is in no kernel tree (a folder with Kconfig, Makefile and MAINTAINERS): "
                "only what the open files say is known",
            )
        self._check(document.uri)
        snapshot = self.session.snapshot()
        self.protocol.jobs.start(("warm", path), Lane.BACKGROUND, lambda cancelled: warm(snapshot, path))

    def did_change(self, params: Any) -> None:
        path = self.session.change(params.text_document.uri, params.content_changes)
        for change in params.content_changes:
            if (place := getattr(change, "range", None)) is not None:
                self.inline.edited(path, place.start.line)

    def did_save(self, params: Any) -> None:
        path = self.session.saved(params.text_document.uri)
        if path in ("kexpert.toml", ".kexpert.toml"):
            self._configure()
        self._check(params.text_document.uri)

    def did_close(self, params: Any) -> None:
        from lsprotocol import types

        uri = params.text_document.uri
        path = self.session.close(uri)
        self.protocol.jobs.cancel(("warm", path))
        if self.checkpatch:
            self.checkpatch.forget(path)
        if not self._pulls_diagnostics():
            self.protocol.jobs.cancel(("check", path))
            self.protocol.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, {"uri": uri, "diagnostics": []})

    def did_change_configuration(self, params: Any) -> None:
        if not self._ask_for_settings() and params.settings is not None:
            self._settings_arrived(_plain(params.settings))

    def did_change_watched_files(self, params: Any) -> None:
        from kexpert.workspace.documents import path_of

        root = self.session.root
        self.session.files_changed(path_of(change.uri, root) for change in params.changes)

    def did_change_workspace_folders(self, params: Any) -> None:
        from kexpert.workspace.documents import file_path

        for folder in params.event.added:
            path = file_path(folder.uri)
            if self.session.root is None and path:
                self._adopt_tree(path)

    # Diagnostics for clients that do not ask for them

    def _pulls_diagnostics(self) -> bool:
        return isinstance(self.client.can("textDocument", "diagnostic"), dict)

    def _check(self, uri: str) -> None:
        """Have a saved file checked. A client that asks for diagnostics itself is told to ask again."""
        from lsprotocol import types

        from kexpert.lsp.dispatcher import Lane
        from kexpert.lsp.handlers import checked
        from kexpert.workspace.documents import path_of

        if self.checkpatch is None:
            return
        if self._pulls_diagnostics():
            if self.client.can("workspace", "diagnostics", "refreshSupport") is True:
                self.protocol.send_request(types.WORKSPACE_DIAGNOSTIC_REFRESH)
            return
        path, request = path_of(uri, self.session.root), self._request(None)

        def work(cancelled: Any) -> None:
            try:
                found = checked(request(cancelled), path)
            except Exception as problem:
                self.reporter.failure("checkpatch", problem)
                return
            if found and not cancelled():
                message = {"uri": uri, "diagnostics": found[1]}
                self.protocol.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, message)

        key = ("check", path)
        self.protocol.jobs.cancel(key)
        self.protocol.jobs.start(key, Lane.PROGRAM, work)


def _plain(value: Any) -> Any:
    """JSON as pygls gives it, back as JSON."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
