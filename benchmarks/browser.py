"""How the browser interface feels: first wall, updates a second while frames arrive, a large frame.

    python benchmarks/browser.py [--rate 50] [--seconds 10]

A service of its own, a real Chromium with WebGL in software. Both share this machine's cores with
the worker that annotates, so the figures are a lower bound of what a browser of its own gives.
"""

import argparse
import io
import json
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from playwright.sync_api import Page

from support import browsing

PAN = """(seconds) => {
  const picture = document.querySelector('[data-testid="picture"]');
  const end = performance.now() + 1000 * seconds;
  let count = 0;
  const tick = () => {
    const key = count++ % 60 < 30 ? 'ArrowRight' : 'ArrowLeft';
    picture.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    if (performance.now() < end) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""
"""The picture moves in every update of the screen."""

COUNT_UPDATES = """async (seconds) => {
  const gaps = [];
  let last = performance.now();
  const end = last + 1000 * seconds;
  await new Promise((done) => {
    const tick = (now) => {
      gaps.push(now - last);
      last = now;
      if (now < end) requestAnimationFrame(tick); else done();
    };
    requestAnimationFrame(tick);
  });
  gaps.sort((a, b) => a - b);
  const at = (share) => gaps[Math.floor(share * (gaps.length - 1))];
  const rate = gaps.length / seconds;
  return { updates_per_s: rate, median_ms: at(0.5), p95_ms: at(0.95), worst_ms: at(1) };
}"""


def frame(seed: int, size: int = 128) -> bytes:
    """A frame of noise on a ring as `.npy`; small, as far as nothing else is said."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    ring = 40 * np.exp(-(((np.hypot(y, x) - 0.6) / 0.05) ** 2))
    stream = io.BytesIO()
    np.save(stream, rng.poisson(ring + 2).astype(np.int32))
    return stream.getvalue()


def send(site: browsing.Site, rate: float, stop: threading.Event) -> list[float]:
    """Post frames at a rate until told to stop; gives the times of the answers.

    Eight at once: an answer waits for the disk.
    """

    def post(number: int) -> float:
        params = {"filename": f"{number:05}.npy", "scan": "rate", "frame_number": number}
        http.post("frames", content=frame(10_000 + number), params=params).raise_for_status()
        return time.monotonic()

    with site.http() as http, ThreadPoolExecutor(8) as senders:
        begun = time.monotonic()
        answers = []
        while not stop.is_set():
            answers.append(senders.submit(post, len(answers)))
            stop.wait(max(0.0, begun + len(answers) / rate - time.monotonic()))
        return [answer.result() for answer in answers]


def look_at_large(page: Page, site: browsing.Site, seconds: float) -> dict[str, object]:
    """A frame of 4 megapixels: until it is on the screen, and moving over it."""
    frame_id = site.send(frame(0, 2048), "large.npy")
    picture = page.get_by_test_id("picture")
    preview, shown = [], []
    for _ in range(4):
        begun = time.perf_counter()
        page.goto(f"{site.url}/frames/{frame_id}", wait_until="commit")
        picture.wait_for()
        preview.append(round(time.perf_counter() - begun, 2))
        page.locator('[data-pixels="full"]').wait_for()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done()))")
        shown.append(round(time.perf_counter() - begun, 2))
    # For the first of these a worker read the file; the others had its pixels from the gateway.
    figures: dict[str, object] = {"anything_s": preview, "all_pixels_s": shown}
    for name in ("panning", "panning_with_overlay"):
        if name != "panning":
            page.keyboard.press("o")
            page.locator('[data-overlay="shown"]').wait_for()
        picture.focus()
        page.keyboard.press("0")
        page.keyboard.press("+")
        page.keyboard.press("+")
        page.evaluate(PAN, seconds)
        figures[name] = page.evaluate(COUNT_UPDATES, seconds)
    return figures


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=float, default=50.0, help="frames a second")
    arguments.add_argument("--seconds", type=float, default=10.0)
    asked = arguments.parse_args()
    browsing.require_interface()
    figures: dict[str, object] = {}
    with (
        tempfile.TemporaryDirectory() as home,
        browsing.serving(Path(home)) as site,
        browsing.chromium() as browser,
    ):
        for number in range(40):
            site.send(frame(number), f"{number:03}.npy", scan="first")
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        browsing.log_in(page, site)
        walls = []
        for _ in range(5):
            begun = time.perf_counter()
            page.goto(site.url, wait_until="commit")
            page.locator('img[data-state="shown"]').nth(20).wait_for()
            walls.append(time.perf_counter() - begun)
        figures["first_wall_s"] = sorted(round(wall, 2) for wall in walls)
        figures["idle"] = page.evaluate(COUNT_UPDATES, asked.seconds)
        stop = threading.Event()
        begun = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send, site, asked.rate, stop)
            figures["arriving"] = page.evaluate(COUNT_UPDATES, asked.seconds)
            stop.set()
            sent = sending.result()
        figures["sent_per_s"] = len(sent) / (max(sent) - begun)
        # Those that came together may stand in another order.
        page.locator("[data-frame]", has_text=f"{len(sent) - 1:05}.npy").first.wait_for()
        figures["last_seen_after_s"] = time.monotonic() - max(sent)
        figures["large_frame"] = look_at_large(page, site, asked.seconds)
    print(json.dumps(figures, indent=1, default=lambda value: round(value, 3)))


if __name__ == "__main__":
    main()
