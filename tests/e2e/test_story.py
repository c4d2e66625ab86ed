"""From a file to a frame that is found again; and what holds on every page."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from scatterlens_models.datasets.manifest import read_manifest
from scatterlens_models.synthetic.frames import write_frames
from support import browsing
from support.gateway import picture

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def rings(real_or_none: Path | None, tmp_path: Path) -> Path:
    """A frame with strong rings: silver behenate, or a simulated one."""
    if real_or_none is not None:
        return real_or_none / "bioxtas__saxslab_image.tiff"
    (path,) = write_frames(tmp_path, 20, range(1, 2), "tif")
    return path


def test_a_frame_is_sent_seen_opened_and_found(page, service, rings: Path):
    name = rings.name
    page.get_by_label("Files to send").set_input_files(rings)
    card = page.locator("[data-frame]", has_text=name)
    expect(card.get_by_text("Ring", exact=True)).to_be_visible(timeout=20_000)
    frame = card.get_attribute("data-frame")
    card.click()
    expect(page).to_have_url(f"{service.url}/frames/{frame}")
    expect(page.locator("[data-testid=picture][data-pixels=full]")).to_be_visible(timeout=20_000)
    # The key lays the first map on the frame, once the page knows of one.
    expect(page.get_by_label("Overlay").locator("option[value='attribute:ring']")).to_be_attached()
    page.keyboard.press("o")
    expect(page.locator("[data-overlay=shown]")).to_be_visible()

    page.get_by_role("link", name="Search").click()
    box = page.get_by_label("Attributes").first
    box.fill("ring > 0.9 and not halo")
    box.press("Enter")
    found = page.locator(f'[data-frame="{frame}"]')
    expect(found).to_be_visible()
    box.fill("ring < 0.1")
    box.press("Enter")
    expect(found).to_have_count(0)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", ["/search", "/models", "/training", "/search/nothing"])
def test_a_page_is_accessible_and_fits_a_tablet(page, service, path, theme):
    service.send(picture(7), "seventh.npy")
    page.set_viewport_size({"width": 820, "height": 1180})
    page.evaluate(f"localStorage.setItem('scatterlens.theme', '{theme}')")
    page.goto(service.url + path)
    page.locator("main h1, main h2").first.wait_for()
    page.wait_for_load_state("load")
    assert browsing.serious_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 820


def test_a_search_is_exported_as_a_dataset_or_says_why_not(page, service):
    frame_id = service.send(picture(8), "eighth.npy", scan="exported")
    page.goto(f"{service.url}/search?scan=exported")
    page.get_by_role("button", name="Dataset").click()
    page.get_by_label("Frames are").select_option("all to judge by")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.startswith("dataset-")
    (member,) = read_manifest(download.value.path()).frames
    assert (member.frame_id, member.split) == (frame_id, "test")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{service.url}/search?scan=nowhere")
    page.get_by_role("button", name="Dataset").click()
    page.get_by_role("button", name="Download").click()
    refusal = page.get_by_role("dialog").get_by_role("alert")
    expect(refusal).to_contain_text("Take a filter away")
