"""Detector files with known truth: a scene on the detector's own pixels, as an instrument saves it.

Beside each file lie its PONI and `NAME.truth.json`: labels, detectability, geometry, scene.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from scatterlens_models.geometry import Geometry
from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.detector import detect, noise_generator
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.geometry import pose, wavelength_angstrom
from scatterlens_models.synthetic.labels import Labelled, label
from scatterlens_models.synthetic.render import render, render_native
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.synthetic.scene import Instrument, SceneParams
from scatterlens_models.vocabulary import Vocabulary, load_vocabulary

_NOT_LIVE = -1
"""Value of gaps and dead pixels in formats of signed counts, as Pilatus detectors write it."""


class UnknownFormatError(ValueError):
    """No writer for that format; the message lists those that exist."""


@dataclass(frozen=True, eq=False)
class NativeFrame:
    """One simulated exposure on the detector's own pixels."""

    scene: SceneParams
    counts: np.ndarray
    """int32 (rows, cols); -1 where a pixel is not live."""
    geometry: Geometry
    ceiling: float
    """Counts at which a pixel is saturated."""
    labelled: Labelled
    """The same truth as that of the prepared frame of this scene."""
    vocabulary: Vocabulary


def expose(scene: SceneParams, vocabulary: Vocabulary) -> NativeFrame:
    """Draw the counts of a scene on the detector's own pixels."""
    rendered = render(scene)
    visibility = judge(scene, rendered)
    expected, here = render_native(scene, visibility.amplitudes)
    rng = noise_generator(scene.seed, scene.index)
    counts, coverage = detect(scene, expected, here.coverage, here.grid, rng)
    live = coverage > 0.5
    return NativeFrame(
        scene=scene,
        counts=np.where(live, np.round(counts), _NOT_LIVE).astype(np.int32),
        geometry=geometry_of(scene.instrument),
        ceiling=DETECTORS[scene.instrument.detector].saturation,
        labelled=label(scene, visibility, rendered, vocabulary),
        vocabulary=vocabulary,
    )


def geometry_of(instrument: Instrument) -> Geometry:
    """What a file of this instrument states; headers know of no tilt."""
    pixel_m = DETECTORS[instrument.detector].pixel_m
    wavelength_m = wavelength_angstrom(instrument.energy_kev) * 1e-10
    return Geometry(instrument.distance_m, wavelength_m, (pixel_m, pixel_m), instrument.beam_yx)


def write_frames(
    folder: Path,
    seed: int,
    indices: range,
    suffix: str,
    profile: str = "realistic",
    vocabulary: str = "aam20",
) -> Iterator[Path]:
    """Write frames `indices` of a seed; yields the path of each detector file.

    A file appears under its name when it is whole, its truth before it.

    Raises:
        UnknownFormatError: no writer for `suffix`.
        UnknownVocabularyError: no such vocabulary.
        OSError: the disk does not take a file; no half file is left.
    """
    if suffix not in WRITERS:
        raise UnknownFormatError(f"no format {suffix!r}; there are {', '.join(WRITERS)}")
    folder.mkdir(parents=True, exist_ok=True)
    attributes = load_vocabulary(vocabulary)
    for index in indices:
        frame = expose(sample(seed, index, profile), attributes)
        path = folder / f"{profile}-{seed}-{index:07d}.{suffix}"
        path.with_suffix(".poni").write_text(poni(frame.scene.instrument), encoding="utf-8")
        path.with_suffix(".truth.json").write_text(truth(frame), encoding="utf-8")
        # Watchers of folders leave names alone that end so.
        partial = path.with_suffix(f".{suffix}.partial")
        try:
            WRITERS[suffix](frame, partial)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        partial.rename(path)
        yield path


def truth(frame: NativeFrame) -> str:
    """All that is known of a frame, as JSON."""
    ids, labelled = frame.vocabulary.ids, frame.labelled
    named = {
        word: [name for name, value in zip(ids, labelled.labels, strict=True) if value == sign]
        for word, sign in (("present", 1), ("unsure", -1))
    }
    geometry = frame.geometry
    content = {
        "vocabulary": frame.vocabulary.name,
        **named,
        "detectability": dict(zip(ids, labelled.dprime.round(3).tolist(), strict=True)),
        "distance_m": geometry.distance_m,
        "wavelength_m": geometry.wavelength_m,
        "pixel_size_m": geometry.pixel_size_m,
        "beam_center_yx": geometry.beam_center_yx,
        "scene": json.loads(frame.scene.to_json()),
    }
    return json.dumps(content, indent=1) + "\n"


def poni(instrument: Instrument) -> str:
    """The geometry as pyFAI reads it: PONI 2.1, with the detector's tilt."""
    geometry, stand = geometry_of(instrument), pose(instrument)
    pixel_y, pixel_x = geometry.pixel_size_m
    config = json.dumps({"pixel1": pixel_y, "pixel2": pixel_x, "orientation": 3})
    return (
        "poni_version: 2.1\n"
        "Detector: Detector\n"
        f"Detector_config: {config}\n"
        f"Distance: {stand.distance_m!r}\n"
        f"Poni1: {(stand.poni_yx[0] + 0.5) * pixel_y!r}\n"
        f"Poni2: {(stand.poni_yx[1] + 0.5) * pixel_x!r}\n"
        f"Rot1: {instrument.tilt[0]!r}\nRot2: {instrument.tilt[1]!r}\nRot3: 0.0\n"
        f"Wavelength: {geometry.wavelength_m!r}\n"
    )


