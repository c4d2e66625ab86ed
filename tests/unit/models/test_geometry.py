"""Geometry from PONI texts and headers: true ones read, defaults taken for nothing."""

import math

import numpy as np
import pytest

from scatterlens_models.decoding.headers import (
    dectris_ceiling,
    dectris_geometry,
    dectris_header,
    edf_geometry,
    saxslab_geometry,
    saxslab_header,
)
from scatterlens_models.geometry import believable_geometry, parse_poni

PONI = """# Nota: C-Order, 1 refers to the Y axis, 2 to the X axis
# Calibration done at Fri Sep 11 14:00:00 2026
poni_version: 2.1
Detector: Detector
Detector_config: {"pixel1": 0.000172, "pixel2": 0.0001, "max_shape": [1679, 1475], "orientation": 3}
Distance: 2.5
Poni1: 0.0861
Poni2: 0.05005
Rot1: 0.0
Rot2: 0.0
Rot3: 0.0
Wavelength: 1.54e-10
"""


def poni(**changes: object) -> str:
    lines = []
    for line in PONI.splitlines():
        key = line.partition(":")[0]
        lines.append(f"{key}: {changes[key]}" if key in changes else line)
    return "\n".join(line for line in lines if not line.endswith(": None"))


def test_a_flat_detector_has_its_beam_where_the_poni_is():
    geometry = parse_poni(PONI)
    assert geometry.distance_m == 2.5
    assert geometry.wavelength_m == 1.54e-10
    assert geometry.pixel_size_m == (0.000172, 0.0001)
    # 0.0861 / 172e-6 = 500.58 pixels from the outer edge; pixel centres lie at integers.
    assert geometry.beam_center_yx == pytest.approx((500.0814, 500.0), abs=1e-3)


def test_the_beam_of_a_tilted_detector_is_where_rotation_matrices_put_it():
    rot1, rot2 = 0.11, -0.23
    geometry = parse_poni(poni(Rot1=rot1, Rot2=rot2))
    turn1 = np.array(
        [[1, 0, 0], [0, math.cos(rot1), math.sin(rot1)], [0, -math.sin(rot1), math.cos(rot1)]]
    )
    turn2 = np.array(
        [[math.cos(rot2), 0, -math.sin(rot2)], [0, 1, 0], [math.sin(rot2), 0, math.cos(rot2)]]
    )
    row, col = geometry.beam_center_yx
    pixel_y, pixel_x = geometry.pixel_size_m
    on_detector = np.array([(row + 0.5) * pixel_y - 0.0861, (col + 0.5) * pixel_x - 0.05005, 2.5])
    along_beam = turn2 @ turn1 @ on_detector
    np.testing.assert_allclose(along_beam, [0, 0, geometry.distance_m], atol=1e-12)


def test_a_named_detector_brings_its_pixel_size():
    geometry = parse_poni(poni(Detector="Pilatus1M", Detector_config="{}"))
    assert geometry.pixel_size_m == (172e-6, 172e-6)


def test_the_last_calibration_of_a_poni_file_counts():
    assert parse_poni(PONI + PONI.replace("2.5", "3.5")).distance_m == 3.5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Wavelength": None}, "lacks 'wavelength'"),
        ({"Distance": "far"}, "far"),
        ({"Distance": "0"}, "not > 0"),
        ({"Detector": "Homemade", "Detector_config": "{}"}, "state pixel1"),
        ({"Detector_config": '{"pixel1": 1e-4, "orientation": 2}'}, "orientation 3"),
    ],
)
def test_a_poni_text_that_lacks_something_says_what(changes, says):
    with pytest.raises(ValueError, match=says):
        parse_poni(poni(**changes))


@pytest.mark.parametrize(
    "parts",
    [
        (None, 1e-10, (1e-4, 1e-4), (5.0, 5.0)),
        (1.0, None, (1e-4, 1e-4), (5.0, 5.0)),
        (1.0, 1e-10, None, (5.0, 5.0)),
        (1.0, 1e-10, (1e-4, 1e-4), None),
        (1.0, 1e-10, (1e-4, 1e-4), (0.0, 0.0)),
        (0.0, 1e-10, (1e-4, 1e-4), (5.0, 5.0)),
        (1.0, math.nan, (1e-4, 1e-4), (5.0, 5.0)),
        (1.0, 1e-10, (1e-4, -1e-4), (5.0, 5.0)),
    ],
)
def test_missing_parts_and_defaults_are_no_geometry(parts):
    assert believable_geometry(*parts) is None


PILATUS = """# Pixel_size 172e-6 m x 172e-6 m
# Count_cutoff 1097223 counts
# Wavelength 1.0 A
# Detector_distance 0.21143 m
# Beam_xy (498.18, 515.77) pixels
"""


def test_a_pilatus_header_gives_row_and_column_of_the_beam():
    header = dectris_header(PILATUS)
    geometry = dectris_geometry(header)
    assert geometry is not None
    assert geometry.beam_center_yx == (515.77, 498.18)
    assert geometry.distance_m == 0.21143
    assert geometry.wavelength_m == pytest.approx(1e-10)
    assert dectris_ceiling(header) == 1097223


def test_a_pilatus_header_of_defaults_is_no_geometry():
    defaults = PILATUS.replace("0.21143", "1.00000").replace("498.18, 515.77", "0.00, 0.00")
    assert dectris_geometry(dectris_header(defaults)) is None
    assert dectris_geometry(dectris_header(PILATUS.replace("# Wavelength 1.0 A", ""))) is None


def test_a_photon_energy_stands_for_the_wavelength():
    text = PILATUS.replace("# Wavelength 1.0 A", "# Photon_energy 12398.42 eV")
    geometry = dectris_geometry(dectris_header(text))
    assert geometry is not None
    assert geometry.wavelength_m == pytest.approx(1e-10, rel=1e-6)


def test_saxslab_parameters_are_in_mm_and_angstrom():
    text = "".join(
        f'<param name="{key}">{value}</param>'
        for key, value in {
            "pixelsize": "0.172 0.172",
            "beamcenter_actual": "359.10    267.30",
            "wavelength": "1.5418",
            "detector_dist": "487.5608",
        }.items()
    )
    geometry = saxslab_geometry(saxslab_header(text))
    assert geometry is not None
    assert geometry.beam_center_yx == (359.10, 267.30)
    assert geometry.distance_m == pytest.approx(0.4875608)


def test_esrf_keys_put_pixel_centres_at_halves():
    header = {
        "PSize_1": "172e-6",
        "PSize_2": "100e-6",
        "Center_1": "10.5",
        "Center_2": "20.5",
        "SampleDistance": "3.0",
        "WaveLength": "1e-10",
    }
    geometry = edf_geometry(dict(header))
    assert geometry is not None
    assert geometry.beam_center_yx == (20.0, 10.0)
    assert geometry.pixel_size_m == (100e-6, 172e-6)
    assert edf_geometry({**header, "Center_1": "0", "Center_2": "0"}) is None
