"""Every real file: what decodes, with which shape; what is refused, and how."""

from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
import tifffile

from scatterlens_models.decoding import DecodeChild, FrameRejected

DATA = Path(__file__).parents[2] / "data"

FORMATS = {
    "EDF": "edf",
    "EDF content under a .cbf name": "edf",
    "TIFF": "tiff",
    "TIFF (Pilatus header)": "tiff",
    "SPE (Princeton)": "spe",
    "NeXus/HDF5": "hdf5",
    "HDF5": "hdf5",
    "CBF": "cbf",
    "JPEG": "jpeg",
    "raw int32 LE": "int32",
    "SMV/ADSC img +bzip2": "smv",
}

UNREADABLE = {
    "cbflib__fel_test1.cbf": "unreadable",
    "cbflib__fit2d_data.cbf": "unreadable",
    "dialsdata__hit-20181213155134902.cbf": "unsupported",
    "dialsdata__idx-20130301060858401.cbf": "unsupported",
    "dialsdata__idx-20130301060858801.cbf": "unsupported",
    "ifit__nano_50K_4.8a_03_h4.hdf": "unsupported",
    "larch__Pilatus.tiff": "unreadable",
}

NOT_PATTERNS = {
    "cofezr__1327.mat": "unsupported",
    "cofezr__1555.mat": "unsupported",
    "cofezr__1813.mat": "unsupported",
    "cofezr__2064.mat": "unsupported",
    "cofezr__2275.mat": "unsupported",
    "dialsdata__TIMEPIX_SU_512-stdgoni_0001.img": (512, 512),
    "dialsdata__TIMEPIX_SU_516-stdgoni_0001.img": (516, 516),
    "dialsdata__dectris_eiger_master.h5": "no_image",
    "dioptas__original.tif": (195, 1475),
    "laue__Ge_example.png": (1572, 2284),
    "pyxs__Feb09-bright-00.300s_WAXS": (1042, 1042),
    "qxrd__geo_corr_t.cbf": (1679, 1475),
    "xicam__Ade_1Close_28639-00002.fits": "unsupported",
}


def stored_shape(row: dict[str, str]) -> tuple[int, ...]:
    shape = tuple(int(side) for side in row["shape"].split("x"))
    return shape[:2] if row["format"] == "JPEG" else shape


def test_all_61_files_decode_with_the_shape_of_the_index(child: DecodeChild, real_data, real_index):
    assert len(real_index) == 61
    for row in real_index:
        frame = child.decode(real_data / row["file"], int(row["frame"]))
        shape = stored_shape(row)
        assert frame.image.shape == shape[-2:], row["file"]
        assert frame.format == FORMATS[row["format"]], row["file"]
        assert frame.lossy == (row["format"] == "JPEG"), row["file"]
        assert frame.image.dtype == np.float32
        assert np.isfinite(frame.image).all()
        assert frame.image.min() >= 0
        assert not frame.image[frame.mask].any()
        assert not (frame.saturated & frame.mask).any()
        assert frame.mask.mean() < 0.1, row["file"]


def test_all_61_files_are_probed_like_the_index(child: DecodeChild, real_data, real_index):
    for row in real_index:
        probe = child.probe(real_data / row["file"])
        shape = stored_shape(row)
        assert probe.shape == shape, row["file"]
        assert probe.frames == (shape[0] if len(shape) == 3 else 1), row["file"]


def independent_counts(path: Path, row: dict[str, str]) -> np.ndarray:
    """Counts by another way than the product's: fabio, tifffile or h5py on the path itself."""
    if "HDF5" in row["format"]:
        with h5py.File(path) as file:
            names = "entry/data/data entry/instrument/detector/data imageseries/images".split()
            data = file[next(name for name in names if name in file)]
            return data[int(row["frame"])] if data.ndim == 3 else data[()]
    if row["format"].startswith("TIFF"):
        return tifffile.imread(path)
    if row["format"].startswith("raw"):
        return np.fromfile(path, "<i4").reshape(stored_shape(row))
    with fabio.open(path) as image:
        return image.data


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_counts_equal_those_of_an_independent_reader(child: DecodeChild, real_data, real_index):
    compared = 0
    for row in real_index:
        if row["format"] == "JPEG":
            continue
        frame = child.decode(real_data / row["file"], int(row["frame"]))
        counts = independent_counts(real_data / row["file"], row)
        live = ~frame.mask
        np.testing.assert_array_equal(
            frame.image[live], counts[live].astype(np.float32), err_msg=row["file"]
        )
        compared += 1
    assert compared == 60


def test_the_seven_unreadable_files_each_have_a_typed_refusal(child: DecodeChild, real_data):
    found = {}
    for path in sorted((real_data / "unreadable").iterdir()):
        with pytest.raises(FrameRejected) as refusal:
            child.decode(path)
        found[path.name] = refusal.value.kind
        assert refusal.value.title
        assert refusal.value.remedy
    assert found == UNREADABLE


def test_the_thirteen_files_that_are_no_patterns_decode_or_are_refused(child, real_data):
    found: dict[str, object] = {}
    for path in sorted((real_data / "not_patterns").iterdir()):
        try:
            found[path.name] = child.decode(path).image.shape
        except FrameRejected as refusal:
            found[path.name] = refusal.kind
    assert found == NOT_PATTERNS


