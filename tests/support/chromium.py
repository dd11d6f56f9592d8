"""A real Chromium for tests, driven by its DevTools protocol: mouse, keys, and what is on the screen."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.support.waiting import eventually

_START_SECONDS = 60
_ANSWER_SECONDS = 60
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--force-device-scale-factor=1",
)  # fmt: skip


def find_chromium() -> str | None:
    """The program; None if there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


class Page:
    """One tab. Every wait ends with an AssertionError that says what was seen."""

    def __init__(self, address: str) -> None:
        self._socket = connect(address, max_size=None, open_timeout=_ANSWER_SECONDS)
        self._numbers = itertools.count(1)
        #: Errors of scripts and refused resources, as the console shows them.
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        end = time.monotonic() + _ANSWER_SECONDS
        while True:
            message = json.loads(self._socket.recv(timeout=max(0.1, end - time.monotonic())))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            entry = message["params"]["entry"]
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    def screen(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        if phone:
            features.append({"name": "hover", "value": "none"})
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 30.0) -> Any:
        """Wait until an expression is true; returns its value."""
        def ask() -> Any:
            try:
                return self.run(condition)
            except AssertionError as problem:  # between two pages
                if any(sign in str(problem) for sign in ("Cannot find", "context", "navigated")):
                    return ""
                raise

        return eventually(ask, seconds=seconds)

    def text(self, selector: str) -> str:
        """What a person reads there; "" if it is not there."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def sees(self, selector: str, *parts: str) -> str:
        """Wait until an element shows all parts; returns its text."""
        try:
            eventually(lambda: all(part in self.text(selector) for part in parts))
        except AssertionError:
            raise AssertionError(f"{selector} does not show {parts}: {self.text(selector)!r}") from None
        return self.text(selector)

    def place(self, expression: str) -> tuple[float, float]:
        """The middle of the element that an expression gives, brought into view."""
        self.run(f"({expression}).scrollIntoView({{block: 'center'}})")
        box = self.wait(
            f"(() => {{ const b = ({expression}).getBoundingClientRect();"
            " return b.width ? [b.x + b.width / 2, b.y + b.height / 2] : null; })()"
        )
        return box[0], box[1]

    def move_to(self, expression: str) -> None:
        x, y = self.place(expression)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x - 3, y=y)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, expression: str, modifiers: int = 0) -> None:
        """``modifiers``: 1 Alt, 2 Ctrl, 8 Shift."""
        x, y = self.place(expression)
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1, modifiers=modifiers
            )

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def key(self, *names: str) -> None:
        """Press keys: letters, or names such as ``Enter``."""
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9}
        for name in names:
            event: dict[str, Any] = {"key": name, "windowsVirtualKeyCode": codes.get(name, ord(name[0].upper()))}
            if len(name) == 1 or name == "Enter":
                event["text"] = "\r" if name == "Enter" else name
            self.call("Input.dispatchKeyEvent", type="keyDown", **event)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def screenshot(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def chromium(program: str) -> Iterator[Page]:
    """A browser with one empty page; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="kx-chromium-", ignore_cleanup_errors=True) as folder:
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"], stdout=log, stderr=log,
                env={**os.environ, "HOME": folder}, start_new_session=True,
            )  # fmt: skip
        try:
            port_file = Path(folder, "DevToolsActivePort")
            eventually(lambda: port_file.exists() and port_file.read_text().strip(), seconds=_START_SECONDS)
            port = port_file.read_text().split()[0]
            page = Page(_first_page(port))
            try:
                yield page
            finally:
                page.close()
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def _first_page(port: str) -> str:
    def ask() -> str:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
            for target in json.load(answer):
                if target["type"] == "page":
                    return str(target["webSocketDebuggerUrl"])
        return ""

    return str(eventually(ask, seconds=_START_SECONDS))
