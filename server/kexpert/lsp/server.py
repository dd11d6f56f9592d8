"""The language server: a workspace, wired to one client.

``serve`` is the way in. Notifications, which change the workspace, are handled here; requests, which ask it
something, in ``lsp.requests``.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kexpert.lsp.handshake import Client, await_initialize, dig
from kexpert.lsp.transport import Writer

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.lsp.dispatcher import Question
    from kexpert.lsp.request import Handler, Request
    from kexpert.lsp.scheduler import Cancelled

_WATCHED = "**/{*.c,*.h,*.S,Kconfig*,Kbuild*,Makefile*,MAINTAINERS,.config}"
#: Seconds that a thread may keep the interpreter while another waits: a keystroke must not wait for a
#: search over the tree.
_SWITCH_INTERVAL_SECONDS = 0.001
#: Key of the one suggestion that is worked out before anybody asks for it.
_ANTICIPATION = ("inline", "anticipation")
_CLIENT_SETTINGS = "workspace/configuration"
#: An update of fewer files changes little of what is drawn.
_MIN_FILES_TO_REDRAW = 20
_REFRESHED = {
    "semanticTokens": "workspace/semanticTokens/refresh",
    "inlayHint": "workspace/inlayHint/refresh",
    "codeLens": "workspace/codeLens/refresh",
}


def serve(tcp: tuple[str, int] | None = None, *, allow_remote: bool = False) -> int:
    """Serve one client, over stdin and stdout or over the first connection to ``tcp``, until it leaves; the
    process's exit code."""
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
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
    """One client's workspace, and the handlers that change it."""

    def __init__(self, client: Client, writer: Writer) -> None:
        from kexpert.lsp.client_log import ClientLog
        from kexpert.lsp.dispatcher import Dispatcher
        from kexpert.lsp.inactive_regions import InactiveRegions
        from kexpert.lsp.scheduler import Scheduler
        from kexpert.lsp.server_status import ServerStatus
        from kexpert.lsp.token_results import TokenResults
        from kexpert.workspace.workspace import Workspace

        self.client = client
        self.scheduler = Scheduler()
        self.dispatcher = Dispatcher(writer, self.scheduler)
        self._status = ServerStatus(client, self.dispatcher)
        show_progress = client.can("window", "workDoneProgress") is True
        self.log = ClientLog(
            self.dispatcher, show_progress, lambda: self.workspace.cancel_indexing(), self._work_goes_on
        )
        settings = [("initializationOptions", client.params.get("initializationOptions")), (_CLIENT_SETTINGS, None)]
        self.workspace = Workspace(self.log, client.encoding, self._anticipate, settings)
        self._spellings: dict[str, str] = {}
        self._tokens = TokenResults()
        self._inactive = InactiveRegions(client, self.scheduler, self.dispatcher)
        self._register()

    def run(self, reader: BinaryIO) -> int:
        self._settings_changed()
        if not any(self._open_tree(folder) for folder in self._folders()):
            self._status.no_tree()
        try:
            return self.dispatcher.serve(reader)
        finally:
            self.workspace.close()

    def _register(self) -> None:
        from lsprotocol import types

        import kexpert.lsp.requests  # noqa: F401
        from kexpert.lsp.request import HANDLERS

        self.dispatcher.handlers = {
            types.INITIALIZED: self.initialized,
            types.SHUTDOWN: lambda params: self.dispatcher.shut_down(),
            types.EXIT: lambda params: self.dispatcher.finish(),
            types.SET_TRACE: lambda params: None,
            types.TEXT_DOCUMENT_DID_OPEN: self.did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self.did_change,
            types.TEXT_DOCUMENT_DID_SAVE: self.did_save,
            types.TEXT_DOCUMENT_DID_CLOSE: self.did_close,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self.did_change_configuration,
            types.WORKSPACE_DID_CHANGE_WATCHED_FILES: self.did_change_watched_files,
            types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: self.did_change_workspace_folders,
            types.WINDOW_WORK_DONE_PROGRESS_CANCEL: lambda params: self.log.progress_cancelled(params.token),
            **{method: self._question(method, handler) for method, handler in HANDLERS.items()},
        }

    def _question(self, method: str, handler: Handler) -> Question:
        """A request's handler: the snapshot is taken when the request comes, the rest runs in its thread."""
        from pygls.exceptions import JsonRpcException

        from kexpert.lsp.dispatcher import Question
        from kexpert.lsp.scheduler import ThreadIntent

        def begin(params: Any) -> Callable[[Cancelled], Any]:
            if getattr(params, "command", "") == "kexpert.reindex":
                self.workspace.reindex()
            request = self._request(params)
            inline = self.workspace.inline
            is_obsolete = inline.start_request() if handler.intent(params) is ThreadIntent.MODEL else lambda: False

            def work(cancelled: Cancelled) -> Any:
                try:
                    return handler.answer(request(lambda: cancelled() or is_obsolete()))
                except JsonRpcException:
                    raise
                except Exception as problem:
                    self.log.failure(method, problem)
                    return handler.fallback(params)

            return work

        return Question(handler.intent, begin)

    def _request(self, params: Any) -> Callable[[Cancelled], Request]:
        """The workspace as it is now, as a ``Request`` that lacks its cancel flag."""
        from kexpert.lsp.request import Request

        snapshot, spellings = self.workspace.snapshot(), self._spellings
        return lambda cancelled: Request(
            params, snapshot, self.client, self.log, cancelled, self._show_document, self._send_part, spellings,
            self._tokens,
        )  # fmt: skip

    def _show_document(self, uri: str) -> None:
        from lsprotocol import types

        self.dispatcher.request(types.WINDOW_SHOW_DOCUMENT, types.ShowDocumentParams(uri, take_focus=True))

    def _send_part(self, token: str | int, value: Any) -> None:
        from lsprotocol import types

        self.dispatcher.notify(types.PROGRESS, {"token": token, "value": value})

    def _anticipate(self, work: Callable[[Cancelled], None]) -> None:
        """Run the inline session's background work among the model's requests; the newest only."""
        from kexpert.lsp.scheduler import ThreadIntent

        self.scheduler.cancel(_ANTICIPATION)
        self.scheduler.start(_ANTICIPATION, ThreadIntent.MODEL, work)

    def _work_goes_on(self, progress: Progress) -> None:
        """Tell the client; what is drawn by the index is drawn anew once the index knows more. Any thread calls it."""
        self._status.progress(progress)
        if progress.finished and progress.total >= _MIN_FILES_TO_REDRAW:
            self._redraw()

    def _redraw(self) -> None:
        for feature, method in _REFRESHED.items():
            if self.client.can("workspace", feature, "refreshSupport") is True:
                self.dispatcher.request(method)

    # -- the tree and the settings --------------------------------------------------------------

    def _folders(self) -> list[str]:
        """The client's folders, as paths."""
        from kexpert.lsp.uris import file_path

        params = self.client.params
        folders = params.get("workspaceFolders")
        uris = [dig(folder, "uri") for folder in folders] if isinstance(folders, list) else []
        paths = [file_path(uri) for uri in (*uris, params.get("rootUri")) if isinstance(uri, str)]
        if isinstance(root_path := params.get("rootPath"), str):
            paths.append(root_path)
        return [path for path in paths if path]

    def _open_tree(self, path: str) -> bool:
        """Take the kernel tree around ``path``, if there is one."""
        from kexpert.lsp.uris import path_of

        spellings = self._spellings
        opened = self.workspace.open_tree(Path(path), lambda known, root: path_of(spellings[known], root))
        if opened:
            self._spellings = {path_of(uri, self.workspace.root): uri for uri in spellings.values()}
            self._settings_changed()
        return opened

    def _settings_changed(self) -> None:
        self.log.level = self.workspace.settings.log_level  # type: ignore[assignment]  # one of its choices

    def _ask_for_settings(self) -> bool:
        from lsprotocol import types

        if self.client.can("workspace", "configuration") is not True:
            return False
        self.dispatcher.request(
            types.WORKSPACE_CONFIGURATION,
            types.ConfigurationParams([types.ConfigurationItem(section="kexpert")]),
            lambda answer: self._configure(answer[0] if isinstance(answer, list) and answer else None),
        )
        return True

    def _configure(self, settings: Any) -> None:
        self.workspace.configure(_CLIENT_SETTINGS, settings)
        self._settings_changed()
        self._show_inactive(self._spellings)
        self._redraw()

    # -- notifications --------------------------------------------------------------------------

    def initialized(self, params: Any) -> None:
        from lsprotocol import types

        self._ask_for_settings()
        if self.client.can("workspace", "didChangeWatchedFiles", "dynamicRegistration") is True:
            watchers = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher(_WATCHED)])
            registration = types.Registration(
                "kexpert-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, register_options=watchers
            )
            self.dispatcher.request(types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams([registration]))

    def did_open(self, params: Any) -> None:
        from kexpert.lsp.scheduler import ThreadIntent

        document = params.text_document
        path = self._path_of(document.uri)
        self._spellings = {**self._spellings, path: document.uri}
        self.workspace.open(path, document.text)
        if self.workspace.root is None and path.startswith("/"):
            folder = os.path.dirname(path)
            if not self._open_tree(folder):
                self.log.show_once(
                    "warning",
                    f"{folder} is in no kernel tree (a folder with Kconfig, Makefile and MAINTAINERS): "
                    "only what the open files say is known",
                )
            path = self._path_of(document.uri)
        self._check(document.uri)
        snapshot = self.workspace.snapshot()
        self.scheduler.start(("warm", path), ThreadIntent.BACKGROUND, lambda cancelled: snapshot.warm(path))
        self._show_inactive([path])

    def did_change(self, params: Any) -> None:
        from kexpert.lsp import from_protocol

        path = self._path_of(params.text_document.uri)
        self._spellings = {**self._spellings, path: self._spellings.get(path, params.text_document.uri)}
        self.workspace.edit(path, from_protocol.edits(params.content_changes))
        self._show_inactive([path])

    def did_save(self, params: Any) -> None:
        self.workspace.save(self._path_of(params.text_document.uri))
        self._settings_changed()
        self._check(params.text_document.uri)

    def did_close(self, params: Any) -> None:
        from lsprotocol import types

        uri = params.text_document.uri
        path = self._path_of(uri)
        self.workspace.close_document(path)
        self._spellings = {known: spelling for known, spelling in self._spellings.items() if known != path}
        self.scheduler.cancel(("warm", path))
        self._inactive.forget(path)
        if not self._pulls_diagnostics():
            self.scheduler.cancel(("check", path))
            self.dispatcher.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, {"uri": uri, "diagnostics": []})

    def did_change_configuration(self, params: Any) -> None:
        from kexpert.lsp import from_protocol

        if not self._ask_for_settings() and params.settings is not None:
            self._configure(from_protocol.plain(params.settings))

    def did_change_watched_files(self, params: Any) -> None:
        paths = [self._path_of(change.uri) for change in params.changes]
        self.workspace.files_changed(paths)
        if ".config" in paths:
            self._show_inactive(self._spellings)

    def did_change_workspace_folders(self, params: Any) -> None:
        from kexpert.lsp.uris import file_path

        for folder in params.event.added:
            path = file_path(folder.uri)
            if self.workspace.root is None and path:
                self._open_tree(path)

    def _show_inactive(self, paths: Iterable[str]) -> None:
        self._inactive.update([(path, self._spellings[path]) for path in paths], self.workspace.snapshot)

    def _path_of(self, uri: str) -> str:
        from kexpert.lsp.uris import path_of

        return path_of(uri, self.workspace.root)

    # -- diagnostics for clients that do not ask for them ---------------------------------------

    def _pulls_diagnostics(self) -> bool:
        return isinstance(self.client.can("textDocument", "diagnostic"), dict)

    def _check(self, uri: str) -> None:
        """Have a saved file checked. A client that asks for diagnostics itself is told to ask again."""
        from lsprotocol import types

        from kexpert.lsp.requests.diagnostic import checked
        from kexpert.lsp.scheduler import ThreadIntent
        from kexpert.workspace.file_diagnostics import has_diagnostics

        if not has_diagnostics(self.workspace.snapshot(), self._path_of(uri)):
            return
        if self._pulls_diagnostics():
            if self.client.can("workspace", "diagnostics", "refreshSupport") is True:
                self.dispatcher.request(types.WORKSPACE_DIAGNOSTIC_REFRESH)
            return
        path, request = self._path_of(uri), self._request(None)

        def work(cancelled: Cancelled) -> None:
            try:
                found = checked(request(cancelled), path)
            except Exception as problem:
                self.log.failure("checkpatch", problem)
                return
            if found and not cancelled():
                message = {"uri": uri, "diagnostics": found[1]}
                self.dispatcher.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, message)

        key = ("check", path)
        self.scheduler.cancel(key)
        self.scheduler.start(key, ThreadIntent.PROGRAM, work)
