"""A page in Chromium, over the pipe of its debugging protocol: nothing but the standard library."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Page:
    """A page; `requests` are the addresses that it asked for, `errors` what it complained of."""

    def __init__(self, folder: Path) -> None:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        # The browser reads from file 3 and writes to file 4.
        shell = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1'
        command = ["sh", "-c", shell, CHROMIUM, *flags, f"--user-data-dir={folder / 'profile'}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.loaded, self.count, self.rest, self.session = False, 0, b"", None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and wait for its answer."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.process.stdin.write(json.dumps(message).encode() + b"\0")
        self.process.stdin.flush()
        while (answer := self._read()).get("id") != self.count:
            self._note(answer.get("method"), answer.get("params", {}))
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            part = self.process.stdout.read1(2**20)
            assert part, "Chromium has ended"
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: str | None, found: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(found["exceptionDetails"]))
        elif event == "Log.entryAdded" and found["entry"]["level"] == "error":
            self.errors.append(found["entry"]["text"])
        elif event == "Page.loadEventFired":
            self.loaded = True

    def open(self, address: str) -> None:
        """Go to an address, and wait until it is loaded."""
        self.loaded = False
        self.call("Page.navigate", url=address)
        while not self.loaded:
            self.evaluate("0")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 60) -> Any:
        """Wait until an expression is true; its value."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression} did not become true"
            time.sleep(0.05)
        return value

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a file input."""
        found = self.call("Runtime.evaluate", expression=f"document.querySelector('{selector}')")
        paths = [str(file) for file in files]
        self.call("DOM.setFileInputFiles", files=paths, objectId=found["result"]["objectId"])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
