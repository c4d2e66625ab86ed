"""The frame page: what the canvas shows is what NumPy says it should."""

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from playwright.sync_api import Locator, Page, expect

from support import browsing, pictures
from support.gateway import npy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

HEIGHT, WIDTH = 64, 96
TOLERANCE = 2
VIRIDIS = {0: (68, 1, 84), 128: (33, 144, 141), 255: (253, 231, 37)}
"""Entries of the published table, as matplotlib has them."""
GAP = {"dark": (0x4A, 0x55, 0x68), "light": (0x9A, 0xA5, 0xB1)}
PLAIN = {
    "scale": "linear",
    "percentiles": [0, 100],
    "colorMap": "Greys",
    "center": False,
    "rings": "none",
}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Every value from 1 to 255 and more, a masked band, a masked pixel, pixels without counts."""
    image = (np.arange(HEIGHT * WIDTH) % 251 + 1).reshape(HEIGHT, WIDTH).astype(np.int32)
    image[20:24] = -1
    image[50, 60] = -1
    image[5, 5:9] = 0
    return image


@pytest.fixture(scope="module")
def frame(service, image) -> str:
    return service.send(npy(image), "known.npy", frames="0")


def show(page: Page, service, frame_id: str, query: str = "", **display: object) -> None:
    page.evaluate(
        "value => localStorage.setItem('scatterlens.display', JSON.stringify(value))",
        {**PLAIN, **display},
    )
    page.goto(f"{service.url}/frames/{frame_id}{query}")
    picture = page.locator("[data-testid=picture][data-pixels=full]")
    expect(picture.first).to_be_visible(timeout=30_000)
    if "map=" in query:
        expect(page.locator("[data-overlay=shown]").first).to_be_visible(timeout=30_000)
    browsing.settle(page)


def picture_of(page: Page) -> Locator:
    return page.get_by_test_id("picture")


def read_back(page: Page) -> np.ndarray:
    return pictures.read_back(picture_of(page), (HEIGHT, WIDTH))


def greys(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Place of each value in the colour table, 0 to 1."""
    return np.clip((values - low) / (high - low), 0, 1)


def colors(page: Page, places: np.ndarray) -> np.ndarray:
    """Colours at places 0..1 of the map that the page's bar shows, by its own stops."""
    bar = page.locator("[class*=bar][aria-hidden=true]").first
    css = bar.evaluate("node => getComputedStyle(node).backgroundImage")
    stops = np.array([[int(part) for part in found] for found in _RGB.findall(css)], float)
    at = places * (len(stops) - 1)
    return np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T], -1)


_RGB = re.compile(r"rgb\((\d+), (\d+), (\d+)\)")


def assert_like(seen: np.ndarray, expected: np.ndarray, where: np.ndarray) -> None:
    off = np.abs(seen.astype(int) - np.rint(expected)).max(-1)
    assert off[where].max() <= TOLERANCE, np.argwhere((off > TOLERANCE) & where)[:5]


@pytest.mark.parametrize("scale", ["linear", "log", "sqrt", "symlog"])
def test_every_pixel_has_the_colour_of_its_counts(page, service, frame, image, scale):
    show(page, service, frame, scale=scale)
    live = image >= 0
    counts = np.where(live, image, 1).astype(float)
    low = {"log": 1.0}.get(scale, 0.0)  # the least count that a logarithm can show
    through = {
        "linear": lambda value: value,
        "log": lambda value: np.log10(np.maximum(value, low)),
        "sqrt": np.sqrt,
        "symlog": np.log1p,
    }[scale]
    places = greys(through(counts), through(np.float64(low)), through(np.float64(251)))
    assert_like(read_back(page), colors(page, places), live)


def test_masked_pixels_are_neutral_and_pixels_without_counts_are_not(page, service, frame, image):
    show(page, service, frame, scale="log", colorMap="Viridis")
    theme = page.evaluate("document.documentElement.dataset.theme") or "dark"
    seen = read_back(page)
    assert (seen[image < 0] == GAP[theme]).all()
    assert_like(seen, np.broadcast_to(VIRIDIS[0], seen.shape), image == 0)
    assert_like(seen, np.broadcast_to(VIRIDIS[255], seen.shape), image == 251)
    page.keyboard.press("m")
    browsing.settle(page)
    assert_like(read_back(page), np.broadcast_to(VIRIDIS[0], seen.shape), image < 0)


