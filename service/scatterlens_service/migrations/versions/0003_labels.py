"""Labels of people, and what review queues are ordered by."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_UNCERTAINTY = """
UPDATE scores SET uncertainty = CASE
    WHEN probability = threshold THEN 1.0
    WHEN probability > threshold THEN (1 - probability) / (1 - threshold)
    ELSE probability / threshold
END
"""
_SPREADS = """
INSERT INTO spreads (frame_id, attribute, spread)
SELECT a.frame_id, s.attribute, max(s.probability) - min(s.probability)
FROM scores s JOIN annotations a ON a.id = s.annotation_id
GROUP BY a.frame_id, s.attribute HAVING count(*) > 1
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "labels",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("frame_id", sa.String(length=75), nullable=False),
        sa.Column("attribute", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=8), nullable=True),
        sa.Column("region", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("shown", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("time", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name=op.f("fk_labels_frame_id_frames")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("labels", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_labels_attribute_frame_id_author_id"),
            ["attribute", "frame_id", "author", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_labels_frame_id_id"), ["frame_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_labels_time"), ["time"], unique=False)

    op.create_table(
        "spreads",
        sa.Column("frame_id", sa.String(length=75), nullable=False),
        sa.Column("attribute", sa.String(length=64), nullable=False),
        sa.Column("spread", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name=op.f("fk_spreads_frame_id_frames")
        ),
        sa.PrimaryKeyConstraint("frame_id", "attribute", name=op.f("pk_spreads")),
    )
    op.execute(_SPREADS)
    with op.batch_alter_table("spreads", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_spreads_attribute_spread"), ["attribute", "spread"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_spreads_spread"), ["spread"], unique=False)

    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.add_column(sa.Column("uncertainty", sa.Double(), nullable=True))
    op.execute(_UNCERTAINTY)
    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.alter_column("uncertainty", existing_type=sa.Double(), nullable=False)
        batch_op.create_index(
            batch_op.f("ix_scores_attribute_uncertainty"),
            ["attribute", "uncertainty"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_scores_uncertainty"), ["uncertainty"], unique=False)

    with op.batch_alter_table("annotations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_annotations_model_version_novelty"),
            ["model_version", "novelty"],
            unique=False,
        )


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("annotations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_annotations_model_version_novelty"))

    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_scores_uncertainty"))
        batch_op.drop_index(batch_op.f("ix_scores_attribute_uncertainty"))
        batch_op.drop_column("uncertainty")

    op.drop_table("spreads")
    op.drop_table("labels")
