"""The language server: a workspace for each kernel tree, wired to one client.

``serve`` is the way in. Notifications, which change the workspace, are handled here; requests, which ask it
something, in ``lsp.requests``.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO

from kexpert.lsp.handshake import Client, await_initialize, dig
from kexpert.lsp.transport import Writer

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.lsp.client_log import ClientLog
    from kexpert.lsp.dispatcher import Question
    from kexpert.lsp.request import Handler, Request
    from kexpert.lsp.scheduler import Cancelled
    from kexpert.lsp.trees import OpenTree

_WATCHED = "**/{*.c,*.h,*.S,Kconfig*,Kbuild*,Makefile*,MAINTAINERS,.config}"
#: Seconds that a thread may keep the interpreter while another waits: a keystroke must not wait for a
#: search over the tree.
_SWITCH_INTERVAL_SECONDS = 0.001
#: Key of the one suggestion that is worked out before anybody asks for it.
_ANTICIPATION = ("inline", "anticipation")
_CLIENT_SETTINGS = "workspace/configuration"
#: An update of fewer files changes little of what is drawn.
_MIN_FILES_TO_REDRAW = 20
#: For closing models, index and files.
_END_SECONDS = 5.0
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
    from kexpert.workspace.collector import collect_between_questions

    collect_between_questions()
    return server.run(reader)


def _end_within(seconds: float, code: int) -> None:
    """End the process after a time, whatever its threads do then: it must not outlive its client."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


