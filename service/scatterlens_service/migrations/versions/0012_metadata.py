"""One row for a frame within a proposal and a beamline, its changes beside it; motors of files."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_PORTION = 2000
_TOLD = ("filename", "scan", "sample", "frame_number", "technique")

_submissions = sa.table(
    "submissions",
    sa.column("id", sa.BigInteger),
    sa.column("fingerprint", sa.String),
    sa.column("frame_id", sa.String),
    sa.column("proposal", sa.String),
    sa.column("beamline", sa.String),
    *(sa.column(name, sa.BigInteger if name == "frame_number" else sa.String) for name in _TOLD),
    sa.column("details", sa.JSON),
)
_findings = sa.table("findings", sa.column("submission_id", sa.BigInteger))


def upgrade() -> None:
    """Apply; of several submissions of a frame, what was told last counts, field by field."""
    op.create_table(
        "metadata_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("submission_id", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.Column("author", sa.String(length=100), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submissions.id"],
            name=op.f("fk_metadata_changes_submission_id_submissions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metadata_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_metadata_changes_submission_id_id"), "metadata_changes", ["submission_id", "id"]
    )
    op.add_column("frames", sa.Column("motors", sa.JSON(none_as_null=True), nullable=True))
    _merge_submissions()
    _renew_fingerprints()
    op.execute("DELETE FROM scans")
    op.execute(
        "INSERT INTO scans (proposal, beamline, scan, frames, first, last, newest)"
        " SELECT coalesce(proposal, ''), coalesce(beamline, ''), scan, count(*), min(time),"
        " max(time), max(id) FROM submissions WHERE scan IS NOT NULL"
        " GROUP BY coalesce(proposal, ''), coalesce(beamline, ''), scan"
    )


def _merge_submissions() -> None:
    connection = op.get_bind()
    several = (
        sa.select(_submissions.c.frame_id)
        .group_by(_submissions.c.frame_id)
        .having(sa.func.count() > 1)
    )
    frame_ids = connection.scalars(several).all()
    for start in range(0, len(frame_ids), 500):
        portion = frame_ids[start : start + 500]
        rows = connection.execute(
            sa.select(_submissions)
            .where(_submissions.c.frame_id.in_(portion))
            .order_by(_submissions.c.frame_id, _submissions.c.id)
        ).mappings()
        kept: list[dict[str, Any]] = []
        merged: list[int] = []
        for row in rows:
            said = dict(row)
            into = next((one for one in reversed(kept) if _is_meant(one, said)), None)
            if into is None:
                kept.append(said)
                continue
            merged.append(said["id"])
            into |= {name: said[name] for name in _TOLD if said[name] is not None}
            into["details"] = {**into["details"], **said["details"]}
        if not merged:
            continue
        connection.execute(_findings.delete().where(_findings.c.submission_id.in_(merged)))
        connection.execute(_submissions.delete().where(_submissions.c.id.in_(merged)))
        for one in kept:
            connection.execute(
                _submissions.update()
                .where(_submissions.c.id == one["id"])
                .values({name: one[name] for name in (*_TOLD, "details")})
            )


def _is_meant(known: dict[str, Any], said: dict[str, Any]) -> bool:
    """Whether a later submission speaks of the same frame within the same proposal."""
    return known["frame_id"] == said["frame_id"] and all(
        said[name] in (None, known[name]) for name in ("proposal", "beamline")
    )


def _renew_fingerprints() -> None:
    connection = op.get_bind()
    table = _submissions.c
    renewing = (
        _submissions.update()
        .where(table.id == sa.bindparam("of"))
        .values(fingerprint=sa.bindparam("renewed"))
    )
    after = 0
    while True:
        rows = connection.execute(
            sa.select(table.id, table.frame_id, table.proposal, table.beamline)
            .where(table.id > after)
            .order_by(table.id)
            .limit(_PORTION)
        ).all()
        if not rows:
            return
        connection.execute(
            renewing,
            [
                {
                    "of": id_,
                    "renewed": hashlib.sha256(
                        json.dumps([frame_id, proposal, beamline]).encode()
                    ).hexdigest(),
                }
                for id_, frame_id, proposal, beamline in rows
            ],
        )
        after = rows[-1].id


def downgrade() -> None:
    """Undo; what was merged stays so, and the history of changes is lost."""
    op.drop_column("frames", "motors")
    op.drop_table("metadata_changes")
