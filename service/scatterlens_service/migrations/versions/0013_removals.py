"""Frames that were deleted, files that are to go, and what retention removed."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tombstones",
        sa.Column("id", serial, nullable=False),
        sa.Column("frame_id", sa.String(length=75), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tombstones_frame_id_id"), "tombstones", ["frame_id", "id"])
    op.create_table(
        "removals",
        sa.Column("id", serial, nullable=False),
        sa.Column("folder", sa.String(length=8), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removals")),
        sqlite_autoincrement=True,
    )
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.add_column(table, sa.Column(column, sa.Double(), nullable=True))


def downgrade() -> None:
    """Undo."""
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_column(table, column)
    op.drop_table("removals")
    op.drop_index(op.f("ix_tombstones_frame_id_id"), table_name="tombstones")
    op.drop_table("tombstones")


_COLUMNS = {
    "frames": ("raw_kept", "raw_removed"),
    "annotations": ("preview_removed", "maps_removed"),
}
