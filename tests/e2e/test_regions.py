"""Regions on the frame page: drawn at any zoom and flip, stored and shown in detector pixels."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from support import browsing
from support.gateway import npy
from support.waiting import holds, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope="module")
def frame(service: browsing.Site) -> str:
    image = np.random.default_rng(1).poisson(20, (HEIGHT, WIDTH)).astype(np.int32)
    return service.send(npy(image), "places.npy", frames="0")


@dataclass(frozen=True)
class Sight:
    """Where detector pixels are on the screen, around the middle of the frame."""

    page: Page
    zoom: float = 1.0
    mirrored: bool = False
    upside_down: bool = False

    def place(self, row: float, col: float) -> tuple[float, float]:
        canvas = self.page.locator("[data-testid=picture] canvas").bounding_box()
        assert canvas is not None
        pixel = min(canvas["height"] / HEIGHT, canvas["width"] / WIDTH) * self.zoom
        right = (col - (WIDTH - 1) / 2) * pixel * (-1 if self.mirrored else 1)
        down = (row - (HEIGHT - 1) / 2) * pixel * (-1 if self.upside_down else 1)
        return (
            canvas["x"] + canvas["width"] / 2 + right,
            canvas["y"] + canvas["height"] / 2 + down,
        )

    def point_at(self, row: float, col: float) -> None:
        self.page.mouse.move(*self.place(row, col))
        said = f"row{round(row)}col{round(col)}counts"
        expect(self.page.get_by_test_id("readout")).to_contain_text(said)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.point_at(*start)
        self.page.mouse.down()
        self.point_at(*end)
        self.page.mouse.up()


def correct(page: Page, service: browsing.Site, frame: str, attribute: str) -> None:
    """Open the frame in the mode "Correct", with an attribute chosen."""
    page.goto(f"{service.url}/frames/{frame}?correct=1&map=attribute:{attribute}")
    expect(page.locator("[data-testid=picture][data-pixels=full]")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Draw a box")).to_be_visible()


def zoom_in(page: Page, times: int) -> float:
    page.locator("[data-testid=picture]").focus()
    for _ in range(times):
        page.keyboard.press("+")
    return 1.5**times


def pixel_under_pointer(page: Page) -> tuple[int, int]:
    said = re.search(r"row(\d+)col(\d+)", page.get_by_test_id("readout").text_content() or "")
    assert said is not None
    return int(said[1]), int(said[2])


def click(sight: Sight, row: float, col: float) -> None:
    sight.point_at(row, col)
    sight.page.mouse.down()
    sight.page.mouse.up()


def pull(sight: Sight) -> None:
    """Drag the frame: the pixel that was under the pointer stays there."""
    sight.point_at(31, 47)
    sight.page.mouse.down()
    sight.page.mouse.move(*sight.place(31, 57), steps=4)
    sight.page.mouse.up()
    expect(sight.page.get_by_test_id("readout")).to_contain_text("row31col47counts")


def regions(service: browsing.Site, frame: str) -> dict[str, list]:
    with service.http() as http:
        said = http.get(f"frames/{frame}/labels").json()["labels"]
    return {one["attribute"]: one["region"] for one in said}


def wait_for_region(service: browsing.Site, frame: str, attribute: str) -> list:
    return wait_until(lambda: regions(service, frame).get(attribute))


def near(points: list[tuple[float, float]]) -> list:
    return [pytest.approx(point, abs=0.3) for point in points]


def test_a_box_is_stored_in_detector_pixels_however_one_looks(page, service, frame):
    page.evaluate(
        """localStorage.setItem('scatterlens.display',
            JSON.stringify({ mirrored: true, upsideDown: true }))"""
    )
    correct(page, service, frame, "ring")
    sight = Sight(page, zoom_in(page, 3), mirrored=True, upside_down=True)
    page.get_by_role("button", name="Draw a box").click()
    sight.drag((25, 40), (37, 55))
    region = wait_for_region(service, frame, "ring")
    assert region == near([(25, 40), (37, 55)])

    page.reload()
    expect(page.locator("[data-testid=picture][data-pixels=full]")).to_be_visible(timeout=30_000)
    shown = page.locator("[data-region] rect")
    browsing.settle(page)
    box = shown.bounding_box()
    assert box is not None
    whole = Sight(page, mirrored=True, upside_down=True)
    left, top = whole.place(*region[1])
    right, bottom = whole.place(*region[0])
    seen = (box["x"], box["y"], box["width"], box["height"])
    assert seen == pytest.approx((left, top, right - left, bottom - top), abs=2)
    expect(page.locator("[data-region]")).to_have_attribute("data-region", "Ring · start")


def test_one_zooms_and_moves_while_one_draws_a_polygon(page, service, frame):
    correct(page, service, frame, "halo")
    page.get_by_role("button", name="Draw a polygon").click()
    click(Sight(page), 10, 20)
    closer = Sight(page, zoom_in(page, 2))
    page.keyboard.down("Shift")
    pull(closer)
    page.keyboard.up("Shift")
    page.locator("[data-testid=picture]").press("0")
    clicked = Sight(page).place(10, 60)
    page.mouse.move(*clicked)
    for _ in range(10):
        page.mouse.wheel(0, -100)
    browsing.settle(page)
    page.mouse.move(clicked[0] + 1, clicked[1])
    corner = pixel_under_pointer(page)
    assert corner != (10, 60)  # zoomed: towards the middle, as the frame does not fill the picture
    page.mouse.down()
    page.mouse.up()
    page.locator("[data-testid=picture]").press("0")
    page.mouse.dblclick(*Sight(page).place(50, 60))
    assert wait_for_region(service, frame, "halo") == [
        *near([(10, 20)]),
        pytest.approx(corner, abs=0.55),
        *near([(50, 60)]),
    ]
    expect(page.locator("[data-region^=Halo] polygon")).to_be_visible()


def test_escape_gives_up_and_a_drag_moves_the_frame_again(page, service, frame):
    correct(page, service, frame, "isotropic")
    page.get_by_role("button", name="Draw a box").click()
    picture = page.locator("[data-testid=picture]")
    expect(picture).to_have_attribute("data-drawing", "true")
    sight = Sight(page)
    sight.point_at(10, 20)
    page.mouse.down()
    sight.point_at(30, 40)
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(picture).not_to_have_attribute("data-drawing", "true")
    expect(page.get_by_role("button", name="Draw a box")).to_be_visible()
    pull(Sight(page, zoom_in(page, 2)))
    # What was said would go out by now.
    assert holds(lambda: "isotropic" not in regions(service, frame), 1.0)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_page_is_accessible_while_one_draws(page, service, frame, theme):
    page.evaluate(f"localStorage.setItem('scatterlens.theme', '{theme}')")
    correct(page, service, frame, "ring")
    page.get_by_role("button", name="Draw a box").click()
    assert browsing.serious_violations(page) == []
