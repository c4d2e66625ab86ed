"""Whether a list of a million frames can be scrolled from its newest to its oldest without a gap.

    python benchmarks/long_list.py [--frames 1000000] [--database URL] [--step 400] [--page /]

A service of its own over a PostgreSQL of its own (or the address of a database that
`support.many_frames` filled), and a real Chromium, which scrolls by `step` pixels in each update of
the screen. Prints, while it goes on and at the end: the frames seen, those missing between them,
updates with nothing to see, the time between updates, and the memory of the page's scripts.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scatterlens_models.bundle import DEFAULT_BUNDLE, load_bundle, shipped_bundles
from scatterlens_service import ledger
from scatterlens_service.migrations import migrate_engine
from support import browsing, servers
from support.many_frames import seed
from support.scrolling import scroll

UPDATES = 600
"""Between two lines of progress."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--step", type=float, default=400)
    parser.add_argument("--page", default="/")
    asked = parser.parse_args()
    browsing.require_interface()
    if asked.database is not None:
        _scroll_through(asked, asked.database)
        return
    with servers.postgres() as own:
        engine = ledger.open_engine(own)
        migrate_engine(engine)
        version = load_bundle(shipped_bundles()[DEFAULT_BUNDLE]).version
        seed(engine, asked.frames, version=version)
        engine.dispose()
        _scroll_through(asked, own)


def _scroll_through(asked: argparse.Namespace, database: str) -> None:
    total = {"holes": 0, "uncovered": 0, "missing": 0, "waited": 0, "updates": 0, "worst_ms": 0.0}
    with (
        tempfile.TemporaryDirectory() as home,
        browsing.serving(Path(home), SCATTERLENS_DATABASE_URL=database) as site,
        browsing.chromium() as browser,
    ):
        page = browser.new_context(viewport={"width": 1920, "height": 1080}).new_page()
        browsing.log_in(page, site)
        page.goto(f"{site.url}{asked.page}")
        page.locator("[data-frame]").first.wait_for()
        begun = time.monotonic()
        lowest = asked.frames
        while lowest > 1:
            seen = asdict(scroll(page, asked.step, UPDATES))
            seen["holes"] = len(seen["holes"])
            # Where one scroll ended the next begins, or a frame was passed over.
            seen["holes"] += seen["highest"] < lowest
            lowest = seen["lowest"]
            for name in total:
                both = (total[name], seen[name])
                total[name] = max(both) if name == "worst_ms" else sum(both)
            heap_mb = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
            print(json.dumps(seen | {"heap_mb": round(heap_mb)}), flush=True)
        took = time.monotonic() - begun
    print(json.dumps(total | {"took_s": round(took), "frames_per_s": round(asked.frames / took)}))


if __name__ == "__main__":
    main()
