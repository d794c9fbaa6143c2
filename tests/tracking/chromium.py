"""A headless Chromium that a test drives through DevTools, over a pipe: it needs no other package.

Nothing but this machine can be reached: all else goes to a proxy on a closed port.
"""

import base64
import json
import os
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One page. ``messages`` are errors and warnings on its console, uncaught errors included."""

    def __init__(self, folder: Path, width: int = 1400, height: int = 1000) -> None:
        self.net_log = folder / "net.json"
        self.messages: list[str] = []
        their_in, self._to = os.pipe()
        self._from, their_out = os.pipe()
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe",
            f"--user-data-dir={folder / 'profile'}", f"--log-net-log={self.net_log}",
            "--proxy-server=127.0.0.1:9", "about:blank",
        ]  # fmt: skip
        # Chromium reads DevTools' commands from descriptor 3 and writes answers to 4.
        moved = ["bash", "-c", f'exec "$@" 3<&{their_in} 4>&{their_out}', "bash", *command]
        self._process = subprocess.Popen(
            moved, pass_fds=(their_in, their_out), stderr=subprocess.DEVNULL
        )
        os.close(their_in)
        os.close(their_out)
        self._unread, self._calls, self._session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def open(self, url: str) -> None:
        """Begin to load a page anew, also where addresses differ after the # alone."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)

    def remember(self, **settings: str) -> None:
        """What the page keeps in the browser, as its own buttons would write it."""
        for name, value in settings.items():
            self.wait(f"localStorage.setItem({json.dumps(name)}, {json.dumps(value)}) ?? true")

    def wait(self, expression: str, timeout_s: float = 90.0) -> Any:
        """The value of an expression of JavaScript once it is true."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
            if value := found["result"].get("value"):
                return value
            time.sleep(0.2)
        body = self.call("Runtime.evaluate", expression="document.body.innerText")
        raise AssertionError(f"not so in {timeout_s:.0f} s: {expression}; page: {body['result']}")

    def wait_for_texts(self, *texts: str) -> None:
        """Until each of them is in the page."""
        for text in texts:
            self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def screenshot(self) -> bytes:
        """PNG of the window."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser; the log of its network is whole then."""
        if self._process.poll() is None:
            self._session = None
            self.call("Browser.close")
            self._process.wait(timeout=60)
            os.close(self._to)
            os.close(self._from)

    def asked(self) -> list[str]:
        """Addresses that pages asked for, not the browser by itself; after ``close``."""
        return [
            found.group(1)
            for event in self.net_log.read_text().splitlines()
            if '"initiator":"' in event and '"initiator":"not an origin"' not in event
            if (found := re.search(r'"url":"((?:https?|wss?|ftp):[^"]*)"', event))
        ]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What DevTools answers; events that come before are read on the way."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer.get("method"), answer.get("params", {}))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from], [], [], 60)
            assert ready, "Chromium did not answer in 60 s"
            read = os.read(self._from, 1 << 20)
            assert read, "Chromium has ended"
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\0")
        return json.loads(line)

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            entry = params["entry"]
            self.messages.append(f"{entry['level']}: {entry['text']} ({entry.get('url', '')})")
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error"):
            texts = [str(a.get("value", a.get("description", ""))) for a in params["args"]]
            self.messages.append(f"{params['type']}: {' '.join(texts)}")
        elif event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.messages.append(f"uncaught: {text}")
