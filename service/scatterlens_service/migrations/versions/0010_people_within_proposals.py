"""People are known by their keys, not by the names of these; they judge within a proposal."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_FIRST_OF_NAME = (
    "(SELECT first.id FROM keys first WHERE first.name = {name}"
    " ORDER BY first.created, first.id LIMIT 1)"
)


def upgrade() -> None:
    """Apply; keys of one name were one person so far, and stay so."""
    for table in ("keys", "sessions", "labels", "searches"):
        op.add_column(
            table, sa.Column("person", sa.String(length=32), nullable=False, server_default="")
        )
    op.add_column(
        "labels", sa.Column("proposal", sa.String(length=100), nullable=False, server_default="")
    )
    op.add_column("events", sa.Column("proposal", sa.String(length=100), nullable=True))
    op.execute(f"UPDATE keys SET person = {_FIRST_OF_NAME.format(name='keys.name')}")
    for table, name in (("sessions", "name"), ("labels", "author"), ("searches", "author")):
        first = _FIRST_OF_NAME.format(name=f"{table}.{name}")
        # Of a name without a key, the name: nobody can be mistaken for them.
        op.execute(f"UPDATE {table} SET person = coalesce({first}, substr({name}, 1, 32))")
    # Within the proposal that its author saw, by the key or as the frame was sent by then.
    op.execute(
        "UPDATE labels SET proposal = coalesce("
        "(SELECT k.proposal FROM keys k WHERE k.id = labels.key_id),"
        " (SELECT s.proposal FROM submissions s WHERE s.frame_id = labels.frame_id"
        " AND s.time <= labels.time ORDER BY s.id DESC LIMIT 1), '')"
    )
    op.execute(
        "UPDATE events SET proposal = coalesce((SELECT s.proposal FROM submissions s"
        " WHERE s.frame_id = events.frame_id AND s.time <= events.time"
        " ORDER BY s.id DESC LIMIT 1), '') WHERE kind = 'labelled'"
    )
    op.drop_index("ix_labels_attribute_frame_id_author_id", "labels")
    op.create_index(
        "ix_labels_attribute_frame_id_proposal_person_id",
        "labels",
        ["attribute", "frame_id", "proposal", "person", "id"],
    )
    with op.batch_alter_table("searches", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("uq_searches_author_name", type_="unique")
        batch_op.drop_column("author")
        batch_op.create_unique_constraint("uq_searches_person_name", ["person", "name"])


def downgrade() -> None:
    """Undo; people are known by the names of their keys again."""
    op.add_column(
        "searches",
        sa.Column("author", sa.String(length=100), nullable=False, server_default=""),
    )
    op.execute(
        "UPDATE searches SET author = coalesce((SELECT k.name FROM keys k"
        " WHERE k.id = searches.person), searches.person)"
    )
    # Namesakes may keep searches of one name: the oldest stays.
    op.execute(
        "DELETE FROM searches WHERE id NOT IN (SELECT min(id) FROM searches GROUP BY author, name)"
    )
    with op.batch_alter_table("searches", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("uq_searches_person_name", type_="unique")
        batch_op.drop_column("person")
        batch_op.create_unique_constraint("uq_searches_author_name", ["author", "name"])
    op.drop_index("ix_labels_attribute_frame_id_proposal_person_id", "labels")
    op.create_index(
        "ix_labels_attribute_frame_id_author_id",
        "labels",
        ["attribute", "frame_id", "author", "id"],
    )
    op.drop_column("events", "proposal")
    op.drop_column("labels", "proposal")
    for table in ("labels", "sessions", "keys"):
        op.drop_column(table, "person")