def test_gaps_dead_and_saturated_pixels_of_a_pilatus_are_told_apart(child, real_data):
    frame = child.decode(real_data / "dioptas__Fe3O4C_M1_map_11_P1_E1_001.tif")
    counts = tifffile.imread(real_data / "dioptas__Fe3O4C_M1_map_11_P1_E1_001.tif")
    np.testing.assert_array_equal(frame.mask, counts < 0)  # -1 in gaps, -2 dead
    np.testing.assert_array_equal(frame.saturated, counts >= 2**20)
    assert frame.saturated.sum() == 1


def test_a_rate_corrected_pilatus_saturates_at_the_cutoff_it_states(child, real_data):
    cut = child.decode(real_data / "gisaxsgui__jg_gisaxs_4nm_old_3ml_insitu_ds03_00001_00005.cbf")
    assert cut.image[cut.saturated].min() >= 1382835
    assert cut.image[~cut.saturated].max() < 1382835
    below = child.decode(real_data / "tomekste5__v3_insitu_00001_00001.cbf")
    assert below.image.max() > 2**20  # 1184052 counts, under the stated 1251260
    assert not below.saturated.any()


def test_gaps_written_as_zeros_are_masked(child, real_data):
    frame = child.decode(real_data / "ssrlpyfai__b_toney_lab6_th3_scan1_0008.tif")
    assert frame.mask[:, 487:494].all()
    assert frame.mask[:, 981:988].all()
    assert not np.delete(frame.mask, np.r_[487:494, 981:988], axis=1).any()


def test_an_eiger_pixel_without_a_count_is_masked(child, real_data):
    frame = child.decode(real_data / "bioxtas__vac_007_data_000001.h5", 1)
    assert frame.mask.sum() == 664805
    assert frame.image.max() == 21


def test_the_pixel_mask_of_a_lambda_rules_and_4095_saturates(child, real_data):
    path = real_data / "dioptas__testasapo1_1009_00002_m1_part00000.nxs"
    frame = child.decode(path, 5)
    with h5py.File(path) as file:
        detector = file["entry/instrument/detector"]
        bad = (detector["pixel_mask"][0] & 0xFFFF) != 0
        counts = detector["data"][5]
    np.testing.assert_array_equal(frame.mask, bad | (counts < 0))
    np.testing.assert_array_equal(frame.saturated, (counts == 4095) & ~frame.mask)


def test_only_a_full_geometry_is_one(child, real_data):
    full = child.decode(real_data / "bioxtas__saxslab_image.tiff").geometry
    assert full.distance_m == pytest.approx(0.4875608)
    assert full.wavelength_m == pytest.approx(1.5418e-10)
    assert full.pixel_size_m == pytest.approx((172e-6, 172e-6))
    assert full.beam_center_yx == (359.10, 267.30)
    for name in (
        "bioxtas__GI2_A9_19_001_0000.tiff",  # distance 1.0 m, beam (0, 0)
        "dioptas__CeO2_Pilatus1M.tif",  # no wavelength
        "swaxsdcr__sone_Standards_AgBeh_T20_ctr0_scan1_0000.cbf",
    ):
        assert child.decode(real_data / name).geometry is None


def test_the_beam_centre_of_silver_behenate_is_the_middle_of_its_first_ring(child, real_data):
    frame = child.decode(real_data / "bioxtas__saxslab_image.tiff")
    geometry = frame.geometry
    row, col = np.indices(frame.image.shape)
    radius = np.hypot(row - geometry.beam_center_yx[0], col - geometry.beam_center_yx[1])
    # d = 58.38 A (Huang et al. 1993); theta from Bragg's law.
    theta = np.arcsin(geometry.wavelength_m / (2 * 58.38e-10))
    expected = geometry.distance_m * np.tan(2 * theta) / geometry.pixel_size_m[0]
    for sector in (row < 330, row > 390, col < 240, col > 300):
        near = ~frame.mask & sector & (np.abs(radius - expected) < 12)
        bins = np.round(radius[near]).astype(int)
        profile = np.bincount(bins, frame.image[near]) / np.maximum(np.bincount(bins), 1)
        assert abs(np.argmax(profile) - expected) <= 2


def test_frames_in_the_repository_decode_without_any_other_data(child: DecodeChild):
    hdf5 = child.decode(DATA / "hexrdex__ceria_50x30_740mm_000005_Pilatus2M_3_2.hdf5")
    edf = child.decode(DATA / "swaxsdcr__b_tassone_Standards_LaB6_T20_ctr0_scan1_0000.cbf")
    plain = child.decode(
        DATA / "swaxsdcr__WAXS_b_tassone_Hor_scan_Run4_RampT20_ctr0_scan1_0000.raw"
    )
    assert [hdf5.format, edf.format, plain.format] == ["hdf5", "edf", "int32"]
    assert {frame.image.shape for frame in (hdf5, edf, plain)} == {(195, 487)}
    assert hdf5.image.max() == 314718
    assert edf.image.max() == 10449
    assert plain.image.max() == 1337
