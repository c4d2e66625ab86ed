"""What the networks made of frames, in portions, for whoever keeps it in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.search_tables import FrameFeatures
from scatterlens_service.ledger.tables import Annotation


@dataclass(frozen=True)
class FeatureRows:
    """A portion of one model version's features, in the order of annotations."""

    annotation_ids: Sequence[int]
    frame_ids: Sequence[str]
    vectors: Sequence[bytes]
    """float16 (D,) each, lowest byte first."""


def features_after(session: Session, version: str, after: int, limit: int) -> FeatureRows:
    """Features of annotations with ids above `after`."""
    rows = session.execute(
        select(FrameFeatures.annotation_id, Annotation.frame_id, FrameFeatures.vector)
        .join(Annotation, Annotation.id == FrameFeatures.annotation_id)
        .where(FrameFeatures.model_version == version, FrameFeatures.annotation_id > after)
        .order_by(FrameFeatures.annotation_id)
        .limit(limit)
    ).all()
    ids, frames, vectors = zip(*rows, strict=True) if rows else ((), (), ())
    return FeatureRows(ids, frames, vectors)
