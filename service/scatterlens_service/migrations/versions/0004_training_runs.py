"""Training runs, events that are of no frame, and workers that train."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("newest_label", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reached", sa.Double(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_runs_time"), ["time"], unique=False)

    # SQLite copies the table for it; ids must go on to be used once only.
    with op.batch_alter_table(
        "events", schema=None, table_kwargs={"sqlite_autoincrement": True}
    ) as batch_op:
        batch_op.add_column(sa.Column("details", sa.JSON(none_as_null=True), nullable=True))
        batch_op.alter_column("frame_id", existing_type=sa.String(length=75), nullable=True)

    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("role", sa.String(length=16), nullable=False, server_default="annotate")
        )
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.alter_column("role", existing_type=sa.String(length=16), server_default=None)


def downgrade() -> None:
    """Undo; training runs and what was told of them are forgotten."""
    op.execute("DELETE FROM workers WHERE role <> 'annotate'")
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.drop_column("role")
    op.execute("DELETE FROM jobs WHERE kind = 'train'")
    op.execute("DELETE FROM events WHERE frame_id IS NULL")
    with op.batch_alter_table(
        "events", schema=None, table_kwargs={"sqlite_autoincrement": True}
    ) as batch_op:
        batch_op.alter_column("frame_id", existing_type=sa.String(length=75), nullable=False)
        batch_op.drop_column("details")
    op.drop_table("runs")
