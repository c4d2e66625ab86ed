"""How unsure models are, kept with their answers so that review queues need not compute it."""

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scatterlens_service.ledger.tables import Annotation, Score, Spread


def uncertainty(probability: float, threshold: float) -> float:
    """1 at the threshold, falling evenly to 0 at the probabilities 0 and 1.

    The plain distance would call every absent attribute with a low threshold uncertain.
    """
    if probability == threshold:
        return 1.0
    if probability > threshold:
        return (1 - probability) / (1 - threshold)
    return probability / threshold


def record_spread(session: Session, frame_id: str) -> None:
    """Keep how far the models that have annotated a frame differ, once there are two.

    The caller has changed the frame's row before, in the same transaction: of two models that
    answer at once the second waits there, and then sees what the first one said.
    """
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    differing = (
        select(
            Annotation.frame_id,
            Score.attribute,
            func.max(Score.probability) - func.min(Score.probability),
        )
        .join(Score, Score.annotation_id == Annotation.id)
        .where(Annotation.frame_id == frame_id)
        .group_by(Annotation.frame_id, Score.attribute)
        .having(func.count() > 1)
    )
    adding = insert(Spread).from_select(["frame_id", "attribute", "spread"], differing)
    session.execute(
        adding.on_conflict_do_update(
            index_elements=["frame_id", "attribute"], set_={"spread": adding.excluded.spread}
        )
    )