class Server:
    """One client's kernel trees, and the handlers that change them."""

    def __init__(self, client: Client, writer: Writer) -> None:
        from kexpert.lsp.dispatcher import Dispatcher
        from kexpert.lsp.inactive_regions import InactiveRegions
        from kexpert.lsp.scheduler import Scheduler
        from kexpert.lsp.server_status import ServerStatus
        from kexpert.lsp.token_results import TokenResults
        from kexpert.lsp.trees import Trees

        self.client = client
        self.scheduler = Scheduler()
        self.dispatcher = Dispatcher(writer, self.scheduler)
        self._status = ServerStatus(client, self.dispatcher)
        self._settings = {"initializationOptions": client.params.get("initializationOptions"), _CLIENT_SETTINGS: None}
        self._shown: set[str] = set()
        self.trees = Trees(self._new_tree)
        self._tokens = TokenResults()
        self._inactive = InactiveRegions(client, self.scheduler, self.dispatcher)
        self._register()

    def run(self, reader: BinaryIO) -> int:
        found = [self.trees.add_folder(folder) for folder in self._folders()]
        self._settings_changed()
        if not any(found):
            self._status.no_tree()
        code = 1
        try:
            code = self.dispatcher.serve(reader)
        finally:
            _end_within(_END_SECONDS, code)
            self.trees.close()
        return code

    def _new_tree(self) -> OpenTree:
        from kexpert.lsp.client_log import ClientLog
        from kexpert.lsp.trees import OpenTree
        from kexpert.workspace.workspace import Workspace

        can_show = self.client.can("window", "workDoneProgress") is True
        log = ClientLog(
            self.dispatcher, can_show, lambda: workspace.cancel_indexing(),
            lambda progress: self._work_goes_on(log, progress), self._shown,
        )  # fmt: skip
        workspace = Workspace(log, self.client.encoding, self._anticipate, self._settings.items())
        return OpenTree(workspace, log)

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
            types.WINDOW_WORK_DONE_PROGRESS_CANCEL: self.progress_cancelled,
            **{method: self._question(method, handler) for method, handler in HANDLERS.items()},
        }

    def _question(self, method: str, handler: Handler) -> Question:
        """A request's handler: the snapshot is taken when the request comes, the rest runs in its thread."""
        from pygls.exceptions import JsonRpcException

        from kexpert.lsp.dispatcher import Question
        from kexpert.lsp.scheduler import ThreadIntent

        def begin(params: Any) -> Callable[[Cancelled], Any]:
            tree = self.trees.about(params)
            if getattr(params, "command", "") == "kexpert.reindex":
                tree.workspace.reindex()
            others = [other for other in self.trees if other is not tree] if handler.asks_every_tree else []
            requests = [self._request(params, each) for each in (tree, *others)]
            is_model = handler.intent(params) is ThreadIntent.MODEL
            is_obsolete = tree.workspace.inline.start_request() if is_model else lambda: False

            def work(cancelled: Cancelled) -> Any:
                try:
                    answers = [handler.answer(request(lambda: cancelled() or is_obsolete())) for request in requests]
                    return [part for answer in answers for part in answer or ()] if others else answers[0]
                except JsonRpcException:
                    raise
                except Exception as problem:
                    tree.log.failure(method, problem)
                    return handler.fallback(params)

            return work

        return Question(handler.intent, begin)

    def _request(self, params: Any, tree: OpenTree) -> Callable[[Cancelled], Request]:
        """A tree as it is now, as a ``Request`` that lacks its cancel flag."""
        from kexpert.lsp.request import Request

        snapshot, spellings = tree.workspace.snapshot(), tree.spellings
        return lambda cancelled: Request(
            params, snapshot, self.client, tree.log, cancelled, self._show_document, self._send_part, spellings,
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

    def _work_goes_on(self, log: ClientLog, progress: Progress) -> None:
        """Tell the client; what is drawn by the index is drawn anew once the index knows more. Any thread calls it."""
        self._status.progress(log, progress)
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

    def _settings_changed(self) -> None:
        for tree in self.trees:
            tree.log.level = tree.workspace.settings.log_level  # type: ignore[assignment]  # one of its choices

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
        self._settings[_CLIENT_SETTINGS] = settings
        for tree in self.trees:
            tree.workspace.configure(_CLIENT_SETTINGS, settings)
            self._show_inactive(tree, tree.spellings)
        self._settings_changed()
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

    def progress_cancelled(self, params: Any) -> None:
        for tree in self.trees:
            tree.log.progress_cancelled(params.token)

    def did_open(self, params: Any) -> None:
        from kexpert.lsp.scheduler import ThreadIntent

        document = params.text_document
        tree = self.trees.document_opened(document.uri)
        self._settings_changed()
        path = tree.open(document.uri, document.text)
        if tree.root is not None:
            self._status.tree_opened()
        elif path.startswith("/"):
            tree.log.show_once(
                "warning",
                f"{os.path.dirname(path)} is in no kernel tree (a folder with Kconfig, Makefile and MAINTAINERS): "
                "only what the open files say is known",
            )
        self._check(tree, document.uri)
        snapshot = tree.workspace.snapshot()
        key = ("warm", document.uri)
        will_suggest = isinstance(self.client.can("textDocument", "inlineCompletion"), dict)
        is_asked = tree.workspace.inline.requests_from_now()

        def warm(cancelled: Cancelled) -> None:
            snapshot.warm(path)
            if will_suggest and not (cancelled() or is_asked()):
                snapshot.read_ahead(path)

        self.scheduler.start(key, ThreadIntent.BACKGROUND, warm)
        self._show_inactive(tree, [path])

    def did_change(self, params: Any) -> None:
        from kexpert.lsp import from_protocol

        tree = self.trees.about(params)
        path = tree.path_of(params.text_document.uri)
        tree.spell(path, tree.spellings.get(path, params.text_document.uri))
        tree.workspace.edit(path, from_protocol.edits(params.content_changes))
        self._show_inactive(tree, [path])

    def did_save(self, params: Any) -> None:
        tree = self.trees.about(params)
        tree.workspace.save(tree.path_of(params.text_document.uri))
        self._settings_changed()
        self._check(tree, params.text_document.uri)

    def did_close(self, params: Any) -> None:
        from lsprotocol import types

        uri = params.text_document.uri
        tree = self.trees.of(uri)
        path = tree.path_of(uri)
        tree.workspace.close_document(path)
        tree.forget(path)
        self.scheduler.cancel(("warm", uri))
        self._inactive.forget(uri)
        if not self._pulls_diagnostics():
            self.scheduler.cancel(("check", uri))
            self.dispatcher.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, {"uri": uri, "diagnostics": []})
        self.trees.document_closed(tree)
        self._status.keep_only([each.log for each in self.trees])

    def did_change_configuration(self, params: Any) -> None:
        from kexpert.lsp import from_protocol

        if not self._ask_for_settings() and params.settings is not None:
            self._configure(from_protocol.plain(params.settings))

    def did_change_watched_files(self, params: Any) -> None:
        changed: dict[OpenTree, list[str]] = {}
        for change in params.changes:
            tree = self.trees.of(change.uri)
            changed.setdefault(tree, []).append(tree.path_of(change.uri))
        for tree, paths in changed.items():
            tree.workspace.files_changed(paths)
            if ".config" in paths:
                self._show_inactive(tree, tree.spellings)

    def did_change_workspace_folders(self, params: Any) -> None:
        from kexpert.lsp.uris import file_path

        for folder in params.event.added:
            if path := file_path(folder.uri):
                self.trees.add_folder(path)
        for folder in params.event.removed:
            if path := file_path(folder.uri):
                self.trees.remove_folder(path)
        self._status.keep_only([each.log for each in self.trees])
        self._settings_changed()

    def _show_inactive(self, tree: OpenTree, paths: Iterable[str]) -> None:
        self._inactive.update([(path, tree.spellings[path]) for path in paths], tree.workspace.snapshot)

    # -- diagnostics for clients that do not ask for them ---------------------------------------

    def _pulls_diagnostics(self) -> bool:
        return isinstance(self.client.can("textDocument", "diagnostic"), dict)

    def _check(self, tree: OpenTree, uri: str) -> None:
        """Have a saved file checked. A client that asks for diagnostics itself is told to ask again."""
        from lsprotocol import types

        from kexpert.lsp.requests.diagnostic import checked
        from kexpert.lsp.scheduler import ThreadIntent
        from kexpert.workspace.file_diagnostics import has_diagnostics

        path = tree.path_of(uri)
        if not has_diagnostics(tree.workspace.snapshot(), path):
            return
        if self._pulls_diagnostics():
            if self.client.can("workspace", "diagnostics", "refreshSupport") is True:
                self.dispatcher.request(types.WORKSPACE_DIAGNOSTIC_REFRESH)
            return
        request = self._request(None, tree)

        def work(cancelled: Cancelled) -> None:
            try:
                found = checked(request(cancelled), path)
            except Exception as problem:
                tree.log.failure("checkpatch", problem)
                return
            if found and not cancelled():
                message = {"uri": uri, "diagnostics": found[1]}
                self.dispatcher.notify(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, message)

        key = ("check", uri)
        self.scheduler.cancel(key)
        self.scheduler.start(key, ThreadIntent.PROGRAM, work)
