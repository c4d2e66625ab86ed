"""Keeping what searches read: findings and features."""

import struct
from collections.abc import Collection, Sequence

from sqlalchemy import (
    BigInteger,
    Double,
    LargeBinary,
    String,
    and_,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import Session, aliased

from scatterlens_service.ledger.metadata import hold_frames
from scatterlens_service.ledger.search_tables import Finding, FrameFeatures
from scatterlens_service.ledger.tables import Annotation, Submission

_COLUMNS = (
    "model_version",
    "submission_id",
    "annotation_id",
    "novelty",
    "uncertainty",
    "probabilities",
)


def pack_number(value: float) -> bytes:
    """A float32 whose bytes compare as the number does; for numbers that are not negative."""
    return struct.pack(">f", value)


def pack_probabilities(probabilities: Sequence[float]) -> bytes:
    """Of all attributes, in the vocabulary's order."""
    return struct.pack(f">{len(probabilities)}f", *probabilities)


def unpack_probability(packed: bytes, position: int) -> float:
    """Of the attribute at a position of the vocabulary."""
    return struct.unpack_from(">f", packed, 4 * position)[0]


def add_findings(
    session: Session,
    annotation: Annotation,
    probabilities: Sequence[float],
    uncertainty: float,
) -> None:
    """Put a new annotation beside every submission of its frame.

    The caller has changed the frame's row before, as `copy_findings` locks it: of an annotation
    and a submission that come at once, the second sees the first.
    """
    rows = select(
        literal(annotation.model_version, String),
        Submission.id,
        literal(annotation.id, BigInteger),
        literal(annotation.novelty, Double),
        literal(uncertainty, Double),
        literal(pack_probabilities(probabilities), LargeBinary),
    ).where(Submission.frame_id == annotation.frame_id)
    session.execute(insert(Finding).from_select(_COLUMNS, rows))


def add_features(session: Session, annotation: Annotation, vector: bytes) -> None:
    """Keep the features of a new annotation."""
    session.execute(
        insert(FrameFeatures).values(
            annotation_id=annotation.id, model_version=annotation.model_version, vector=vector
        )
    )


def copy_findings(session: Session, known: Collection[str], fingerprints: Collection[str]) -> None:
    """Put the annotations of frames that were known before beside their new submissions."""
    hold_frames(session, known)
    earlier = aliased(Submission)
    first = (
        select(func.min(earlier.id))
        .where(earlier.frame_id == Submission.frame_id)
        .scalar_subquery()
    )
    rows = (
        select(
            Finding.model_version,
            Submission.id,
            Finding.annotation_id,
            Finding.novelty,
            Finding.uncertainty,
            Finding.probabilities,
        )
        .join(Annotation, Annotation.frame_id == Submission.frame_id)
        .join(
            Finding,
            and_(
                Finding.model_version == Annotation.model_version,
                Finding.submission_id == first,
            ),
        )
        .where(Submission.fingerprint.in_(fingerprints), Submission.frame_id.in_(known))
    )
    session.execute(insert(Finding).from_select(_COLUMNS, rows))
