"""Motors and frame numbers that files tell, each image of a stack its own."""

import numpy as np
import pytest

from scatterlens_models.decoding.decode import decode_frame
from scatterlens_models.decoding.positions import frame_number
from support import detector_files

STACK = np.arange(3 * 20 * 24, dtype=np.uint32).reshape(3, 20, 24) % 97


def motors_of(content: bytes, index: int = 0) -> dict[str, float]:
    return decode_frame(content, index).motors


def test_positions_of_spec_are_read_from_an_edf_header():
    content = detector_files.edf(motor_mne="th phi samx", motor_pos="0.5 -1e1 3.25")
    assert motors_of(content) == {"th": 0.5, "phi": -10.0, "samx": 3.25}


def test_names_without_as_many_positions_are_no_motors():
    assert motors_of(detector_files.edf(motor_mne="th phi", motor_pos="0.5")) == {}
    assert motors_of(detector_files.edf(motor_mne="th phi", motor_pos="nan x")) == {}


def test_an_adsc_frame_tells_where_its_rotation_began():
    assert motors_of(detector_files.smv(PHI="12.5")) == {"phi": 12.5}


@pytest.mark.parametrize("place", ["sample/positioners", "instrument/positioners", "positioners"])
def test_each_image_of_a_stack_has_its_own_positions(place):
    content = detector_files.hdf5(
        {
            "entry/data/data": STACK,
            f"entry/{place}/samx": np.array([1.0, 2.5, 4.0]),
            f"entry/{place}/temperature": 300.0,
            f"entry/{place}/th/value": np.array([0, 1, 2]),
            f"entry/{place}/th/value_set": np.array([0, 1, 2]),
            f"entry/{place}/lost": np.array([1.0, np.nan, np.inf]),
            f"entry/{place}/of_another_scan": np.array([1.0, 2.0]),
            f"entry/{place}/table": np.zeros((3, 3)),
        }
    )
    always = {"temperature": 300.0}
    assert motors_of(content, 0) == {"samx": 1.0, "th": 0.0, "lost": 1.0, **always}
    assert motors_of(content, 1) == {"samx": 2.5, "th": 1.0, **always}
    assert motors_of(content, 2) == {"samx": 4.0, "th": 2.0, **always}


def test_a_goniometer_has_angles_and_not_their_increments():
    content = detector_files.hdf5(
        {
            "entry/data/data": STACK,
            "entry/sample/goniometer/omega": np.array([0.0, 0.1, 0.2]),
            "entry/sample/goniometer/omega_end": np.array([0.1, 0.2, 0.3]),
            "entry/sample/goniometer/omega_increment": 0.1,
        }
    )
    assert motors_of(content, 2) == {"omega": 0.2}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"acq_frame_nb": "4"}, 4),
        ({"frame_number": 17}, 17),
        ({"Image": "3"}, None),
        ({"acq_frame_nb": "-1"}, None),
        ({"acq_frame_nb": "4.5"}, None),
    ],
)
def test_a_frame_number_is_read_where_the_header_tells_one(header, expected):
    assert frame_number(header) == expected
