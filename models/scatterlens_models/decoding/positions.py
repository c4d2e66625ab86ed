"""Motors and frame numbers as the headers of different makers state them."""

import math
import re

from scatterlens_models.decoding.raw import Header

_MOST = 200
_NUMBER_KEYS = ("acq_frame_nb", "frame_number", "image_number", "point_no")
"""Of Lima's EDF files and of area detectors; `Image` only counts the images of one file."""
_DECTRIS_KEYS = ("Start_angle", "Detector_2theta", "Alpha", "Kappa", "Omega", "Phi", "Chi")
_SAXSLAB_KEYS = re.compile(r"sample_[xyz]pos|(?:phi|chi|theta|x|y|z)sam")
_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")


def frame_number(header: Header) -> int | None:
    """What a file calls its number within a scan; None where it tells none."""
    for key in _NUMBER_KEYS:
        text = str(header.get(key, "")).strip()
        if re.fullmatch(r"\d{1,18}", text):
            return int(text)
    return None


def edf_motors(header: Header) -> dict[str, float]:
    """Positions that SPEC and Lima write: names in `motor_mne`, values in `motor_pos`."""
    names = str(header.get("motor_mne", "")).split()
    values = str(header.get("motor_pos", "")).split()
    if len(names) != len(values):  # a header that was cut: nothing says which is which
        return {}
    return _finite(dict(zip(names, values, strict=True)))


def smv_motors(header: Header) -> dict[str, float]:
    """The angle at which an exposure began."""
    return _finite({"phi": header.get("PHI", "")})


def dectris_motors(header: Header) -> dict[str, float]:
    """Angles of a `dectris_header`; zeros are what detectors write that know no motor."""
    found = _finite({key: _leading(header.get(key)) for key in _DECTRIS_KEYS})
    return {name: value for name, value in found.items() if value != 0}


def saxslab_motors(header: Header) -> dict[str, float]:
    """Sample positions of a `saxslab_header`."""
    return _finite({name: value for name, value in header.items() if _SAXSLAB_KEYS.fullmatch(name)})


def _leading(value: str | int | float | None) -> str:
    """The number before a unit, as in `0.1000 deg.`."""
    found = _NUMBER.match(str(value or "").strip())
    return found[0] if found else ""


def _finite(values: dict[str, str | int | float]) -> dict[str, float]:
    found = {}
    for name, value in list(values.items())[:_MOST]:
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number):
            found[name[:100]] = number
    return found
