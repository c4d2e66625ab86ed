"""From what the models package says to what the ledger stores."""

import math
from dataclasses import asdict
from typing import Any

from scatterlens.schemas import Reason
from scatterlens_models.annotate import FrameAnnotation, attributes_of
from scatterlens_models.decoding.headers import detector_name
from scatterlens_models.decoding.positions import frame_number
from scatterlens_models.frame import Frame
from scatterlens_models.gradients import NoGradientsError
from scatterlens_models.session import ModelSession
from scatterlens_service.ledger import NewAnnotation


def to_row(
    frame: Frame, annotation: FrameAnnotation, session: ModelSession, blob: str, decode_ms: float
) -> NewAnnotation:
    """The ledger's row of an annotation whose packed arrays are kept as `blob`."""
    return NewAnnotation(
        scores=attributes_of(annotation, session.bundle),
        novelty=float(annotation.novelty),
        mask_fraction=float(annotation.mask_fraction),
        timings_ms={"decode": round(decode_ms, 3), **annotation.timings_ms},
        provider=session.provider,
        blob=blob,
        shape=(int(frame.image.shape[0]), int(frame.image.shape[1])),
        header=to_json(frame.header),
        detector=to_json(detector_name(frame.header)),
        motors=to_json(frame.motors) or None,
        frame_number=frame_number(frame.header),
        features=annotation.stored.features.astype("<f2").tobytes(),
        geometry=None if frame.geometry is None else to_json(asdict(frame.geometry)),
    )


def to_json(value: Any) -> Any:
    """The same value as databases take it: no NaN or infinity, no NUL, plain types."""
    match value:
        case dict():
            return {to_json(str(key)): to_json(item) for key, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case _:
            return str(value).replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def no_gradients(error: NoGradientsError) -> Reason:
    """Verdict on a picture that the model cannot give."""
    return Reason(
        type="no_gradients",
        title="The model has no gradient maps",
        detail=str(error),
        remedy="Ask for another model; GET /api/v1/models says which have them.",
    )


def lost_file(error: Exception) -> Reason:
    """Verdict on a frame whose kept file is gone or damaged."""
    return Reason(
        type="wrong_digest",
        title="The kept file is not the one that was sent",
        detail=str(error),
        remedy="Send the frame again; if this repeats, check the disk that holds the blobs.",
    )
