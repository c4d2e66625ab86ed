"""Frames to annotations: the one path that the worker and `--local` share."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scatterlens.schemas import AttributeResult
from scatterlens_models.bundle import Bundle
from scatterlens_models.frame import Frame
from scatterlens_models.preprocess import block_sums, compress, prepare
from scatterlens_models.session import ModelSession
from scatterlens_models.stored import PREVIEW_SIDE, StoredAnnotation


@dataclass(frozen=True, eq=False)
class FrameAnnotation:
    """All that one model says about one frame."""

    probabilities: np.ndarray
    """(A,), calibrated."""
    tags: np.ndarray
    """Probability at or above its threshold, bool (A,)."""
    novelty: float
    """Percentile among validation frames, 0 to 1; near 1 = unlike anything known."""
    mask_fraction: float
    """Share of invalid detector pixels."""
    timings_ms: dict[str, float]
    stored: StoredAnnotation


def attributes_of(annotation: FrameAnnotation, bundle: Bundle) -> list[AttributeResult]:
    """What a model says of each attribute, in the order of its vocabulary."""
    return [
        AttributeResult(
            id=attribute, probability=float(probability), threshold=float(threshold), tag=bool(tag)
        )
        for attribute, probability, threshold, tag in zip(
            bundle.vocabulary.ids,
            annotation.probabilities,
            bundle.thresholds,
            annotation.tags,
            strict=True,
        )
    ]


def preview(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Compressed preview (ph, pw) float16 and its mask; blocks of whole detector pixels."""
    step = -(-max(frame.image.shape) // PREVIEW_SIDE)
    live = block_sums(~frame.mask, step)
    mean = block_sums(frame.image, step) / np.maximum(live, 1)
    return compress(mean).astype(np.float16), live == 0


def annotate_frames(frames: Sequence[Frame], session: ModelSession) -> list[FrameAnnotation]:
    """Annotate frames with one loaded model, in batches that suit its device.

    Timings are per frame: `prepare`, its share of `infer`, and `preview`.
    """
    found = []
    for start in range(0, len(frames), session.batch):
        found += _annotate_batch(frames[start : start + session.batch], session)
    return found


def _annotate_batch(frames: Sequence[Frame], session: ModelSession) -> list[FrameAnnotation]:
    bundle = session.bundle
    prepared, prepare_ms = [], []
    for frame in frames:
        started = time.perf_counter()
        prepared.append(prepare(frame, bundle.preprocess))
        prepare_ms.append(1e3 * (time.perf_counter() - started))
    started = time.perf_counter()
    predictions = session.predict(np.stack([x for x, _ in prepared]))
    infer_ms = 1e3 * (time.perf_counter() - started) / len(frames)
    found = []
    for frame, (_, placement), prediction, prepare_time in zip(
        frames, prepared, predictions, prepare_ms, strict=True
    ):
        started = time.perf_counter()
        small, small_mask = preview(frame)
        attention = prediction.attention_maps
        stored = StoredAnnotation(
            prediction.attribute_maps.astype(np.float16),
            None if attention is None else attention.astype(np.float16),
            prediction.features.astype(np.float16),
            small,
            small_mask,
            frame.mask,
            placement,
        )
        preview_ms = 1e3 * (time.perf_counter() - started)
        found.append(
            FrameAnnotation(
                prediction.probabilities,
                prediction.probabilities >= bundle.thresholds,
                bundle.novelty.percentile(prediction.features.astype(np.float64)),
                float(frame.mask.mean()),
                {
                    "prepare": round(prepare_time, 3),
                    "infer": round(infer_ms, 3),
                    "preview": round(preview_ms, 3),
                },
                stored,
            )
        )
    return found
