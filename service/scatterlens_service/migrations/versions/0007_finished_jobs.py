"""An index to count what was finished lately."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_jobs_finished_state_queue"),
            ["finished", "state", "queue"],
            unique=False,
        )


def downgrade() -> None:
    """Undo; nobody would know what it means that a frame was tried again."""
    op.execute("DELETE FROM events WHERE kind = 'retried'")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_finished_state_queue"))
