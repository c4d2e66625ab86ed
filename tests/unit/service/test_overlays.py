"""Pictures against values worked out by hand or by others."""

import matplotlib
import numpy as np
import pytest

from scatterlens_models.frame import Frame
from scatterlens_models.preprocess import Placement, PreprocessSpec, compress, expand, prepare
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service.pictures import colormaps, overlays


def make_stored(preview: np.ndarray, mask: np.ndarray, placement: Placement) -> StoredAnnotation:
    return StoredAnnotation(
        np.zeros((1, 4, 4), np.float16),
        None,
        np.zeros(2, np.float16),
        preview.astype(np.float16),
        mask,
        np.zeros(placement.shape_yx, bool),
        placement,
    )


@pytest.mark.parametrize("name", ["viridis", "magma", "inferno"])
def test_colour_maps_are_those_that_everybody_knows(name):
    expected = matplotlib.colormaps[name](np.arange(256))[:, :3] * 255
    assert np.abs(colormaps.table(name) - expected).max() <= 7.5


def test_brightness_is_stretched_over_live_pixels_only():
    preview = np.linspace(0, 1, 1000).reshape(20, 50)
    mask = np.zeros((20, 50), bool)
    preview[0], mask[0] = 9, True
    stored = make_stored(preview, mask, Placement.centered((20, 50), 64))
    bright = overlays.brightness(stored, "log")
    live = preview[1:]
    assert (bright[0] == 0).all()
    assert bright[1:].min() == 0
    assert bright[1:].max() == 1
    low, high = np.percentile(live, (1, 99.8))
    np.testing.assert_allclose(bright[1:], np.clip((live - low) / (high - low), 0, 1), atol=2e-3)


@pytest.mark.parametrize("scale", ["log", "sqrt", "linear"])
def test_frames_without_contrast_are_dark(scale):
    placement = Placement.centered((8, 8), 64)
    for mask in (np.zeros((8, 8), bool), np.ones((8, 8), bool)):
        stored = make_stored(np.full((8, 8), 0.5), mask, placement)
        assert (overlays.brightness(stored, scale) == 0).all()


@pytest.mark.parametrize("shape", [(300, 200), (3000, 700), (2049, 2048)])
def test_evidence_lies_on_the_preview_where_the_spot_is(shape):
    """A bright spot, prepared as the network sees it, comes back to its place in the preview."""
    size, cells = 256, 32
    block = -(-max(shape) // 1024)
    for row, col in ((0.25, 0.3), (0.7, 0.8), (0.95, 0.1)):
        y, x = int(row * shape[0]), int(col * shape[1])
        image = np.zeros(shape, np.float32)
        image[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = 1e4
        frame = Frame(image, np.zeros(shape, bool), np.zeros(shape, bool))
        prepared, placement = prepare(frame, PreprocessSpec(size))
        side = size // cells
        seen = prepared[0].reshape(cells, side, cells, side).max(axis=(1, 3))
        preview = np.zeros((-(-shape[0] // block), -(-shape[1] // block)))
        stored = make_stored(preview, np.zeros(preview.shape, bool), placement)
        shown = overlays.evidence(seen, float(seen.max()), stored)
        top, left = np.unravel_index(shown.argmax(), shown.shape)
        cell = max(shape) / cells / block  # one map cell, in preview pixels
        assert abs(top - y / block) <= cell
        assert abs(left - x / block) <= cell


def test_a_map_that_is_nowhere_positive_stays_dark():
    stored = make_stored(np.ones((8, 8)), np.zeros((8, 8), bool), Placement.centered((8, 8), 64))
    assert (overlays.evidence(np.full((4, 4), -3.0), 0.0, stored) == 0).all()


def test_a_blend_is_the_frame_below_and_the_map_above():
    below = np.full((1, 3, 3), 100, np.uint8)
    shown = np.array([[0.0, 1.0, 1.0]])
    opaque = overlays.blend(below, overlays.layer(shown, "gray", 1.0))
    np.testing.assert_array_equal(opaque[0, :, 0], [100, 255, 255])
    half = overlays.blend(below, overlays.layer(shown, "gray", 0.5))
    np.testing.assert_allclose(half[0, :, 0], [100, 177.5, 177.5], atol=1.5)


def whole(shape_yx: tuple[int, int]) -> Placement:
    return Placement(shape_yx, 64, 64 / max(shape_yx), (0.0, 0.0))


def test_a_thumbnail_shows_the_mean_counts_of_live_pixels():
    counts = np.random.default_rng(4).poisson(40, (60, 90)).astype(np.float32)
    mask = np.zeros((60, 90), bool)
    mask[:, 31:37] = True
    counts[mask] = 9e4
    small = overlays.reduced(make_stored(compress(counts), mask, whole((60, 90))), 30)
    blocks = np.ma.masked_array(counts, mask).reshape(20, 3, 30, 3)
    expected = blocks.mean(axis=(1, 3))
    assert small.preview.shape == (20, 30)
    np.testing.assert_array_equal(small.preview_mask, expected.mask)
    shown = expand(small.preview.astype(np.float32))
    live = ~expected.mask
    np.testing.assert_allclose(shown[live], expected.data[live], rtol=0.01)  # float16 twice


def test_a_picture_of_more_than_half_the_size_keeps_every_pixel():
    stored = make_stored(np.ones((60, 90)), np.zeros((60, 90), bool), whole((60, 90)))
    assert overlays.reduced(stored, 46) is stored
