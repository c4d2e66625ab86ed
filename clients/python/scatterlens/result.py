"""What a model says about one frame, with its arrays fetched when they are asked for."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from scatterlens.errors import UnknownAttribute
from scatterlens.schemas import Annotation, ModelRef

if TYPE_CHECKING:
    import numpy as np


class Arrays(Protocol):
    """Where a result's arrays come from: a gateway, or a computation in this process."""

    def overlay(self, annotation: Annotation, attribute: str) -> "np.ndarray":
        """Return an attribute's map on detector pixels: float32 (H, W), NaN where masked."""
        ...

    def attention(self, annotation: Annotation, name: str) -> "np.ndarray":
        """Return an attention map on detector pixels: float32 (H, W), NaN where masked."""
        ...

    def preview(self, annotation: Annotation) -> "np.ndarray":
        """Return mean counts: float32 (h, w), longest side 1024, NaN where masked."""
        ...

    def picture(self, annotation: Annotation, attribute: str) -> bytes:
        """Return a PNG of the frame with the attribute's overlay on it."""
        ...


@dataclass(frozen=True)
class Result:
    """The annotation of one frame by one model version."""

    annotation: Annotation
    _arrays: Arrays = field(repr=False, compare=False)

    @property
    def frame_id(self) -> str:
        """The file's sha256, with `.<index>` inside a stack."""
        return self.annotation.frame_id

    @property
    def model(self) -> ModelRef:
        """Name and version of the model that looked."""
        return self.annotation.model

    @property
    def probabilities(self) -> dict[str, float]:
        """Calibrated probability by attribute id, the likeliest first."""
        ranked = sorted(self.annotation.attributes, key=lambda one: -one.probability)
        return {one.id: one.probability for one in ranked}

    @property
    def tags(self) -> list[str]:
        """Ids of the attributes at or above their thresholds, the likeliest first."""
        above = {one.id for one in self.annotation.attributes if one.tag}
        return [attribute for attribute in self.probabilities if attribute in above]

    @property
    def novelty(self) -> float | None:
        """Percentile of how unlike the validation frames this one is; near 1 = unknown kind."""
        return self.annotation.novelty

    def overlay(self, attribute: str) -> "np.ndarray":
        """Return where the attribute was seen: float32 (H, W) on detector pixels, NaN if masked.

        Raises:
            UnknownAttribute: the model does not know this id; the text names those it knows.

        """
        self._check(attribute)
        return self._arrays.overlay(self.annotation, attribute)

    def attention(self, name: str) -> "np.ndarray":
        """Return what the network attended to, whatever the attribute: as `overlay`.

        `Client.models` lists the names (`attention_names`) of each model.

        Raises:
            NotFound: the model has no attention map of that name; the text lists those it has.

        """
        return self._arrays.attention(self.annotation, name)

    def preview(self) -> "np.ndarray":
        """Return the frame made small: mean counts (h, w), longest side 1024, NaN if masked."""
        return self._arrays.preview(self.annotation)

    def picture(self, attribute: str) -> bytes:
        """Return a PNG of the frame with the overlay of one attribute on it."""
        self._check(attribute)
        return self._arrays.picture(self.annotation, attribute)

    def _check(self, attribute: str) -> None:
        known = list(self.probabilities)
        if attribute not in known:
            raise UnknownAttribute(attribute, known)

    def __repr__(self) -> str:
        seen = ", ".join(f"{tag} {self.probabilities[tag]:.2f}" for tag in self.tags)
        return (
            f"<Result of {self.model.name}@{self.model.version} on {self.frame_id[:12]}: "
            f"{seen or 'no attribute above its threshold'}>"
        )
