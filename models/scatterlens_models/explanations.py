"""Where a bundle looked in a frame, by every method that it offers.

`scatterlens explain` finds `explain` by the entry-point group `scatterlens.local`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from scatterlens.schemas import Annotation
from scatterlens_models.annotate import FrameAnnotation
from scatterlens_models.bundle import Bundle
from scatterlens_models.frame import Frame
from scatterlens_models.gradients import GradientSession, NoGradientsError
from scatterlens_models.local import annotate_with_arrays
from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import prepare

GRADIENTS = ("gradcam", "a_ch", "a_px")
METHODS = ("cam", "patch", "attention", *GRADIENTS)
"""`cam`: signed evidence for an attribute, the attribute map of the bundle. `patch`: weights of
the patches, whatever the attribute (Loss-Attention). `attention`: all that the network attends to
whatever the attribute. The others: gradients of an attribute at an inner layer (see
`nets.gradient_maps`), from the bundle's second graph."""
PATCH_WEIGHTS = "patch_weights"
"""Name of the attention map that patch networks give."""


class NoSuchMapError(ValueError):
    """A bundle has no map of the method that was asked for; the message says what it has."""


@dataclass(frozen=True, eq=False)
class EvidenceMap:
    """One map of one frame."""

    method: str
    """A name in `METHODS`."""
    name: str
    """Id of the attribute, or name of the attention map."""
    probability: float | None
    """Of the attribute, calibrated; None for maps that belong to no attribute."""
    values: np.ndarray
    """float32 (H, W) on detector pixels, NaN on masked ones."""
    dark: float
    """Value to draw without colour: 0, but the smallest of an attention map, which may be 0.5
    where nothing is attended to."""
    full_colour: float
    """Value to draw in full colour. Of `cam` it is the bundle's own, so that colours compare
    between frames; of the others it is the largest value of this map."""


@dataclass(frozen=True, eq=False)
class Explained:
    """What came of one frame; `frame` is None and there are no maps where it was refused."""

    said: Annotation
    """The wire shape of an annotation."""
    frame: Frame | None
    maps: list[EvidenceMap]


def explain(
    path: Path,
    frames: str | None,
    model: str | None,
    methods: Sequence[str] = ("cam",),
    attributes: Sequence[str] = (),
) -> Iterator[Explained]:
    """Annotate frames of one file and give the maps of each by some methods.

    Args:
        path: a detector file.
        frames: `i`, `i:j` or `all`; the first one where None.
        model: name or folder of a bundle; the first one shipped where None.
        methods: names in `METHODS`.
        attributes: ids; without any, the frame's tags, or its likeliest attribute where it has
            none.

    Raises:
        OSError: the file cannot be opened.
        ValueError: an unknown method or attribute, a method that the bundle lacks, or `frames`
            that cannot be read.
    """
    for one in annotate_with_arrays(path, frames, model):
        if one.found is None or one.frame is None or one.bundle is None:
            yield Explained(one.said, None, [])
            continue
        chosen = list(attributes) or _seen(one.bundle, one.found)
        for attribute in chosen:
            one.bundle.vocabulary.index(attribute)  # before anything is computed
        maps = [
            found
            for method in methods
            for found in evidence_maps(one.frame, one.found, one.bundle, method, chosen)
        ]
        yield Explained(one.said, one.frame, maps)


def evidence_maps(
    frame: Frame, found: FrameAnnotation, bundle: Bundle, method: str, attributes: Sequence[str]
) -> Iterator[EvidenceMap]:
    """Maps of an annotated frame by one method, on detector pixels.

    Args:
        frame: the decoded frame.
        found: what the bundle said of it.
        bundle: the bundle.
        method: a name in `METHODS`.
        attributes: ids, for the methods that look for an attribute.

    Raises:
        NoSuchMapError: the bundle has no such maps.
        ValueError: an unknown method or attribute.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r} to explain by; there are {', '.join(METHODS)}")
    stored, ids = found.stored, bundle.vocabulary.ids
    if method in ("patch", "attention"):
        for index in _attention(bundle, method):
            cells = np.asarray(stored.attention_maps)[index].astype(np.float32)
            yield EvidenceMap(
                method,
                bundle.attention_names[index],
                None,
                overlay(cells, stored.placement, frame.mask),
                float(cells.min()),
                float(cells.max()),
            )
        return
    for attribute in attributes:
        index = bundle.vocabulary.index(attribute)
        if method == "cam":
            cells = stored.attribute_maps[index].astype(np.float32)
            full_colour = float(bundle.map_scale[index])
        else:
            cells = _gradient_map(frame, bundle, index, method)
            full_colour = float(cells.max())
        yield EvidenceMap(
            method,
            ids[index],
            float(found.probabilities[index]),
            overlay(cells, stored.placement, frame.mask),
            0.0,
            full_colour,
        )


def _attention(bundle: Bundle, method: str) -> list[int]:
    """Positions of the attention maps that a method shows."""
    names = bundle.attention_names
    shown = [i for i, name in enumerate(names) if method == "attention" or name == PATCH_WEIGHTS]
    if not shown:
        raise NoSuchMapError(
            f"{bundle.name} ({bundle.method}) has no {method} maps; ask for `cam`, which every"
            " bundle has"
        )
    return shown


def _seen(bundle: Bundle, found: FrameAnnotation) -> list[str]:
    """Tags, the likeliest first; the likeliest attribute where there are none."""
    order = np.argsort(-found.probabilities)
    return [bundle.vocabulary.ids[i] for i in order if found.tags[i]] or [
        bundle.vocabulary.ids[order[0]]
    ]


def _gradient_map(frame: Frame, bundle: Bundle, attribute: int, method: str) -> np.ndarray:
    prepared, _ = prepare(frame, bundle.preprocess)
    try:
        session = _gradient_session(bundle)
    except NoGradientsError as error:
        raise NoSuchMapError(f"{error}, or ask for `cam`, which every bundle has") from error
    return session.maps(prepared[np.newaxis], attribute)[method][0]


@lru_cache(maxsize=1)
def _gradient_session(bundle: Bundle) -> GradientSession:
    return GradientSession(bundle)
