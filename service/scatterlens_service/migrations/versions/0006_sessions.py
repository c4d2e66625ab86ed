"""Sessions of browsers that are logged in; when keys were last used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("proposal", sa.String(length=100), nullable=True),
        sa.Column("beamline", sa.String(length=100), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("used", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_sessions")),
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sessions_key_id"), ["key_id"], unique=False)
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("used", sa.Double(), nullable=True))


def downgrade() -> None:
    """Undo; everybody is logged out."""
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.drop_column("used")
    op.drop_table("sessions")