def test_contrast_is_by_percentiles_of_live_pixels(page, service, frame, image):
    show(page, service, frame, percentiles=[5, 90])
    live = image[image >= 0].astype(float)
    expected = np.percentile(live, [5, 90])
    said = page.locator("[data-testid=picture]").get_attribute("data-domain")
    np.testing.assert_allclose([float(part) for part in said.split()], expected, rtol=1e-6)
    places = greys(np.where(image < 0, 0, image), *expected)
    assert_like(read_back(page), colors(page, places), image >= 0)


@pytest.mark.parametrize(("mirrored", "upside_down"), [(True, False), (False, True), (True, True)])
def test_flips_turn_the_picture_and_are_kept(page, service, frame, image, mirrored, upside_down):
    show(page, service, frame)
    upright = read_back(page)
    for label, wanted in (("Flip X", mirrored), ("Flip Y", upside_down)):
        if wanted:
            page.get_by_label(label).check()
    page.reload()
    expect(page.locator("[data-testid=picture][data-pixels=full]")).to_be_visible()
    browsing.settle(page)
    turned = read_back(page)[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    assert_like(turned, upright, np.ones(image.shape, bool))


def test_the_readout_names_the_pixel_under_the_cursor(page, service, frame, image):
    show(page, service, frame)
    box = page.locator("[data-testid=picture] canvas").bounding_box()
    scale = min(box["height"] / HEIGHT, box["width"] / WIDTH)
    for row, col in ((0, 0), (31, 47), (63, 95), (50, 60)):
        page.mouse.move(
            box["x"] + box["width"] / 2 + (col - (WIDTH - 1) / 2) * scale,
            box["y"] + box["height"] / 2 + (row - (HEIGHT - 1) / 2) * scale,
        )
        readout = page.get_by_test_id("readout")
        expect(readout).to_contain_text(f"row{row}col{col}counts")
        counts = "masked" if image[row, col] < 0 else str(image[row, col])
        expect(readout).to_contain_text(f"counts{counts}")


def test_keys_zoom_to_single_pixels(page, service, frame, image):
    show(page, service, frame)
    page.locator("[data-testid=picture]").focus()
    for _ in range(14):
        page.keyboard.press("+")
    browsing.settle(page)
    seen = pictures.canvas(picture_of(page))
    # The middle of the frame lies between four pixels; one of them now fills each quarter.
    quarter = seen[: seen.shape[0] // 2 - 4, : seen.shape[1] // 2 - 4].reshape(-1, 3)
    assert len(np.unique(quarter, axis=0)) == 1
    places = greys(image[HEIGHT // 2 - 1, WIDTH // 2 - 1], 0, 251)
    np.testing.assert_allclose(quarter[0], colors(page, np.array(places)), atol=TOLERANCE)
    page.keyboard.press("0")
    browsing.settle(page)
    places = greys(np.where(image < 0, 0, image), 0, 251)
    assert_like(read_back(page), colors(page, places), image >= 0)


def test_an_overlay_lies_where_the_model_saw_the_attribute(page, service):
    """A bright spot at a known place; the evidence drawn is that of the stored map."""
    rng = np.random.default_rng(3)
    row, col = np.mgrid[:HEIGHT, :WIDTH]
    spot = 4000 * np.exp(-((row - 18) ** 2 + (col - 70) ** 2) / 40)
    image = rng.poisson(5 + spot).astype(np.int32)
    image[40:43] = -1
    frame_id = service.send(npy(image), "spot.npy", frames="0")
    with service.http() as http:
        model = next(one for one in http.get("models").json() if one["production"])
        best, map_ = "", np.zeros((HEIGHT, WIDTH))
        for attribute in http.get(f"frames/{frame_id}/annotation").json()["attributes"]:
            answer = http.get(f"frames/{frame_id}/overlays/{attribute['id']}.npy")
            found = np.load(io.BytesIO(answer.content))
            if np.nanmax(found) / model["map_scale"][attribute["id"]] > np.nanmax(map_):
                best, map_ = attribute["id"], found / model["map_scale"][attribute["id"]]
        cells = np.load(
            io.BytesIO(
                http.get(
                    f"frames/{frame_id}/overlays/{best}.npy", params={"space": "cells"}
                ).content
            )
        )
    assert np.nanmax(map_) > 0.2
    show(page, service, frame_id)
    below = read_back(page).astype(float)
    show(page, service, frame_id, f"?map=attribute:{best}", opacity=1)
    seen = read_back(page).astype(float)
    shown = evidence_on(cells / model["map_scale"][best], pictures.canvas(picture_of(page)).shape)
    alpha = np.sqrt(shown)[..., None]
    expected = below * (1 - alpha) + magma(shown) * alpha
    assert_like(seen, expected, image >= 0)
    np.testing.assert_array_equal(seen[image < 0], below[image < 0])
    # Where the gateway has the most evidence on detector pixels, the picture has it too.
    assert shown[np.unravel_index(np.nanargmax(map_), map_.shape)] > 0.95 * shown.max()


def evidence_on(cells: np.ndarray, seen: tuple[int, ...]) -> np.ndarray:
    """Positive evidence between the middles of cells where the canvas is read, by definition."""
    rows, cols, scale = pictures.samples(seen, (HEIGHT, WIDTH))
    side, positive = max(HEIGHT, WIDTH), np.maximum(cells, 0)

    def weights(read: np.ndarray, all_: int, count: int) -> np.ndarray:
        from_middle = (read + 0.5 - all_ / 2) / scale  # in detector pixels
        cell = np.clip((from_middle / side + 0.5) * count - 0.5, 0, count - 1)
        return np.maximum(0, 1 - np.abs(cell[:, None] - np.arange(count)))

    down, across = weights(rows, seen[0], cells.shape[0]), weights(cols, seen[1], cells.shape[1])
    return np.clip(down @ positive @ across.T, 0, 1)


def magma(places: np.ndarray) -> np.ndarray:
    """Colours 0 to 255 of the published map."""
    return 255 * colormaps["magma"](places)[..., :3]


def test_q_is_read_at_the_rings_of_silver_behenate(page, service, real_data: Path):
    geometry = {
        # Calibrated on the rings: the distance in the file's header is 1.4 % too long for them.
        "distance_m": 0.481,
        "wavelength_m": 1.5418e-10,
        "pixel_size_m": [172e-6, 172e-6],
        "beam_center_yx": [359.1, 267.3],
    }
    body = (real_data / "bioxtas__saxslab_image.tiff").read_bytes()
    frame_id = service.send(body, "agbh.tiff", geometry=json.dumps(geometry))
    show(page, service, frame_id, scale="log", percentiles=[1, 99.8], unit="A")
    with service.http() as http:
        pixels = np.load(
            io.BytesIO(http.get(f"frames/{frame_id}/pixels.npy", params={"wait": 20}).content)
        )
    height, width = pixels.shape
    box = page.locator("[data-testid=picture] canvas").bounding_box()
    scale = min(box["height"] / height, box["width"] / width)
    for order in (1, 2, 3):
        expected = 2 * math.pi * order / 58.38
        read: list[float] = []
        for row, col in ring_pixels(pixels, geometry, expected):
            page.mouse.move(
                box["x"] + box["width"] / 2 + (col - (width - 1) / 2) * scale,
                box["y"] + box["height"] / 2 + (row - (height - 1) / 2) * scale,
            )
            readout = page.get_by_test_id("readout")
            expect(readout).to_contain_text(f"row{row}col{col}counts")
            text = readout.inner_text()
            read.append(float(text.split("\nq\n")[1].split("Å")[0]))
        # A pixel is 1.4 % of the first ring's radius: what counts is the ring, not one pixel.
        assert len(read) >= 2
        assert np.mean(read) == pytest.approx(expected, rel=0.01), read


def ring_pixels(pixels: np.ndarray, geometry: dict, q: float) -> list[tuple[int, int]]:
    """Where a ring is brightest right of, below, left of and above the beam, where that is live."""
    center = np.array(geometry["beam_center_yx"])
    theta = math.asin(q * 1.5418 / (4 * math.pi))
    radius = math.tan(2 * theta) * geometry["distance_m"] / geometry["pixel_size_m"][0]
    found: list[tuple[int, int]] = []
    for direction in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        steps = radius + np.arange(-5, 6)
        at = np.rint(center + steps[:, None] * np.array(direction)).astype(int)
        if (at < 0).any() or (at >= pixels.shape).any():
            continue
        counts = pixels[at[:, 0], at[:, 1]]
        if np.isfinite(counts).all():
            row, col = at[np.argmax(counts)]
            found.append((int(row), int(col)))
    return found


def test_the_page_is_accessible(page, service, frame):
    for theme in ("dark", "light"):
        page.evaluate(f"localStorage.setItem('scatterlens.theme', '{theme}')")
        show(page, service, frame)
        expect(page.get_by_test_id("radial")).to_be_visible(timeout=30_000)
        assert browsing.serious_violations(page) == []
