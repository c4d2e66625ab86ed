"""A served gateway with its interface, and a real Chromium before it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, Page, sync_playwright

from scatterlens.connection import read_connection

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-angle=swiftshader "
    "--enable-unsafe-swiftshader"
).split()
"""WebGL is computed in software: the pictures are those of any machine."""


class NoBrowserError(FileNotFoundError):
    """Chromium, or the built interface, is not there."""


@dataclass(frozen=True)
class Site:
    """A running service."""

    url: str
    key: str
    home: Path

    @property
    def link(self) -> str:
        """What `scatterlens serve` prints to a terminal."""
        return f"{self.url}/#key={self.key}"

    def http(self) -> httpx2.Client:
        """Client of the REST API with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=60)

    def send(self, body: bytes, filename: str, **params: object) -> str:
        """Send one frame, wait for its answer, give its id."""
        with self.http() as http:
            sent = http.post("frames", content=body, params={"filename": filename, **params})
            assert sent.status_code in (200, 202), sent.text
            frame_id = sent.json()["items"][0]["frame_id"]
            for _ in range(6):
                answer = http.get(f"frames/{frame_id}/annotation", params={"wait": 10})
                if answer.status_code == 200:
                    return frame_id
        raise AssertionError(f"no answer for {filename}: {answer.text}")


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[Site]:
    """`scatterlens serve` on a free port, ended by its pid."""
    log = home / "serve.log"
    command = [sys.executable, "-m", "scatterlens", "serve", "--port", "0", "--home", str(home)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **settings}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    try:
        end = time.monotonic() + 60
        while "Scatterlens is ready" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the service did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        connection = read_connection(home)
        assert connection is not None
        yield Site(connection.url, connection.key or "", home)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; `NoBrowserError` where it is not installed."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise NoBrowserError("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield browser
        browser.close()


def settle(page: Page) -> None:
    """Wait until no canvas changes any more: they draw on demand, some updates later."""
    page.evaluate(
        """async () => {
            const update = () => new Promise(requestAnimationFrame);
            const drawn = () => [...document.querySelectorAll("canvas")].map((c) => c.toDataURL());
            for (let last = "", same = 0, i = 0; same < 5 && i < 300; i++) {
                await update();
                await update();
                await new Promise((done) => setTimeout(done, 20));
                const now = drawn().join();
                same = now === last ? same + 1 : 0;
                last = now;
            }
        }"""
    )


def require_interface() -> None:
    """`NoBrowserError` where the interface was not built."""
    import scatterlens_service

    index = Path(scatterlens_service.__file__).parent / "static" / "index.html"
    if not index.exists():
        raise NoBrowserError("the browser interface is not built: `make ui`")


def log_in(page: Page, site: Site) -> None:
    """Open the printed link; afterwards the session's cookie is kept."""
    page.goto(site.link)
    page.get_by_role("navigation", name="Pages").wait_for()


def serious_violations(page: Page) -> list[str]:
    """What axe calls serious or critical on the page as it is, in words."""
    script = Path(__file__).parents[2] / "clients/web/node_modules/axe-core/axe.min.js"
    # By the debugger, not by an element: the page's own rules allow no foreign script.
    page.evaluate(script.read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
