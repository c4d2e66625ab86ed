"""Annotation on this machine, without a gateway: the same decoding, network and words.

`scatterlens annotate --local` finds `annotate` by the entry-point group `scatterlens.local`.
"""

import atexit
import hashlib
import re
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from scatterlens.folders import home_folder
from scatterlens.schemas import Annotation, GeometryIn, ModelRef, State
from scatterlens_models.annotate import FrameAnnotation, annotate_frames, attributes_of
from scatterlens_models.bundle import (
    DEFAULT_BUNDLE,
    Bundle,
    find_bundle,
    load_bundle,
)
from scatterlens_models.decoding import DecodeChild, DecodeCrashed, FrameRejected
from scatterlens_models.frame import Frame
from scatterlens_models.overlay import overlay
from scatterlens_models.reasons import reason_of
from scatterlens_models.session import ModelSession

_SELECTION = re.compile(r"(\d{1,9})(?::(\d{1,9}))?")


class SelectionError(ValueError):
    """The choice of frames cannot be read; the text says how to write it."""


@dataclass(frozen=True, eq=False)
class LocalAnnotation:
    """What came of one frame; `found`, `frame` and `bundle` are None where it was refused."""

    said: Annotation
    """With `reason` instead of attributes where the frame was refused."""
    found: FrameAnnotation | None = None
    frame: Frame | None = None
    bundle: Bundle | None = None

    def overlay(self, attribute: str) -> np.ndarray:
        """Where an attribute was seen: float32 (H, W) on detector pixels, NaN on masked ones."""
        if self.found is None:
            raise ValueError(f"{self.said.frame_id} has no overlay: {self.said.reason}")
        stored = self.found.stored
        index = [one.id for one in self.said.attributes].index(attribute)
        return overlay(stored.attribute_maps[index], stored.placement, stored.mask)

    def attention(self, name: str) -> np.ndarray:
        """What the network attended to: float32 (H, W) on detector pixels, NaN on masked ones."""
        if self.found is None or self.bundle is None:
            raise ValueError(f"{self.said.frame_id} has no maps: {self.said.reason}")
        stored, known = self.found.stored, self.bundle.attention_names
        if stored.attention_maps is None or name not in known:
            raise ValueError(
                f"{self.bundle.name} has no attention map {name!r}; it has"
                f" {', '.join(known) or 'none'}"
            )
        return overlay(stored.attention_maps[known.index(name)], stored.placement, stored.mask)


class LocalAnnotator:
    """Owns a decode child and a loaded model; keep it for many files."""

    def __init__(self, model: str | None = None) -> None:
        bundle = load_bundle(_bundle_path(model))
        self._child = DecodeChild()
        try:
            self._session = ModelSession(bundle)
        except BaseException:
            self._child.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the decode child."""
        self._child.close()

    def annotate(self, path: Path, frames: str | None = None) -> list[LocalAnnotation]:
        """Annotate frames of one file: `i`, `i:j` or `all`; the first one unless told otherwise.

        A file that is refused is one entry that says why. Raises `OSError` where the file cannot
        be opened and `SelectionError` where `frames` cannot be read.
        """
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        try:
            count = self._twice(lambda: self._child.probe(path).frames)
            indices = _select(frames or "0", count)
        except (FrameRejected, DecodeCrashed) as error:
            return [self._refused(digest, error)]
        return [
            self._annotate_one(path, digest if count == 1 else f"{digest}.{index}", index)
            for index in indices
        ]

    def _annotate_one(self, path: Path, frame_id: str, index: int) -> LocalAnnotation:
        started = time.perf_counter()
        try:
            frame = self._twice(lambda: self._child.decode(path, index))
        except (FrameRejected, DecodeCrashed) as error:
            return self._refused(frame_id, error)
        decode_ms = 1e3 * (time.perf_counter() - started)
        (found,) = annotate_frames([frame], self._session)
        bundle, geometry = self._session.bundle, None
        if frame.geometry is not None:
            geometry = GeometryIn.model_validate(asdict(frame.geometry))
        said = Annotation(
            frame_id=frame_id,
            state=State.DONE,
            model=self._model(),
            attributes=attributes_of(found, bundle),
            geometry=geometry,
            mask_fraction=found.mask_fraction,
            novelty=found.novelty,
            timings_ms={"decode": round(decode_ms, 3), **found.timings_ms},
        )
        return LocalAnnotation(said, found, frame, bundle)

    def _refused(self, frame_id: str, error: FrameRejected | DecodeCrashed) -> LocalAnnotation:
        state = State.FAILED if isinstance(error, FrameRejected) else State.QUARANTINED
        return LocalAnnotation(
            Annotation(frame_id=frame_id, state=state, model=self._model(), reason=reason_of(error))
        )

    def _model(self) -> ModelRef:
        bundle = self._session.bundle
        return ModelRef(name=bundle.name, version=bundle.version)

    @staticmethod
    def _twice(decode: Any) -> Any:
        """A child may die of what else happens on the machine: one death is no verdict."""
        try:
            return decode()
        except DecodeCrashed:
            return decode()


def annotate_with_arrays(
    path: Path, frames: str | None, model: str | None
) -> list[LocalAnnotation]:
    """Annotate frames of one file and keep the arrays; the model stays loaded for the next."""
    return _shared(model).annotate(path, frames)


def annotate(path: Path, frames: str | None, model: str | None) -> list[dict[str, Any]]:
    """Annotate frames of one file: dicts in the wire shape of an annotation."""
    return [one.said.model_dump(mode="json") for one in annotate_with_arrays(path, frames, model)]


@lru_cache(maxsize=1)
def _shared(model: str | None) -> LocalAnnotator:
    annotator = LocalAnnotator(model)
    atexit.register(annotator.close)
    return annotator


def _bundle_path(model: str | None) -> Path:
    """Folder of the model asked for by name or by its folder, or of the default one."""
    if model is not None and (Path(model) / "bundle.json").is_file():
        return Path(model)
    return find_bundle(model or DEFAULT_BUNDLE, home_folder())


def _select(text: str, count: int) -> range:
    """Chosen indices of a stack of `count` frames; what lies beyond its end is a verdict."""
    if text == "all":
        return range(count)
    found = _SELECTION.fullmatch(text)
    if found is None or (found[2] is not None and int(found[2]) <= int(found[1])):
        raise SelectionError(f"frames={text!r} cannot be read: write all, i, or i:j with i < j")
    first = int(found[1])
    chosen = range(count)[first : int(found[2]) if found[2] else first + 1]
    if not chosen:
        raise FrameRejected(
            "no_image",
            "The file has no such frame",
            f"It holds {count}, counted from 0.",
            f"Choose within 0:{count}.",
        )
    return chosen
