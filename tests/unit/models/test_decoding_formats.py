"""Formats and special values, each in a small file made for the purpose."""

import bz2
import gzip
import io
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from fabio.bruker100image import Bruker100Image
from fabio.brukerimage import BrukerImage
from fabio.mar345image import Mar345Image
from PIL import Image

from scatterlens_models.decoding import DecodeChild, DecodeLimits, FrameRejected
from scatterlens_models.decoding.decode import decode_frame, probe_frames
from scatterlens_models.decoding.sniff import HEAD_BYTES, sniff
from support.detector_files import COUNTS, cbf, edf, hdf5, npy, picture, smv, spe, tiff


def kind_of(data: bytes, index: int = 0, limits: DecodeLimits | None = None) -> str:
    with pytest.raises(FrameRejected) as refusal:
        decode_frame(data, index, limits)
    assert refusal.value.title
    assert refusal.value.remedy
    return refusal.value.kind


RAMP = np.tile(np.arange(1200, dtype=np.uint32) // 5, (1200, 1))
"""Smooth: fabio's Mar345 encoder writes beyond its memory on noise."""


def mar345(folder: Path) -> bytes:
    image = Mar345Image(data=RAMP)
    image.byteorder = "<"
    image.write(str(folder / "frame.mar1200"))
    return (folder / "frame.mar1200").read_bytes()


def bruker(folder: Path) -> bytes:
    BrukerImage(data=COUNTS.astype(np.uint8)).write(str(folder / "frame.sfrm"))
    return (folder / "frame.sfrm").read_bytes()


EVERY_FORMAT = {
    "edf": edf(),
    "smv": smv(),
    "cbf": cbf(),
    "npy": npy(),
    "tiff": tiff(),
    "hdf5": hdf5({"entry/data/data": COUNTS}),
    "spe": spe(COUNTS[None]),
    "png": picture(COUNTS.astype(np.uint8), "PNG"),
}


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_every_lossless_format_gives_its_counts_back(name, child: DecodeChild, tmp_path):
    path = tmp_path / "frame.without_meaning"
    path.write_bytes(EVERY_FORMAT[name])
    frame = child.decode(path)
    assert frame.format == name
    np.testing.assert_array_equal(frame.image, COUNTS)
    assert child.probe(path).shape == COUNTS.shape


def bruker_100(folder: Path) -> bytes:
    Bruker100Image(data=COUNTS.astype(np.uint8)).write(str(folder / "frame.sfrm"))
    return (folder / "frame.sfrm").read_bytes()


@pytest.mark.parametrize(
    ("make", "counts"), [(mar345, RAMP), (bruker, COUNTS), (bruker_100, COUNTS)]
)
def test_formats_that_fabio_reads_open_in_the_confined_child(make, counts, child, tmp_path):
    path = tmp_path / "frame"
    path.write_bytes(make(tmp_path))
    frame = child.decode(path)
    assert frame.format == make.__name__.removesuffix("_100")
    np.testing.assert_array_equal(frame.image, counts)


@pytest.mark.parametrize("wrap", [gzip.compress, bz2.compress])
def test_one_wrapper_is_undone_and_a_second_is_refused(wrap):
    np.testing.assert_array_equal(decode_frame(wrap(edf())).image, COUNTS)
    assert kind_of(wrap(wrap(edf()))) == "unsupported"


@pytest.mark.parametrize("wrap", [gzip.compress, bz2.compress])
def test_a_wrapper_of_several_members_is_one_file(wrap):
    data = edf()
    np.testing.assert_array_equal(decode_frame(wrap(data[:700]) + wrap(data[700:])).image, COUNTS)


@pytest.mark.parametrize("wrap", [gzip.compress, bz2.compress])
def test_a_dark_frame_compresses_a_thousandfold_and_is_no_bomb(wrap):
    packed = wrap(edf(np.zeros((1679, 1475), np.int32)))
    assert len(packed) < 1679 * 1475 * 4 / 500
    assert decode_frame(packed).image.shape == (1679, 1475)


def test_content_decides_whatever_the_name_says():
    for name, data in EVERY_FORMAT.items():
        assert sniff(data[:HEAD_BYTES], len(data)) == name


def test_a_frame_without_header_is_known_by_its_size_and_values():
    counts = np.full((195, 487), 3, "<i4")
    counts[0, :2] = -1, -2
    frame = decode_frame(counts.tobytes())
    assert frame.format == "int32"
    assert frame.mask[0, :2].all()
    assert frame.mask.sum() == 2
    assert kind_of(counts.tobytes()[:-4]) == "unsupported"
    noise = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, (195, 487)).astype("<i4")
    assert kind_of(noise.tobytes()) == "unsupported"


