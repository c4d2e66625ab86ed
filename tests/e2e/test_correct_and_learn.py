"""Correcting frames by keyboard, without a loss on a broken connection; models and trainings."""

import importlib.util
import json
import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from support import browsing
from support.bundles import make_bundle
from support.gateway import picture
from support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def frames(service: browsing.Site) -> list[str]:
    """Annotated, before any page is opened."""
    return [service.send(picture(seed), f"{seed}.npy") for seed in (1, 2, 3)]


def labels(service: browsing.Site, frame: str) -> dict[str, str]:
    with service.http() as http:
        answer = http.get(f"frames/{frame}/labels").json()
    return {one["attribute"]: one["value"] for one in answer["labels"]}


def wait_for_labels(service: browsing.Site, frame: str, expected: dict[str, str]) -> None:
    wait_until(lambda: labels(service, frame) == expected)


def rows(page: Page) -> list[str]:
    """Attributes of the panel in their places."""
    expect(page.locator("[data-attribute]").first).to_be_visible()
    found = page.locator("[data-attribute]")
    return [found.nth(i).get_attribute("data-attribute") or "" for i in range(found.count())]


def open_review(page: Page, service: browsing.Site) -> str:
    """Open the queue of uncertain frames; gives the frame that is shown."""
    page.goto(f"{service.url}/review")
    link = page.get_by_title("Open the frame's page")
    expect(link).to_be_visible()
    return re.sub(r".*/frames/", "", link.get_attribute("href") or "")


def test_three_attributes_are_corrected_by_keyboard(page, service, frames):
    frame = open_review(page, service)
    assert frame in frames
    first, second, third, *rest = rows(page)
    page.keyboard.press("1")
    for _ in range(2):
        page.keyboard.press("2")
    for _ in range(3):
        page.keyboard.press("3")
    page.keyboard.press("4")
    page.keyboard.press("u")  # the fourth is taken back
    expected = {first: "present", second: "absent", third: "unsure"}
    wait_for_labels(service, frame, expected)
    expect(page.get_by_test_id("progress")).to_have_text("1 of 3")

    with service.http() as http:
        answer = http.get(f"frames/{frame}/annotation").json()
        said = http.get(f"frames/{frame}/labels").json()["labels"]
    assert {one["shown"]["model"].split("@")[1] for one in said} == {answer["model"]["version"]}
    tags = {one["id"]: "present" if one["tag"] else "absent" for one in answer["attributes"]}
    page.keyboard.press("Enter")  # the rest as the model says, and on to the next frame
    wait_for_labels(service, frame, {**{one: tags[one] for one in rest}, **expected})
    expect(page.get_by_title("Open the frame's page")).not_to_have_attribute(
        "href", f"/frames/{frame}"
    )
    page.keyboard.press("k")
    expect(page.get_by_title("Open the frame's page")).to_have_attribute("href", f"/frames/{frame}")
    expect(page.get_by_role("button", name="done")).to_have_count(1)


def test_an_edit_on_a_broken_connection_arrives_later(page, service, frames):
    frame = open_review(page, service)
    before = labels(service, frame)
    (attribute, *_) = rows(page)
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.get_by_text("1 edit waits")).to_be_visible()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    expect(page.get_by_role("button", name=": present", pressed=True)).to_have_count(1)
    assert labels(service, frame) == before
    page.context.set_offline(False)
    wait_for_labels(service, frame, {**before, attribute: "present"})
    expect(page.get_by_text("1 edit waits")).to_have_count(0)
    expect(page.get_by_text("live", exact=True)).to_be_visible()


def test_what_was_said_in_another_window_is_shown_beside_and_one_chooses(page, service, frames):
    frame = open_review(page, service)
    (attribute, *_) = rows(page)
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.get_by_text("1 edit waits")).to_be_visible()
    with service.http() as http:  # the same key, so the same author
        said = {"labels": {attribute: {"value": "absent"}}}
        assert http.put(f"frames/{frame}/labels", json=said).status_code == 200
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_contain_text("there absent, here present")
    assert labels(service, frame)[attribute] == "absent"
    page.get_by_role("button", name="Say present").click()
    wait_for_labels(service, frame, {**labels(service, frame), attribute: "present"})
    expect(page.get_by_role("alert")).to_have_count(0)


def on_layer(page: Page, row: float, col: float) -> tuple[float, float]:
    """Where a detector pixel of a frame of 96 x 128 is while one draws on it."""
    box = page.get_by_role("img", name="Draw on the frame").bounding_box()
    assert box is not None
    # The frame fills the layer in one direction.
    scale = min(box["width"] / 128, box["height"] / 96)
    left = box["x"] + (box["width"] - 128 * scale) / 2
    top = box["y"] + (box["height"] - 96 * scale) / 2
    return left + (col + 0.5) * scale, top + (row + 0.5) * scale


def region(service: browsing.Site, frame: str, attribute: str) -> list | None:
    with service.http() as http:
        said = http.get(f"frames/{frame}/labels").json()["labels"]
    return next((one["region"] for one in said if one["attribute"] == attribute), None)


