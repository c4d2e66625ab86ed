"""The registry of models: versions, aliases, promotions, frames to look at again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _serial() -> sa.Column:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, nullable=False)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "models",
        sa.Column("version", sa.String(length=12), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("vocabulary", sa.String(length=64), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("card", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("gate", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("registered", sa.Double(), nullable=False),
        sa.Column("registered_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_models")),
    )
    op.create_table(
        "aliases",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["models.version"], name=op.f("fk_aliases_version_models")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_aliases")),
    )
    op.create_table(
        "promotions",
        _serial(),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("from_version", sa.String(length=12), nullable=False),
        sa.Column("to_version", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("gate", sa.String(length=8), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reannotations",
        _serial(),
        sa.Column("version", sa.String(length=12), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("below", sa.BigInteger(), nullable=False),
        sa.Column("queued", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("finished", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version"], ["models.version"], name=op.f("fk_reannotations_version_models")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reannotations")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("reannotations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reannotations_finished"), ["finished"], unique=False)
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("refused", sa.JSON(none_as_null=True), nullable=True))
    # SQLite makes the table anew, and would forget that its ids are never used twice.
    with op.batch_alter_table(
        "events", schema=None, table_kwargs={"sqlite_autoincrement": True}
    ) as batch_op:
        batch_op.add_column(sa.Column("change", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.execute("DELETE FROM events WHERE kind = 'model'")
    with op.batch_alter_table(
        "events", schema=None, table_kwargs={"sqlite_autoincrement": True}
    ) as batch_op:
        batch_op.drop_column("change")
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.drop_column("refused")
    op.drop_table("reannotations")
    op.drop_table("promotions")
    op.drop_table("aliases")
    op.drop_table("models")