# Values


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.float32, np.float64])
def test_negative_values_are_invalid(dtype):
    counts = COUNTS.astype(dtype)
    counts[0, :2] = -1, -2
    frame = decode_frame(npy(counts))
    assert frame.mask.sum() == 2
    assert not frame.image[0, :2].any()


def test_nan_and_infinity_are_invalid():
    counts = COUNTS.astype(np.float32)
    counts[3, :3] = np.nan, np.inf, -np.inf
    frame = decode_frame(npy(counts))
    assert frame.mask[3, :3].all()
    assert frame.mask.sum() == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_the_top_value_of_an_eiger_is_invalid(dtype):
    counts = COUNTS.astype(dtype)
    counts[5, 5] = np.iinfo(dtype).max
    frame = decode_frame(hdf5({"entry/data/data": counts[None]}))
    assert frame.mask[5, 5]
    assert frame.mask.sum() == 1
    assert not frame.saturated.any()


def test_a_pixel_mask_tells_an_overflow_from_a_dead_pixel():
    counts = COUNTS.astype(np.uint32)
    counts[5, 5] = counts[6, 6] = 2**32 - 1
    mask = np.zeros(counts.shape, np.uint32)
    mask[5, 5] = 1
    mask[7, 7] = 8
    mask[8, 8] = 1 << 31  # computed from its neighbours, but usable
    detector = "entry/instrument/detector/"
    frame = decode_frame(hdf5({"entry/data/data": counts, detector + "pixel_mask": mask}))
    assert list(zip(*np.nonzero(frame.mask), strict=True)) == [(5, 5), (7, 7)]
    assert list(zip(*np.nonzero(frame.saturated), strict=True)) == [(6, 6)]
    capped = hdf5(
        {
            "entry/data/data": counts,
            detector + "pixel_mask": mask,
            detector + "saturation_value": 50000,
        }
    )
    assert decode_frame(capped).image.max() == 50000


def test_a_stated_saturation_value_marks_live_pixels():
    counts = COUNTS.astype(np.int16)
    counts[1, 1] = 4095
    detector = "entry/instrument/detector/"
    frame = decode_frame(hdf5({detector + "data": counts, detector + "saturation_value": 4095}))
    assert frame.saturated[1, 1]
    assert frame.saturated.sum() == 1
    assert not frame.mask.any()


def test_65535_saturates_a_ccd_and_stays_live():
    counts = COUNTS.copy()
    counts[2, 2] = 65535
    marccd = tiff(counts.astype(np.uint16), extratags=[(34710, "B", 4, b"MMX\0", True)])
    for data in (smv(counts, CCD_IMAGE_SATURATION=65535), marccd, spe(counts[None])):
        frame = decode_frame(data)
        assert frame.saturated[2, 2]
        assert frame.saturated.sum() == 1
        assert not frame.mask.any()


def test_a_pilatus_saturates_at_2_to_the_20_and_others_do_not():
    for shape, expected in (((195, 487), 1), ((196, 487), 0)):
        counts = np.ones(shape, np.int32)
        counts[3, 3] = 2**20
        counts[4, 4] = 2**20 - 1
        assert decode_frame(tiff(counts)).saturated.sum() == expected


def test_counts_in_pilatus_gaps_are_kept_where_a_program_filled_them():
    counts = np.ones((407, 487), np.int32)
    assert not decode_frame(tiff(counts)).mask.any()
    counts[195:212] = 0
    frame = decode_frame(tiff(counts))
    assert frame.mask[195:212].all()
    assert frame.mask.sum() == 17 * 487


