"""The frame page as a person uses it: keys, panes, neighbours, profiles, downloads."""

import json
import re

import h5py
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from support.browsing import settle
from support.gateway import npy
from support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GEOMETRY = {
    "distance_m": 0.5,
    "wavelength_m": 1.5e-10,
    "pixel_size_m": [172e-6, 172e-6],
    "beam_center_yx": [60.0, 70.0],
}
RING_PX = 30


def rings(seed: int) -> np.ndarray:
    """A ring of 30 pixels around the direct beam."""
    row, col = np.mgrid[:120, :140]
    radius = np.hypot(row - 60, col - 70)
    bright = 500 * np.exp(-((radius - RING_PX) ** 2) / 4)
    return np.random.default_rng(seed).poisson(3 + bright).astype(np.int32)


@pytest.fixture(scope="module")
def scan(service) -> list[str]:
    """Three frames of one scan, as they came."""
    return [
        service.send(
            npy(rings(seed)), f"ring_{seed}.npy", scan="turn", geometry=json.dumps(GEOMETRY)
        )
        for seed in range(3)
    ]


def open_frame(page: Page, service, frame_id: str, query: str = "") -> None:
    page.goto(f"{service.url}/frames/{frame_id}{query}")
    expect(pictures(page).first).to_be_visible(timeout=30_000)


def pictures(page: Page):
    return page.locator("[data-testid=picture][data-pixels=full]")


def test_a_press_and_a_key_change_the_overlay_and_the_address_keeps_it(page, service, scan):
    open_frame(page, service, scan[0])
    overlay = page.get_by_label("Overlay", exact=True)
    expect(overlay).to_have_value("none")
    page.get_by_role("button", name=re.compile("^(tag: )?Halo")).click()
    expect(overlay).to_have_value("attribute:halo")
    expect(page.locator("[data-overlay=shown]")).to_be_visible()
    page.locator("body").press("o")
    expect(overlay).not_to_have_value("attribute:halo")
    chosen = overlay.input_value()
    page.reload()
    expect(overlay).to_have_value(chosen)


def test_panes_side_by_side_show_the_same_part(page, service, scan):
    open_frame(page, service, scan[0])
    page.get_by_role("button", name="Side by side").click()
    expect(pictures(page)).to_have_count(2)
    settle(page)
    left, right = both(page)
    assert left == right
    pictures(page).nth(1).focus()
    for key in ("+", "+", "+", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    settle(page)
    zoomed = both(page)
    assert zoomed[0] == zoomed[1] != left
    box = pictures(page).first.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 300)
    settle(page)
    out = both(page)
    assert out[0] == out[1] != zoomed[0]


def both(page: Page) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('[data-testid=picture] canvas')].map(c => c.toDataURL())"
    )


def test_keys_go_through_the_scan(page, service, scan):
    open_frame(page, service, scan[1])
    expect(page.get_by_role("link", name="Next frame")).to_be_visible()
    page.locator("body").press("]")
    expect(page).to_have_url(re.compile(scan[2]))
    expect(page.get_by_role("button", name="Next frame")).to_be_disabled()
    page.locator("body").press("[")
    expect(page).to_have_url(re.compile(scan[1]))
    expect(page.get_by_role("heading", level=1)).to_contain_text("ring_1.npy")


def test_keys_go_through_the_search_that_one_came_from(page, service, scan):
    page.goto(f"{service.url}/frames/{scan[0]}?query=ring+%3C%3D+1&scan=turn&order=oldest")
    expect(page.get_by_role("link", name="Next")).to_have_attribute("href", re.compile(scan[1]))
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()


def test_the_radial_profile_peaks_at_the_ring_and_marks_it(page, service, scan):
    open_frame(page, service, scan[0])
    radial = page.get_by_test_id("radial")
    expect(radial).to_be_visible(timeout=30_000)
    radial.scroll_into_view_if_needed()
    box = radial.bounding_box()
    best = (0.0, 0.0)
    for part in np.linspace(0.15, 0.97, 60):
        page.mouse.move(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        said = re.search(r"([\d.]+): ([\d.e+]+)$", radial.text_content() or "")
        if said and float(said[2]) > best[1]:
            best = (float(said[1]), float(said[2]))
    theta = np.arctan(RING_PX * 172e-6 / 0.5) / 2
    assert best[0] == pytest.approx(4 * np.pi / 0.15 * np.sin(theta), rel=0.04)
    expect(page.locator("[data-testid=picture] [class*=marked]")).to_have_count(1)


def test_an_azimuthal_profile_is_of_the_range_that_is_asked_for(page, service, scan):
    open_frame(page, service, scan[0])
    azimuthal = page.get_by_test_id("azimuthal")
    expect(azimuthal).to_be_visible(timeout=30_000)
    before = azimuthal.inner_html()
    page.get_by_label("From q").fill("3")
    page.get_by_label("To q").fill("1")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("must lie above")).to_be_visible()
    page.get_by_label("From q").fill("0.42")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("must lie above")).to_have_count(0)
    wait_until(lambda: azimuthal.inner_html() != before)


def test_the_frame_is_saved_as_nexus(page, service, scan, tmp_path):
    open_frame(page, service, scan[0])
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="NeXus").click()
    saved.value.save_as(tmp_path / "frame.nxs")
    with h5py.File(tmp_path / "frame.nxs") as file:
        np.testing.assert_array_equal(file["entry/data/data"][()], rings(0))


def test_a_file_that_cannot_be_read_says_why_and_what_to_do(page, service):
    body = npy(rings(9))
    frame_id = service.send(body[: len(body) // 2], "torn.npy")
    page.goto(f"{service.url}/frames/{frame_id}")
    expect(page.get_by_role("alert").first).to_be_visible(timeout=30_000)
    with service.http() as http:
        reason = http.get(f"frames/{frame_id}/annotation").json()["reason"]
    expect(page.get_by_text(reason["remedy"]).first).to_be_visible()
    page.goto(f"{service.url}/frames/{'0' * 64}")
    expect(page.get_by_role("alert")).to_contain_text("Unknown frame")


def test_attributes_are_corrected_by_keyboard(page, service, scan):
    open_frame(page, service, scan[2])
    page.locator("body").press("c")
    expect(page.get_by_text("You judged 0 of")).to_be_visible()
    for key in "123":
        page.locator("body").press(key)
    expect(page.get_by_text("You judged 3 of")).to_be_visible()

    def said() -> list:
        with service.http() as http:
            return http.get(f"frames/{scan[2]}/labels").json()["labels"]

    wait_until(lambda: len(said()) == 3)
