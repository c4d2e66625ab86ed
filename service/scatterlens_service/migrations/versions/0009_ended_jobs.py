"""An index along which the ends of one queue are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    ended = sa.text("finished IS NOT NULL")
    op.create_index(
        "ix_jobs_ended",
        "jobs",
        ["queue", "state", "finished"],
        sqlite_where=ended,
        postgresql_where=ended,
    )
    op.drop_index("ix_jobs_finished_state_queue", "jobs")


def downgrade() -> None:
    """Undo."""
    op.create_index("ix_jobs_finished_state_queue", "jobs", ["finished", "state", "queue"])
    op.drop_index("ix_jobs_ended", "jobs")