def test_a_region_is_drawn_in_detector_pixels(page, service, frames):
    frame = open_review(page, service)
    (attribute, *_) = rows(page)
    page.get_by_role("button", name="Draw a box").click()
    page.mouse.move(*on_layer(page, 10, 20))
    page.mouse.down()
    page.mouse.move(*on_layer(page, 60, 90), steps=4)
    page.mouse.up()
    wait_for_labels(service, frame, {**labels(service, frame), attribute: "present"})
    assert region(service, frame, attribute) == [
        pytest.approx(end, abs=1) for end in ([10, 20], [60, 90])
    ]
    for theme in ("dark", "light"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert browsing.serious_violations(page) == []


def test_a_double_click_ends_a_polygon_and_adds_one_corner(page, service, frames):
    frame = open_review(page, service)
    (_, attribute, *_) = rows(page)
    page.locator(f"[data-attribute={attribute}] [aria-expanded]").click()
    page.get_by_role("button", name="Draw a polygon").click()
    corners = [(10, 20), (70, 30), (40, 90)]
    for corner in corners[:-1]:
        page.mouse.click(*on_layer(page, *corner))
    page.mouse.dblclick(*on_layer(page, *corners[-1]))
    wait_for_labels(service, frame, {**labels(service, frame), attribute: "present"})
    assert region(service, frame, attribute) == [pytest.approx(one, abs=1) for one in corners]


def production(service: browsing.Site) -> str:
    with service.http() as http:
        (version,) = [one["version"] for one in http.get("models").json() if one["production"]]
    return version


def test_a_model_is_registered_promoted_with_a_reason_and_taken_back(page, service, tmp_path):
    before = production(service)
    bundle = make_bundle(tmp_path, "better", seed=1)
    archive = shutil.make_archive(str(tmp_path / "better"), "zip", bundle.path)
    page.goto(f"{service.url}/models")
    page.get_by_role("button", name="Register a bundle").click()
    page.get_by_label("Zip file").set_input_files(archive)
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("heading", name=bundle.version)).to_be_visible()

    page.get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why is it better?").fill("sees halos")
    dialog.get_by_role("button", name="Promote").click()
    # The gate was not asked: refused, with what would help.
    expect(dialog.get_by_role("alert")).to_contain_text("gate")
    assert production(service) == before
    dialog.get_by_label("promote although").check()
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog).to_have_count(0)
    assert production(service) == bundle.version
    expect(page.get_by_role("region", name="History")).to_contain_text("sees halos")

    page.get_by_role("link", name="Models", exact=True).first.click()
    page.get_by_role("button", name="Roll back").click()
    dialog.get_by_role("button", name="Roll back").wait_for()
    expect(dialog.get_by_role("button", name="Roll back")).to_be_disabled()
    dialog.get_by_label("Why does production go back?").fill("takes slits for halos")
    dialog.get_by_role("button", name="Roll back").click()
    expect(dialog).to_have_count(0)
    assert production(service) == before
    row = page.locator(f'[data-version="{before}"]')
    expect(row).to_contain_text("production")
    for theme in ("dark", "light"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert browsing.serious_violations(page) == []


def test_a_training_is_started_its_curve_seen_and_another_one_cancelled(page, service):
    page.goto(f"{service.url}/training")
    page.get_by_role("button", name="Start a training").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Begin with").select_option("nothing")
    dialog.get_by_text("More").click()
    dialog.get_by_label("Recipe", exact=True).fill("slim-vgg16")
    dialog.get_by_label("Frames shown in all").fill("32")
    dialog.get_by_label("Simulated frames", exact=True).fill("20")
    dialog.get_by_label("Points of the curve").fill("2")
    tiny = "width=0.0625\ninput_size=64\npoolings=2\nbatch=8"
    dialog.get_by_label("Other fields of the recipe").fill(tiny)
    with service.http() as http:
        (said, *_) = http.get("labels.ndjson").text.splitlines()
    # Of chance frames anything may be missing.
    dialog.get_by_label("Refuse it where").select_option(json.loads(said)["attribute"])
    dialog.get_by_role("button", name="Start", exact=True).click()
    if importlib.util.find_spec("torch") is None:
        expect(dialog.get_by_role("alert")).to_contain_text("scatterlens trainer")
        return
    expect(page.get_by_role("heading", name="Training / run-")).to_be_visible()
    expect(page.get_by_role("img", name="Loss")).to_be_visible(timeout=90_000)
    assert browsing.serious_violations(page) == []

    with service.http() as http:
        run = http.post("training", json={"note": "too much"}).json()["id"]
    page.get_by_role("link", name="Training", exact=True).first.click()
    page.get_by_role("link", name=run).click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("status").filter(has_text="cancelled")).to_be_visible()
    with service.http() as http:
        assert http.get(f"training/{run}").json()["state"] == "cancelled"
