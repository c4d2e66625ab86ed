"""Maps on detector pixels: placed by number."""

import numpy as np
import pytest

from scatterlens_models.frame import Frame
from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import Placement, PreprocessSpec, prepare

SHAPES = [(1679, 1475), (195, 1475), (1475, 195), (619, 487), (100, 100), (20, 31)]


def no_mask(shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape, bool)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "cells"), [(256, 16), (128, 16), (192, 24)])
def test_a_spot_on_the_detector_is_found_within_one_map_cell(shape, size, cells):
    random = np.random.default_rng(size)
    for _ in range(5):
        spot = random.integers(0, shape[0]), random.integers(0, shape[1])
        image = np.zeros(shape, np.float32)
        image[spot] = 1e6
        frame = Frame(image, no_mask(shape), no_mask(shape))
        prepared, placement = prepare(frame, PreprocessSpec(size))
        # As a network with perfect vision would see it: each cell the mean of its pixels.
        blocks = prepared[0].reshape(cells, size // cells, cells, size // cells)
        spread = overlay(blocks.mean(axis=(1, 3)), placement, frame.mask)
        found = np.unravel_index(np.argmax(spread), shape)
        cell = size / cells / placement.scale
        assert abs(found[0] - spot[0]) <= cell
        assert abs(found[1] - spot[1]) <= cell


@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_that_grows_linearly_does_so_on_the_detector(shape):
    size, cells = 128, 16
    placement = Placement.centered(shape, size)
    u, v = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    spread = overlay(2.0 * u - 3.0 * v, placement, no_mask(shape))
    row, col = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    network_row, network_col = placement.detector_to_network(row, col)
    u, v = ((x + 0.5) * cells / size - 0.5 for x in (network_row, network_col))
    inside = (u >= 0) & (u <= cells - 1) & (v >= 0) & (v <= cells - 1)
    np.testing.assert_allclose(spread[inside], (2 * u - 3 * v)[inside], atol=1e-3)


def test_values_beyond_the_outermost_cells_stay_those_of_the_cells():
    placement = Placement.centered((64, 64), 64)
    cells = np.array([[1.0, 2.0], [3.0, 4.0]])
    spread = overlay(cells, placement, no_mask((64, 64)))
    assert [spread[0, 0], spread[0, -1], spread[-1, 0], spread[-1, -1]] == [1, 2, 3, 4]
    assert spread.min() >= 1
    assert spread.max() <= 4


def test_masked_pixels_are_not_a_number():
    mask = np.random.default_rng(0).random((50, 40)) < 0.3
    spread = overlay(np.ones((4, 4), np.float16), Placement.centered((50, 40), 64), mask)
    assert spread.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(spread), mask)
    np.testing.assert_allclose(spread[~mask], 1, rtol=1e-6)


def test_a_mask_of_another_frame_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        overlay(np.ones((4, 4)), Placement.centered((50, 40), 64), no_mask((40, 50)))
