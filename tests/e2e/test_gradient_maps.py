"""Gradient maps on the frame page: offered where a model has them, computed when first chosen."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from scatterlens_service.keeping.blobs import BlobFolder
from support import browsing, pictures
from support.bundles import make_bundle
from support.gateway import npy
from support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

SHAPE = (96, 128)
METHODS = {"gradcam": "Grad-CAM", "a_ch": "A_ch", "a_px": "A_px"}


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[browsing.Site]:
    """Two models, of which the second has gradient maps."""
    home = tmp_path_factory.mktemp("home")
    make_bundle(home / "bundles", "linear")
    make_bundle(home / "bundles", "steep", size=32, seed=3, gradients=True)
    with browsing.serving(home, SCATTERLENS_ACTIVE_MODELS="linear,steep") as site:
        yield site


def send(service: browsing.Site, seed: int) -> str:
    image = np.random.default_rng(seed).poisson(20, SHAPE).astype(np.int32)
    image[:48] *= 50
    image[60:64] = -1
    return service.send(npy(image), f"half_{seed}.npy", frames="0")


def version(service: browsing.Site, name: str) -> str:
    with service.http() as http:
        return next(one["version"] for one in http.get("models").json() if one["name"] == name)


def open_frame(page: Page, service: browsing.Site, frame: str, query: str = "") -> None:
    page.goto(f"{service.url}/frames/{frame}?by={version(service, 'steep')}{query}")
    expect(picture(page)).to_have_attribute("data-pixels", "full", timeout=30_000)


def picture(page: Page, side: str = "") -> Locator:
    return page.locator(f"[data-testid=picture][aria-label^='Detector frame{side};']")


def overlay(page: Page, side: str = "") -> Locator:
    return page.get_by_label(f"Overlay{side}", exact=True)


def choices(page: Page) -> list[str]:
    return [
        text for text in overlay(page).locator("option").all_text_contents() if ": Ring" in text
    ]


def bright_attribute(service: browsing.Site, frame: str) -> tuple[str, np.ndarray]:
    """An attribute whose gradient map is not zero, and the map on detector pixels."""
    with service.http() as http:
        for attribute in http.get("attributes").json():
            path = f"frames/{frame}/gradients/a_ch/{attribute['id']}.npy"
            answer = http.get(path, params={"model": "steep", "wait": 30})
            cells = np.load(io.BytesIO(answer.content))
            if np.nanmax(cells) > 0:
                return attribute["id"], cells
    raise AssertionError("all maps are zero")


def test_they_are_offered_of_the_chosen_attribute_where_the_model_has_them(page, service):
    open_frame(page, service, send(service, 1), "&map=attribute:ring")
    wait_until(lambda: choices(page) == [f"{title}: Ring" for title in METHODS.values()])
    page.get_by_label("Model", exact=True).select_option(version(service, "linear"))
    expect(overlay(page)).to_have_value("attribute:ring")
    wait_until(lambda: choices(page) == [])


def test_one_that_is_being_computed_says_so_until_it_lies_on_the_frame(page, service):
    frame = send(service, 2)
    held: list[Route] = []
    page.route("**/gradients/**", lambda route: held.append(route))
    open_frame(page, service, frame, "&map=attribute:ring")
    overlay(page).select_option("gradient:gradcam:ring")
    expect(page.get_by_text("being computed")).to_be_visible()
    expect(picture(page)).not_to_have_attribute("data-overlay", "shown")
    held[0].continue_()
    page.unroute("**/gradients/**")
    expect(picture(page)).to_have_attribute("data-overlay", "shown", timeout=30_000)
    expect(page.get_by_text("being computed")).to_have_count(0)
    page.reload()
    expect(overlay(page)).to_have_value("gradient:gradcam:ring")


def test_it_lies_where_the_gradient_is_beside_the_map_of_another_model(page, service):
    frame = send(service, 3)
    attribute, cells = bright_attribute(service, frame)
    open_frame(page, service, frame)
    browsing.settle(page)
    below = pictures.read_back(picture(page), SHAPE).astype(int)
    overlay(page).select_option(f"attribute:{attribute}")
    overlay(page).select_option(f"gradient:a_ch:{attribute}")
    expect(picture(page)).to_have_attribute("data-overlay", "shown", timeout=30_000)
    browsing.settle(page)
    changed = np.abs(pictures.read_back(picture(page), SHAPE) - below).max(-1)
    assert (changed[cells > 0.2 * np.nanmax(cells)] > 10).mean() > 0.98
    assert changed[(cells == 0) | np.isnan(cells)].max() <= 2

    page.get_by_role("button", name="Side by side").click()
    page.get_by_label("Model on the right").select_option(version(service, "linear"))
    overlay(page, " on the right").select_option(f"attribute:{attribute}")
    right = picture(page, " on the right")
    expect(right).to_have_attribute("data-overlay", "shown", timeout=30_000)
    expect(overlay(page)).to_have_value(f"gradient:a_ch:{attribute}")
    browsing.settle(page)
    left = pictures.canvas(picture(page))
    assert (left != pictures.canvas(right)).any()


def test_a_map_that_cannot_be_computed_says_why_and_what_to_do(page, service):
    frame = send(service, 4)
    open_frame(page, service, frame, "&map=attribute:ring")  # all pixels were read
    path = BlobFolder(service.home / "blobs").path(frame)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    overlay(page).select_option("gradient:a_px:ring")
    with service.http() as http:
        answer = http.get(
            f"frames/{frame}/gradients/a_px/ring.npy", params={"model": "steep", "wait": 30}
        )
    assert answer.status_code == 409
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(answer.json()["detail"], timeout=30_000)
    expect(alert).to_contain_text(answer.json()["remedy"])
    expect(page.get_by_text("being computed")).to_have_count(0)