def test_a_frame_of_zeros_is_a_frame():
    frame = decode_frame(npy(np.zeros((50, 50), np.int32)))
    assert not frame.mask.any()
    assert not frame.image.any()


def test_a_frame_without_a_live_pixel_is_refused():
    assert kind_of(npy(np.full((50, 50), -1, np.int32))) == "empty"
    assert kind_of(npy(np.full((50, 50), np.nan))) == "empty"


@pytest.mark.parametrize("dtype", [">i2", ">i4", ">u2", ">f4", ">f8"])
def test_big_endian_counts_are_counts(dtype):
    np.testing.assert_array_equal(decode_frame(npy(COUNTS.astype(dtype))).image, COUNTS)


def test_pictures_become_grey_and_are_flagged():
    color = np.zeros((30, 50, 3), np.uint8)
    color[..., 1] = 200
    png = decode_frame(picture(color, "PNG"))
    assert png.lossy
    np.testing.assert_allclose(png.image, 0.587 * 200, rtol=1e-5)
    jpeg = decode_frame(picture(np.full((30, 50), 90, np.uint8), "JPEG"))
    assert jpeg.lossy
    np.testing.assert_allclose(jpeg.image, 90, atol=2)
    deep = np.arange(1500, dtype=np.uint16).reshape(30, 50) * 40
    np.testing.assert_array_equal(decode_frame(picture(deep, "PNG")).image, deep)


# Stacks


STACK = np.stack([COUNTS, COUNTS + 1, COUNTS + 2])

STACKS = {
    "npy": npy(STACK),
    "tiff": tiff(*STACK),
    "hdf5": hdf5({"entry/data/data": STACK}),
    "spe": spe(STACK),
    "edf": b"".join(edf(image, Image=number) for number, image in enumerate(STACK)),
}


@pytest.mark.parametrize("name", STACKS)
def test_stacks_are_addressed_by_index(name):
    probe = probe_frames(STACKS[name])
    assert (probe.shape, probe.frames) == ((3, 40, 60), 3)
    np.testing.assert_array_equal(decode_frame(STACKS[name], 2).image, STACK[2])
    for index in (3, -1):
        assert kind_of(STACKS[name], index) == "no_image"


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_a_file_with_one_image_has_no_second(name):
    assert kind_of(EVERY_FORMAT[name], 1) == "no_image"


def test_four_dimensions_are_refused_with_their_shape():
    four = np.zeros((2, 3, 40, 60), np.int32)
    for data in (hdf5({"entry/data/data": four}), npy(four)):
        with pytest.raises(FrameRejected, match="2 x 3 x 40 x 60") as refusal:
            decode_frame(data)
        assert refusal.value.kind == "unsupported"


def test_a_line_and_a_table_are_no_images():
    assert kind_of(npy(np.arange(100))) == "no_image"
    assert kind_of(hdf5({"entry/data/data": np.arange(100)})) == "no_image"
    assert kind_of(hdf5({"spectrum": np.zeros((4000, 2))})) == "no_image"
    assert kind_of(edf(np.zeros((1, 500), np.int32))) == "no_image"


# HDF5 paths, filters and geometry


@pytest.mark.parametrize(
    "path",
    [
        "entry/data/data",
        "entry/instrument/detector/data",
        "imageseries/images",
        "entry/data/frames",
        "some/where/else",
    ],
)
def test_hdf5_images_are_found_at_their_usual_paths_and_else_by_size(path):
    other = np.zeros((20, 30), np.int32)
    big_mask = np.zeros((400, 400), np.int32)
    data = hdf5({path: COUNTS, "other/image": other, "calibration/flatfield": big_mask})
    np.testing.assert_array_equal(decode_frame(data).image, COUNTS)


