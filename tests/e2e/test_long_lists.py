"""Lists of many frames: scrolled through without a gap, left, and found again."""

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from scatterlens_models.bundle import DEFAULT_BUNDLE, load_bundle, shipped_bundles
from scatterlens_service import ledger
from scatterlens_service.migrations import migrate_engine
from scatterlens_service.settings import Settings
from support import browsing
from support.many_frames import seed
from support.scrolling import scroll
from support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FRAMES = 5_000


@pytest.fixture(scope="module")
def service(browser, tmp_path_factory):
    """With more frames than a browser holds at once."""
    home = tmp_path_factory.mktemp("many")
    engine = ledger.open_engine(Settings(home=home).database)
    migrate_engine(engine)
    version = load_bundle(shipped_bundles()[DEFAULT_BUNDLE]).version
    seed(engine, FRAMES, version=version)
    engine.dispose()
    with browsing.serving(home) as site:
        yield site


@pytest.mark.parametrize("path", ["/", pytest.param("/search", marks=pytest.mark.slow)])
def test_a_list_is_scrolled_down_and_up_without_a_gap(page, service, path):
    page.goto(f"{service.url}{path}")
    expect(page.locator("[data-frame]").first).to_be_visible()
    down = scroll(page, 400, 120)
    assert down.highest == FRAMES
    updates = down.updates
    while True:
        assert (down.holes, down.uncovered, down.missing) == ([], 0, 0)
        if down.lowest < FRAMES - 1_700:  # far enough for pages to be let go
            break
        lowest = down.lowest
        down = scroll(page, 400, 60)  # a slow machine waits for what follows now and then
        assert down.highest >= lowest
        updates += down.updates
    up = scroll(page, -400, updates + 40)
    # What was let go meanwhile may be on its way for a moment, but is never left out.
    assert (up.highest, up.holes, up.uncovered) == (FRAMES, [], 0)
    expect(page.locator("[data-frame-missing]")).to_have_count(0)


@pytest.mark.slow
def test_the_end_is_reached(page, service):
    page.goto(f"{service.url}/search?scan=scan-00001")
    expect(page.get_by_text("2,000 frames")).to_be_visible()
    expect(page.locator("[data-frame]").first).to_be_visible()
    lowest = 4_001
    while lowest > 2_001:
        seen = scroll(page, 400, 100)
        assert (seen.holes, seen.uncovered) == ([], 0)
        assert seen.lowest <= lowest
        lowest = seen.lowest
    assert lowest == 2_001


def open_one_in_sight(page) -> tuple[str, dict]:
    """Click on a card that is wholly in sight, as to click on another would scroll."""
    cards = page.locator("[data-frame]")
    boxes = {place: cards.nth(place).bounding_box() for place in range(cards.count())}
    place, box = next(one for one in boxes.items() if 140 < one[1]["y"] < 490)
    frame = cards.nth(place).get_attribute("data-frame")
    cards.nth(place).click()
    page.wait_for_url(f"**/frames/{frame}**")
    return frame, box


def test_one_who_comes_back_is_where_one_was(page, service):
    page.goto(service.url)
    expect(page.locator("[data-frame]").first).to_be_visible()
    scroll(page, 400, 150)
    frame, before = open_one_in_sight(page)
    page.go_back()
    again = page.locator(f'[data-frame="{frame}"]')
    expect(again).to_be_visible()
    # What stands above the rows comes a moment later, and moves them for one update.
    wait_until(lambda: again.bounding_box() == before)
    page.get_by_role("button", name="To the newest").click()
    expect(page.locator(f'[data-frame="{FRAMES:064x}"]')).to_be_visible()
    # Another visit, not a return, begins there too.
    scroll(page, 400, 20)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Search").click()
    expect(page.get_by_role("heading", name="Search")).to_be_visible()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Live").click()
    expect(page.locator(f'[data-frame="{FRAMES:064x}"]')).to_be_visible()


def test_one_who_comes_back_loads_nothing_again(page, service):
    """Else cards that are in sight would go for a moment."""
    loaded, asked = set(), []

    def pages() -> set[str]:
        return {url for url in loaded if "/frames?" in url and "cursor=" in url}

    page.on("requestfinished", lambda request: loaded.add(request.url))
    page.goto(service.url)
    expect(page.locator("[data-frame]").first).to_be_visible()
    while len(pages()) <= 5:
        scroll(page, 400, 50)  # a slow machine waits for what follows now and then
    frame, _ = open_one_in_sight(page)
    page.wait_for_load_state("networkidle")
    page.on("request", lambda request: asked.append(request.url))
    page.go_back()
    expect(page.locator(f'[data-frame="{frame}"]')).to_be_in_viewport()
    page.wait_for_load_state("networkidle")
    assert asked
    assert not pages().intersection(asked)


def test_who_logs_in_next_does_not_find_the_list_of_who_was_there(page, service):
    page.goto(service.url)
    expect(page.locator("[data-frame]").first).to_be_visible()
    scroll(page, 400, 50)
    frame, _ = open_one_in_sight(page)
    with service.http() as http:
        wanted = {"name": "guest", "role": "viewer", "proposal": "p0"}
        key = http.post("keys", json=wanted).json()["key"]
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("navigation", name="Pages").wait_for()
    page.go_back()
    expect(page.locator(f'[data-frame="{2_000:064x}"]')).to_be_visible()
    expect(page.locator(f'[data-frame="{frame}"]')).to_have_count(0)


@pytest.mark.parametrize(
    "order",
    [
        {"order": "oldest"},
        {"order": "frame_number", "scan": "scan-00001"},
        {"order": "novelty", "query": "ring >= 0.5 or halo < 0.2"},
        {"order": "probability", "of": "ring"},
    ],
)
def test_one_steps_on_from_any_frame_of_any_list(page, service, order):
    frames = listed(service, order, 730)

    def expect_at(place: int) -> None:
        expect(page).to_have_url(re.compile(frames[place]))
        for name, beside in (("Previous", place - 1), ("Next", place + 1)):
            link = page.get_by_role("link", name=name)
            expect(link).to_have_attribute("href", re.compile(frames[beside]))

    page.goto(f"{service.url}/frames/{frames[700]}?{urlencode(order)}")
    expect_at(700)
    for place in (699, 700, *range(701, 725)):  # more than are asked for at once
        page.locator("body").press("[" if place == 699 else "]")
        expect_at(place)


def listed(service, asked: dict[str, str], least: int) -> list[str]:
    """The first frames of a list, as the gateway gives them page by page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    with service.http() as http:
        while len(found) < least:
            answer = http.get("frames", params={**asked, **cursor, "limit": 500}).json()
            found += [item["frame_id"] for item in answer["items"]]
            cursor = {"cursor": answer["next_cursor"]}
    return found[:least]
