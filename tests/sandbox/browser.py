"""Drives a headless Chromium over a pipe with the DevTools protocol, without a driver or a package.

with Browser(folder) as browser:
    page = browser.open(sandbox.url)
    page.wait("document.querySelectorAll('#events li').length === 1")
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0  # seconds, far more than any step takes
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--no-default-browser-check", "--mute-audio"),
    *("--no-proxy-server", "--hide-scrollbars", "--remote-debugging-pipe"),
)


def find_chromium() -> str | None:
    """Return the path of a Chromium that can be driven from here, or None."""
    if sys.platform == "win32":  # there Chromium takes its pipes as handles
        return None
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Browser:
    """A Chromium process with its own profile.

    Args:
        folder: The folder of the profile, which is created.
    """

    def __init__(self, folder: Path) -> None:
        program = find_chromium()
        assert program is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Chromium expects the protocol on the descriptors 3 and 4, where a shell puts the pipes.
        move = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", move, "sh", program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out),
            env={**os.environ, "HOME": str(folder)},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._last = 0
        self.notices: list[dict[str, Any]] = []

    def call(self, method: str, session: str = "", **params: Any) -> Any:
        """Send a command and return its answer; events that arrive meanwhile are kept in ``notices``."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self.notices.append(answer)

    def open(self, url: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> Page:
        """Open a page in a new tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=url)
        page.wait("document.readyState === 'complete'")
        return page

    def close(self) -> None:
        """End the process; the caller removes the profile."""
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self, deadline: float) -> Any:
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select.select([self._in], [], [], left)[0]:
                data = os.read(self._in, 1 << 20)
                assert data, "the browser has ended"
                self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


class Page:
    """A tab."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session

    def call(self, method: str, **params: Any) -> Any:
        """Send a command to this tab and return its answer."""
        return self._browser.call(method, self._session, **params)

    def run(self, code: str) -> Any:
        """Evaluate an expression and return its value."""
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < deadline, f"never came true: {condition}\n{self.text('body')}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """Return the visible text of the first element that matches."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def texts(self, selector: str) -> list[str]:
        """Return the visible text of every element that matches."""
        found = self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.innerText)")
        return list(found)

    def press(self, key: str, code: int) -> None:
        """Press and release a key that has no text."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        """Resize the tab."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def complaints(self) -> list[str]:
        """Return the console's errors and warnings, and violations of the content security policy."""
        self.run("0")
        found = []
        for notice in self._browser.notices:
            if notice.get("sessionId") != self._session:
                continue
            params = notice.get("params", {})
            if notice["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"]))
            elif notice["method"] == "Log.entryAdded":
                found.append(json.dumps(params["entry"]))
            elif notice["method"] == "Runtime.consoleAPICalled":
                found.append(json.dumps(params["args"]))
        return found

    def requested(self) -> set[str]:
        """Return every address that the page requested."""
        return {
            notice["params"]["request"]["url"]
            for notice in self._browser.notices
            if notice.get("sessionId") == self._session and notice["method"] == "Network.requestWillBeSent"
        }

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)
