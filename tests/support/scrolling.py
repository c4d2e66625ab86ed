"""Scrolling through a list of frames in a browser, and watching for gaps.

The frames are those of `support.many_frames`: a frame's id is its number.
"""

from dataclasses import dataclass

from playwright.sync_api import Page

_SCROLL = """async ({ step, updates }) => {
  const grid = document.querySelector('[data-testid="frame-grid"]');
  const found = { lowest: Infinity, highest: -Infinity, missing: 0, uncovered: 0, waited: 0,
                  holes: [], gaps_ms: [] };
  let last = performance.now();
  const look = () => {
    const sight = grid.getBoundingClientRect();
    const cards = [...grid.querySelectorAll('[data-frame], [data-frame-missing]')]
      .map((card) => ({ card, box: card.getBoundingClientRect() }))
      .filter(({ box }) => box.bottom > sight.top && box.top < sight.bottom);
    const spans = cards.map(({ box }) => [box.top, box.bottom]).sort((a, b) => a[0] - b[0]);
    // What stands above the rows, and what follows the last one, is no gap.
    const whole = grid.children[1].getBoundingClientRect();
    let covered = Math.max(sight.top, whole.top);
    const end = Math.min(sight.bottom, whole.bottom);
    let isCovered = true;
    for (const [top, bottom] of spans) {
      if (top > covered + 14) isCovered = false;
      covered = Math.max(covered, bottom);
    }
    if (covered < end - 14) isCovered = false;
    if (!isCovered) found.uncovered += 1;
    if (cards.some(({ card }) => !card.dataset.frame)) found.missing += 1;
    const numbers = cards.filter(({ card }) => card.dataset.frame)
      .map(({ card }) => Number.parseInt(card.dataset.frame, 16)).sort((a, b) => a - b);
    if (numbers.length === 0) return;
    const [low, high] = [numbers[0], numbers.at(-1)];
    if (isCovered && found.missing === 0 && high - low + 1 !== numbers.length)
      found.holes.push([low, high, numbers.length]);
    // What one update shows must meet what the one before showed.
    if (found.highest > -Infinity && (low > found.highest + 1 || high < found.lowest - 1))
      found.holes.push([found.lowest, found.highest, low, high]);
    found.lowest = Math.min(found.lowest, low);
    found.highest = Math.max(found.highest, high);
  };
  look();
  await new Promise((done, fail) => {
    const tick = (now) => {
      found.gaps_ms.push(now - last);
      last = now;
      const before = grid.scrollTop;
      grid.scrollTop += step;
      try { look(); } catch (error) { fail(error); return; }
      if (grid.scrollTop === before) found.waited += 1;
      if (found.gaps_ms.length < updates) requestAnimationFrame(tick); else done();
    };
    requestAnimationFrame(tick);
  });
  // The last step is heard and drawn, too, before anybody looks.
  for (const _ of [1, 2]) await new Promise((drawn) => requestAnimationFrame(drawn));
  found.gaps_ms.sort((a, b) => a - b);
  const at = (share) => found.gaps_ms[Math.floor(share * (found.gaps_ms.length - 1))];
  const { gaps_ms, ...rest } = found;
  return { ...rest, updates: gaps_ms.length, median_ms: at(0.5), p95_ms: at(0.95),
           worst_ms: at(1) };
}"""


@dataclass(frozen=True)
class Scrolled:
    """What was seen, update after update."""

    lowest: int
    highest: int
    """Numbers of the frames seen; every one between them was."""
    holes: list[list[int]]
    """Frames that follow one another on the page, but not in the list."""
    uncovered: int
    """Updates that showed a part of the list without any card."""
    missing: int
    """Updates that showed a card whose frame was not loaded."""
    waited: int
    """Updates in which the list had no more to scroll to."""
    updates: int
    median_ms: float
    p95_ms: float
    worst_ms: float


def scroll(page: Page, step: float, updates: int) -> Scrolled:
    """Scroll by `step` pixels (upwards if negative) in each of so many updates of the screen."""
    return Scrolled(**page.evaluate(_SCROLL, {"step": step, "updates": updates}))
