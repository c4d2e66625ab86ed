"""What searches read: findings, features, scans; searches that are kept; names of detectors."""

import struct
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PORTION = 2000


def _serial() -> sa.Column:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, nullable=False)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "findings",
        sa.Column("model_version", sa.String(length=12), nullable=False),
        sa.Column("submission_id", sa.BigInteger(), nullable=False),
        sa.Column("annotation_id", sa.BigInteger(), nullable=False),
        sa.Column("novelty", sa.Double(), nullable=True),
        sa.Column("uncertainty", sa.Double(), nullable=False),
        sa.Column("probabilities", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotation_id"],
            ["annotations.id"],
            name=op.f("fk_findings_annotation_id_annotations"),
        ),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submissions.id"],
            name=op.f("fk_findings_submission_id_submissions"),
        ),
        sa.PrimaryKeyConstraint("model_version", "submission_id", name=op.f("pk_findings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "features",
        sa.Column("annotation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_version", sa.String(length=12), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotation_id"],
            ["annotations.id"],
            name=op.f("fk_features_annotation_id_annotations"),
        ),
        sa.PrimaryKeyConstraint("annotation_id", name=op.f("pk_features")),
    )
    with op.batch_alter_table("features", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_features_model_version_annotation_id"),
            ["model_version", "annotation_id"],
            unique=False,
        )
    op.create_table(
        "scans",
        _serial(),
        sa.Column("proposal", sa.String(length=100), nullable=False),
        sa.Column("beamline", sa.String(length=100), nullable=False),
        sa.Column("scan", sa.String(length=200), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scans")),
        sa.UniqueConstraint(
            "proposal", "beamline", "scan", name=op.f("uq_scans_proposal_beamline_scan")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("scans", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scans_newest"), ["newest"], unique=False)
    op.create_table(
        "searches",
        _serial(),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
        sa.UniqueConstraint("author", "name", name=op.f("uq_searches_author_name")),
        sqlite_autoincrement=True,
    )
    op.add_column("frames", sa.Column("detector", sa.String(length=100), nullable=True))
    op.create_index(op.f("ix_submissions_time"), "submissions", ["time"])
    op.create_index(op.f("ix_submissions_beamline_id"), "submissions", ["beamline", "id"])
    op.create_index(
        op.f("ix_submissions_scan_frame_number_id"),
        "submissions",
        ["scan", "frame_number", "id"],
    )
    op.execute(
        "INSERT INTO scans (proposal, beamline, scan, frames, first, last, newest)"
        " SELECT coalesce(proposal, ''), coalesce(beamline, ''), scan, count(*), min(time),"
        " max(time), max(id) FROM submissions WHERE scan IS NOT NULL"
        " GROUP BY coalesce(proposal, ''), coalesce(beamline, ''), scan"
    )
    _derive_findings()


def _derive_findings() -> None:
    connection = op.get_bind()
    scores = sa.text(
        "SELECT a.id, a.model_version, a.frame_id, a.novelty, s.probability, s.uncertainty"
        " FROM annotations a JOIN scores s ON s.annotation_id = a.id"
        " WHERE a.id > :after AND a.id <= :after + :portion ORDER BY a.id, s.position"
    )
    adding = sa.text(
        "INSERT INTO findings (model_version, submission_id, annotation_id, novelty, uncertainty,"
        " probabilities) SELECT CAST(:version AS VARCHAR(12)), id, CAST(:id AS BIGINT),"
        " CAST(:novelty AS DOUBLE PRECISION), CAST(:uncertainty AS DOUBLE PRECISION), :packed"
        " FROM submissions WHERE frame_id = :frame_id"
    ).bindparams(sa.bindparam("packed", type_=sa.LargeBinary()))
    newest = connection.scalar(sa.text("SELECT max(id) FROM annotations")) or 0
    for after in range(0, newest, _PORTION):
        rows = connection.execute(scores, {"after": after, "portion": _PORTION}).all()
        found = []
        for (id_, version, frame_id, novelty), group in groupby(rows, key=lambda row: row[:4]):
            of_frame = list(group)
            found.append(
                {
                    "id": id_,
                    "version": version,
                    "frame_id": frame_id,
                    "novelty": novelty,
                    "uncertainty": max(row.uncertainty for row in of_frame),
                    "packed": struct.pack(
                        f">{len(of_frame)}f", *(row.probability for row in of_frame)
                    ),
                }
            )
        if found:
            connection.execute(adding, found)


def downgrade() -> None:
    """Undo; saved searches are lost."""
    op.drop_index(op.f("ix_submissions_scan_frame_number_id"), "submissions")
    op.drop_index(op.f("ix_submissions_time"), "submissions")
    op.drop_index(op.f("ix_submissions_beamline_id"), "submissions")
    op.drop_column("frames", "detector")
    op.drop_table("searches")
    op.drop_table("scans")
    op.drop_table("features")
    op.drop_table("findings")
