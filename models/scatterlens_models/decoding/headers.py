"""Geometry and saturation as the headers of different makers state them."""

import re

from scatterlens_models.decoding.raw import Header, tidy
from scatterlens_models.geometry import HC_EV_M, Geometry, believable_geometry

_NUMBER = r"([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)"
_SAXSLAB_PARAMETER = re.compile(r'<param name="([^"]{1,80})">([^<]{0,500})</param>')


_DETECTOR_KEYS = ("Detector", "description", "detectortype", "DETECTOR", "Model", "type")
_MAX_NAME = 100


def detector_name(header: Header) -> str | None:
    """What a file calls the detector that wrote it, without its serial number."""
    for key in _DETECTOR_KEYS:
        name = str(header.get(key, "")).split(",")[0].strip(" :=\"'")
        if name and name.lower() != "unknown":
            return name[:_MAX_NAME]
    return None


def dectris_header(text: str) -> Header:
    """Entries of the `# Key value` lines that Pilatus detectors write into CBF and TIFF."""
    entries: dict[str, object] = {}
    for line in text.splitlines():
        if line.startswith("# "):
            key, *value = re.split(r"[\s:=]+", line[2:].strip(), maxsplit=1)
            entries[key] = value[0] if value else ""
    return tidy(entries)


def dectris_geometry(header: Header) -> Geometry | None:
    """Geometry of a `dectris_header`."""
    wavelength = _first(header, "Wavelength", rf"{_NUMBER} *A")
    energy = _first(header, "Photon_energy", rf"{_NUMBER} *eV")
    pixel = _numbers(header, "Pixel_size", rf"{_NUMBER} *m *x *{_NUMBER} *m")
    beam = _numbers(header, "Beam_xy", rf"\(? *{_NUMBER} *, *{_NUMBER}")
    return believable_geometry(
        distance_m=_first(header, "Detector_distance", rf"{_NUMBER} *m"),
        wavelength_m=wavelength * 1e-10 if wavelength else HC_EV_M / energy if energy else None,
        pixel_size_m=(pixel[1], pixel[0]) if pixel else None,  # written as x times y
        beam_center_yx=(beam[1], beam[0]) if beam else None,
    )


def dectris_ceiling(header: Header) -> float | None:
    """Count from which on a Pilatus pixel is saturated, after rate correction."""
    return _first(header, "Count_cutoff", _NUMBER)


def saxslab_header(text: str) -> Header:
    """Parameters that SAXSLAB instruments write as XML into the TIFF tag `Artist`."""
    return tidy(dict(_SAXSLAB_PARAMETER.findall(text)))


def saxslab_geometry(header: Header) -> Geometry | None:
    """Geometry of a `saxslab_header`: mm and angstrom, the beam centre as row, column.

    (Rows first: checked on the rings of silver behenate in a frame of 619 x 487 pixels.)
    """
    distance = _first(header, "detector_dist", _NUMBER)
    wavelength = _first(header, "wavelength", _NUMBER)
    pixel = _numbers(header, "pixelsize", rf"{_NUMBER}\s+{_NUMBER}")
    beam = _numbers(header, "beamcenter_actual", rf"{_NUMBER}\s+{_NUMBER}")
    return believable_geometry(
        distance_m=distance * 1e-3 if distance else None,
        wavelength_m=wavelength * 1e-10 if wavelength else None,
        pixel_size_m=(pixel[0] * 1e-3, pixel[1] * 1e-3) if pixel else None,
        beam_center_yx=(beam[0], beam[1]) if beam else None,
    )


def edf_geometry(header: Header) -> Geometry | None:
    """Geometry of the SAXS keys of ESRF, in metres; their pixel centres lie at halves."""
    pixel_y, pixel_x = _first(header, "PSize_2", _NUMBER), _first(header, "PSize_1", _NUMBER)
    beam_y, beam_x = _first(header, "Center_2", _NUMBER), _first(header, "Center_1", _NUMBER)
    return believable_geometry(
        distance_m=_first(header, "SampleDistance", _NUMBER),
        wavelength_m=_first(header, "WaveLength", _NUMBER),
        pixel_size_m=(pixel_y, pixel_x) if pixel_y and pixel_x else None,
        beam_center_yx=(beam_y - 0.5, beam_x - 0.5) if beam_y and beam_x else None,
    )


def _numbers(header: Header, key: str, pattern: str) -> list[float] | None:
    """Numbers of one entry, or None where it is absent or reads otherwise."""
    match = re.match(pattern, str(header.get(key, "")).strip())
    return [float(group) for group in match.groups()] if match else None


def _first(header: Header, key: str, pattern: str) -> float | None:
    numbers = _numbers(header, key, pattern)
    return numbers[0] if numbers else None