def test_the_signal_of_nxdata_comes_first(tmp_path):
    with h5py.File(tmp_path / "signal.nxs", "w") as file:
        file["entry/data/data"] = np.zeros((100, 100), np.int32)
        plot = file.create_group("entry/plot")
        plot.attrs["NX_class"], plot.attrs["signal"] = "NXdata", "counts"
        plot["counts"] = COUNTS
    frame = decode_frame((tmp_path / "signal.nxs").read_bytes())
    np.testing.assert_array_equal(frame.image, COUNTS)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        dict(hdf5plugin.Bitshuffle()),
        dict(hdf5plugin.LZ4()),
        dict(hdf5plugin.Zstd()),
        dict(hdf5plugin.Blosc()),
        dict(hdf5plugin.Blosc2()),
    ],
    ids=["gzip", "bitshuffle", "lz4", "zstd", "blosc", "blosc2"],
)
def test_every_allowed_filter_works_in_the_confined_child(options, child, tmp_path):
    path = tmp_path / "filtered.h5"
    path.write_bytes(hdf5({"entry/data/data": COUNTS}, chunks=(20, 30), **options))
    np.testing.assert_array_equal(child.decode(path).image, COUNTS)


@pytest.mark.parametrize("options", [{"scaleoffset": 0}, {"compression": "szip"}])
def test_filters_with_open_faults_are_refused(options):
    if options.get("compression") == "szip" and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
        pytest.skip("this h5py has no szip encoder to make the file with")
    assert kind_of(hdf5({"entry/data/data": COUNTS}, chunks=(20, 30), **options)) == "unsupported"


def pillow_tiff(compression: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(COUNTS.astype(np.uint8)).save(stream, "TIFF", compression=compression)
    return stream.getvalue()


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_opens_in_the_confined_child(compression, child, tmp_path):
    path = tmp_path / "frame.tif"
    path.write_bytes(pillow_tiff(compression))
    np.testing.assert_array_equal(child.decode(path).image, COUNTS)


def test_tiff_compressed_in_another_way_is_refused_by_name():
    assert kind_of(pillow_tiff("tiff_lzw")) == "unsupported"


def nexus(units: str = "m", **changes: object) -> dict[str, object]:
    detector = "entry/instrument/detector/"
    return {
        "entry/data/data": COUNTS,
        detector + "detector_distance": 0.5,
        detector + "x_pixel_size": 75e-6,
        detector + "y_pixel_size": 85e-6,
        detector + "beam_center_x": 12.5,
        detector + "beam_center_y": 30.0,
        "entry/instrument/beam/incident_wavelength": 0.98,
    } | {detector + key: value for key, value in changes.items()}


def with_units(data: dict[str, object], path: Path) -> bytes:
    with h5py.File(path, "w") as file:
        for name, value in data.items():
            file[name] = value
            if name.endswith("wavelength"):
                file[name].attrs["units"] = "angstrom"
            elif name.endswith(("distance", "size")):
                file[name].attrs["units"] = "m"
    return path.read_bytes()


def test_nexus_geometry_is_read_with_its_units(tmp_path):
    geometry = decode_frame(with_units(nexus(), tmp_path / "full.h5")).geometry
    assert geometry is not None
    assert geometry.distance_m == 0.5
    assert geometry.wavelength_m == pytest.approx(0.98e-10)
    assert geometry.pixel_size_m == (85e-6, 75e-6)
    assert geometry.beam_center_yx == (30.0, 12.5)


def test_nexus_lengths_without_units_are_not_guessed_at():
    assert decode_frame(hdf5(nexus())).geometry is None


def test_nexus_defaults_are_no_geometry(tmp_path):
    data = with_units(nexus(beam_center_x=0.0, beam_center_y=0.0), tmp_path / "default.h5")
    assert decode_frame(data).geometry is None


# Limits


def test_sizes_beyond_the_limits_are_refused():
    limits = DecodeLimits(pixels=1000, frames=2)
    for data in EVERY_FORMAT.values():
        assert kind_of(data, limits=limits) == "too_large"
    for data in STACKS.values():
        with pytest.raises(FrameRejected) as refusal:
            probe_frames(data, DecodeLimits(frames=2))
        assert refusal.value.kind == "too_large"