# Writers


def _write_edf(frame: NativeFrame, path: Path) -> None:
    """The SAXS keys of ESRF; pixel centres lie at halves there."""
    from fabio.edfimage import EdfImage

    geometry = frame.geometry
    (pixel_y, pixel_x), (beam_y, beam_x) = geometry.pixel_size_m, geometry.beam_center_yx
    keys = {
        "SampleDistance": geometry.distance_m,
        "WaveLength": geometry.wavelength_m,
        "PSize_1": pixel_x,
        "PSize_2": pixel_y,
        "Center_1": beam_x + 0.5,
        "Center_2": beam_y + 0.5,
    }
    header = {key: repr(value) for key, value in keys.items()}
    EdfImage(data=frame.counts, header=header).write(str(path))


def _dectris_lines(frame: NativeFrame) -> str:
    """The header that Pilatus detectors write into CBF and TIFF."""
    geometry = frame.geometry
    (pixel_y, pixel_x), (beam_y, beam_x) = geometry.pixel_size_m, geometry.beam_center_yx
    return "\r\n".join(
        (
            f"# Detector: simulated {frame.scene.instrument.detector}",
            f"# Pixel_size {pixel_x!r} m x {pixel_y!r} m",
            f"# Count_cutoff {frame.ceiling:.0f} counts",
            f"# Wavelength {geometry.wavelength_m * 1e10!r} A",
            f"# Detector_distance {geometry.distance_m!r} m",
            f"# Beam_xy ({beam_x!r}, {beam_y!r}) pixels",
        )
    )


def _write_cbf(frame: NativeFrame, path: Path) -> None:
    from fabio.cbfimage import CbfImage

    header = {
        "_array_data.header_convention": "PILATUS_1.2",
        "_array_data.header_contents": _dectris_lines(frame),
    }
    CbfImage(data=frame.counts, header=header).write(str(path))


def _write_tiff(frame: NativeFrame, path: Path) -> None:
    import tifffile

    text = _dectris_lines(frame).replace("\r", "")
    tifffile.imwrite(path, frame.counts, description=text, metadata=None)


def _write_nexus(frame: NativeFrame, path: Path) -> None:
    write_stack([frame], path)


def write_stack(
    frames: Sequence[NativeFrame], path: Path, motors: Mapping[str, Sequence[float]] | None = None
) -> None:
    """NeXus with the names that Eiger detectors use; gaps hold the largest number.

    Args:
        frames: of one instrument.
        path: of the file.
        motors: positions of the sample's stage, one for each frame.
    """
    frame = frames[0]
    geometry, live = frame.geometry, frame.counts != _NOT_LIVE
    (pixel_y, pixel_x), (beam_y, beam_x) = geometry.pixel_size_m, geometry.beam_center_yx
    counts = np.stack([one.counts for one in frames])
    pixels = np.where(counts != _NOT_LIVE, counts, np.iinfo(np.uint32).max).astype(np.uint32)
    # In memory first: the library may crash where a disk that is full meets it.
    with h5py.File(path, "w", driver="core", backing_store=False) as file:
        entry = _group(file, "entry", "NXentry")
        compact = hdf5plugin.Bitshuffle(cname="lz4")
        _group(entry, "data", "NXdata").create_dataset(
            "data", data=pixels, chunks=(1, *live.shape), **compact
        )
        instrument = _group(entry, "instrument", "NXinstrument")
        detector = _group(instrument, "detector", "NXdetector")
        detector["description"] = f"simulated {frame.scene.instrument.detector}"
        detector["pixel_mask"] = (~live).astype(np.uint32)
        detector["saturation_value"] = np.uint32(min(frame.ceiling, 2**32 - 2))
        detector["beam_center_x"], detector["beam_center_y"] = beam_x, beam_y
        for name, length_m in (
            ("detector_distance", geometry.distance_m),
            ("x_pixel_size", pixel_x),
            ("y_pixel_size", pixel_y),
        ):
            detector[name] = length_m
            detector[name].attrs["units"] = "m"
        beam = _group(instrument, "beam", "NXbeam")
        beam["incident_wavelength"] = geometry.wavelength_m * 1e10
        beam["incident_wavelength"].attrs["units"] = "angstrom"
        if motors:
            stage = _group(_group(entry, "sample", "NXsample"), "positioners", "NXcollection")
            for name, positions in motors.items():
                stage[name] = np.asarray(positions, dtype=np.float64)
        file.flush()
        path.write_bytes(file.id.get_file_image())


def _group(parent: h5py.Group, name: str, nexus_class: str) -> h5py.Group:
    made = parent.create_group(name)
    made.attrs["NX_class"] = nexus_class
    return made


WRITERS: dict[str, Callable[[NativeFrame, Path], None]] = {
    "edf": _write_edf,
    "cbf": _write_cbf,
    "tif": _write_tiff,
    "h5": _write_nexus,
}
"""By the end of the file's name."""
