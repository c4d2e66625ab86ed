"""Pictures by number: what is bright, neutral and coloured lies where it should."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from scatterlens.cli import drawing


@pytest.fixture
def frame():
    """A bright spot on a flat frame, and a gap."""
    image = np.full((60, 100), 10, np.float32)
    image[20:30, 70:80] = 10_000
    mask = np.zeros((60, 100), bool)
    mask[:, 40:44] = True
    image[mask] = 0
    return SimpleNamespace(image=image, mask=mask)


def test_a_spot_is_bright_and_a_gap_is_neutral(frame):
    pixels = drawing.grey_picture(frame, 100)
    assert pixels.shape == (60, 100, 3)
    assert (pixels[20:30, 70:80] == 255).all()
    assert (pixels[:, 40:44] == drawing.MASKED).all()
    assert (pixels[:, :40] == 0).all()


def test_a_gap_does_not_darken_its_neighbours_in_a_smaller_picture(frame):
    small = drawing.grey_picture(frame, 34)
    flat = small[:5, [12, 15]]  # blocks of three columns, partly in the gap
    assert small.shape == (20, 34, 3)
    np.testing.assert_array_equal(flat, np.broadcast_to(small[0, 0], flat.shape))


def test_means_are_those_of_the_live_pixels():
    random = np.random.default_rng(0)
    image, live = random.random((7, 10)), random.random((7, 10)) > 0.3
    mean, count = drawing.block_mean(image, live, 5)
    for row in range(4):
        for col in range(5):
            block = np.s_[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
            assert count[row, col] == live[block].sum()
            if live[block].any():
                assert mean[row, col] == pytest.approx(image[block][live[block]].mean())


def test_an_overlay_colours_what_the_map_says_and_nothing_else(frame):
    seen = np.zeros((60, 100), np.float32)
    seen[50:56, 10:20] = 2.0
    seen[5:10, 5:10] = -5.0  # evidence against is not shown
    seen[frame.mask] = np.nan
    png = drawing.overlay_picture(frame, seen, full_colour=2.0)
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    plain = drawing.grey_picture(frame, 100)
    coloured = (pixels != plain).any(axis=2)
    expected = np.zeros((60, 100), bool)
    expected[50:56, 10:20] = True
    np.testing.assert_array_equal(coloured, expected)


def test_an_empty_frame_is_drawn_as_masked():
    frame = SimpleNamespace(image=np.zeros((8, 8), np.float32), mask=np.ones((8, 8), bool))
    assert (drawing.grey_picture(frame, 8) == drawing.MASKED).all()
