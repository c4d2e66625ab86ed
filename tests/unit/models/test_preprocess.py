"""The network input against a dense matrix of overlaps in float64, and back to the detector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatterlens_models.frame import Frame
from scatterlens_models.preprocess import (
    COMPRESSED_CEILING,
    Placement,
    PreprocessSpec,
    compress,
    expand,
    prepare,
    shrink,
)

LN_65536 = 16 * np.log(2)


def make_frame(shape: tuple[int, int], seed: int = 0, masked: float = 0.1) -> Frame:
    """Counts over five decades under random dead pixels and two gaps."""
    random = np.random.default_rng(seed)
    mask = random.random(shape) < masked
    if masked:
        mask[shape[0] // 3 : shape[0] // 3 + shape[0] // 12 + 1] = True
        mask[:, shape[1] // 2 : shape[1] // 2 + shape[1] // 9 + 1] = True
    image = random.gamma(0.2, 2000, shape).astype(np.float32)
    image[mask] = 0
    return Frame(image, mask, np.zeros(shape, bool))


def overlaps(length: int, size: int, scale: float, pad: float) -> np.ndarray:
    """Length of every detector pixel inside every network pixel, in detector pixels."""
    edges = (np.arange(size + 1) - pad) / scale
    pixels = np.arange(length)
    return np.clip(
        np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels), 0, None
    )


def dense_reference(frame: Frame, size: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = frame.image.shape
    scale = size / max(height, width)
    rows = overlaps(height, size, scale, (size - height * scale) / 2)
    cols = overlaps(width, size, scale, (size - width * scale) / 2)
    live = rows @ (~frame.mask).astype(np.float64) @ cols.T
    total = rows @ frame.image.astype(np.float64) @ cols.T
    coverage = live * scale**2
    mean = np.divide(total, live, out=np.zeros_like(total), where=live > 0)
    value = np.minimum(np.log1p(mean) / LN_65536, 1.2)
    value[coverage < 0.01] = 0
    return value, coverage


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1679, 1475), 256),
        ((1043, 981), 192),
        ((195, 1475), 256),
        ((1475, 195), 130),
        ((487, 487), 128),
        ((64, 64), 64),
        ((60, 100), 129),
        ((3, 5), 16),
        ((2, 3000), 64),
    ],
)
def test_the_input_is_that_of_exact_overlaps(shape, size):
    frame = make_frame(shape)
    prepared, placement = prepare(frame, PreprocessSpec(size))
    value, coverage = dense_reference(frame, size)
    assert prepared.shape == (2, size, size)
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared[1], coverage, atol=1e-5)
    decided = np.abs(coverage - 0.01) > 1e-5  # rounding may tip what lies on the threshold
    np.testing.assert_allclose(prepared[0][decided], value[decided], atol=1e-5)
    assert placement.shape_yx == shape


def test_a_constant_frame_stays_constant_under_any_mask():
    frame = make_frame((211, 307), masked=0.3)
    image = np.where(frame.mask, 0, 100).astype(np.float32)
    prepared, _ = prepare(Frame(image, frame.mask, frame.saturated), PreprocessSpec(96))
    seen = prepared[1] >= 0.01
    np.testing.assert_allclose(prepared[0][seen], np.log(101) / LN_65536, atol=1e-6)
    assert np.all(prepared[0][~seen] == 0)


def test_the_logarithm_is_taken_after_the_mean():
    image = np.zeros((2, 2), np.float32)
    image[0, 0] = 1000
    frame = Frame(image, np.zeros((2, 2), bool), np.zeros((2, 2), bool))
    prepared, _ = prepare(frame, PreprocessSpec(1))
    assert prepared[0, 0, 0] == pytest.approx(np.log(251) / LN_65536, rel=1e-6)


def test_counts_are_kept_where_pixels_are_live():
    frame = make_frame((300, 200), masked=0)
    prepared, placement = prepare(frame, PreprocessSpec(90))
    counted = (expand(prepared[0].astype(np.float64)) * prepared[1]).sum() / placement.scale**2
    assert counted == pytest.approx(float(frame.image.sum(dtype=np.float64)), rel=1e-5)


def test_padding_is_centred_and_has_no_coverage():
    prepared, placement = prepare(make_frame((195, 1475), masked=0), PreprocessSpec(256))
    covered = np.flatnonzero(prepared[1].any(axis=1))
    assert covered[0] == 255 - covered[-1]
    assert placement.pad_yx[1] == 0
    assert placement.pad_yx[0] == pytest.approx((256 - 195 * 256 / 1475) / 2)


def test_a_wholly_masked_network_pixel_has_no_coverage_at_all():
    mask = np.zeros((100, 100), bool)
    mask[30:60, 30:60] = True
    frame = Frame(np.where(mask, 0, 7).astype(np.float32), mask, np.zeros_like(mask))
    prepared, _ = prepare(frame, PreprocessSpec(10))
    np.testing.assert_allclose(prepared[1, 3:6, 3:6], 0, atol=1e-7)
    assert np.all(prepared[0, 3:6, 3:6] == 0)


def test_compression_reaches_its_ceiling_and_expands_back():
    counts = np.array([0.0, 1.0, 65535.0, 1e5])
    np.testing.assert_allclose(expand(compress(counts)), counts, rtol=1e-9, atol=1e-9)
    assert compress(np.array([65535.0]))[0] == pytest.approx(1.0)
    assert compress(np.array([1e12]))[0] == COMPRESSED_CEILING


@pytest.mark.parametrize("size", [128, 192, 96, 100, 256])
def test_shrinking_equals_a_dense_mean_of_counts_weighted_by_coverage(size):
    prepared, _ = prepare(make_frame((1043, 981)), PreprocessSpec(256))
    small = shrink(prepared, size)
    weights = overlaps(256, size, size / 256, 0.0)
    live = np.where(prepared[1] >= 0.01, prepared[1], 0).astype(np.float64)
    counts = np.expm1(prepared[0].astype(np.float64) * LN_65536) * live
    coverage = weights @ prepared[1] @ weights.T * (size / 256) ** 2
    weight = weights @ live @ weights.T
    mean = np.divide(
        weights @ counts @ weights.T, weight, out=np.zeros_like(weight), where=weight > 0
    )
    expected = np.where(coverage >= 0.01, np.minimum(np.log1p(mean) / LN_65536, 1.2), 0)
    assert small.shape == (2, size, size)
    np.testing.assert_allclose(small[1], coverage, atol=1e-5)
    np.testing.assert_allclose(small[0], expected, atol=1e-5)


def test_shrinking_a_shard_equals_preparing_at_that_size():
    frame = make_frame((1024, 1024))
    direct, _ = prepare(frame, PreprocessSpec(128))
    shrunk = shrink(prepare(frame, PreprocessSpec(256))[0], 128)
    covered = direct[1] > 0.05
    np.testing.assert_allclose(shrunk[0][covered], direct[0][covered], atol=1e-5)
    np.testing.assert_allclose(shrunk[1], direct[1], atol=1e-5)


def test_batches_shrink_like_single_frames():
    frames = [prepare(make_frame((200, 180), seed), PreprocessSpec(64))[0] for seed in range(3)]
    batch = shrink(np.stack(frames), 48)
    for one, frame in zip(batch, frames, strict=True):
        np.testing.assert_array_equal(one, shrink(frame, 48))


def test_a_shard_cannot_be_shrunk_to_more_than_it_is():
    with pytest.raises(ValueError, match="prepare the frame anew"):
        shrink(np.zeros((2, 64, 64), np.float32), 65)


@given(
    height=st.integers(2, 5000),
    width=st.integers(2, 5000),
    size=st.integers(8, 512),
    row=st.floats(-10, 5000),
    col=st.floats(-10, 5000),
)
def test_detector_and_network_coordinates_are_inverse(height, width, size, row, col):
    placement = Placement.centered((height, width), size)
    back = placement.network_to_detector(*placement.detector_to_network(row, col))
    assert back == pytest.approx((row, col), abs=1e-6)
    corner = placement.network_to_detector(placement.pad_yx[0] - 0.5, placement.pad_yx[1] - 0.5)
    assert corner == pytest.approx((-0.5, -0.5), abs=1e-6)


def test_placement_and_spec_survive_json():
    placement = Placement.centered((195, 1475), 192)
    assert Placement.from_dict(placement.to_dict()) == placement
    spec = PreprocessSpec(192)
    assert PreprocessSpec.from_dict(spec.to_dict()) == spec


def test_an_unknown_preparation_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="install the version"):
        PreprocessSpec.from_dict({"method": "bilinear", "size": 128})
