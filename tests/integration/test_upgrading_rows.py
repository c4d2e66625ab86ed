"""Rows of ledgers that earlier versions wrote, after the migrations that change their meaning."""

import json
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from scatterlens_service import ledger, migrations
from scatterlens_service.ledger import FrameFilter

VERSION = "aaaaaaaaaaaa"
FRAME = f"{1:064x}"


def migrate_to(engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.execution_options(scatterlens_writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


@pytest.fixture
def earlier(engine):
    """A ledger as it was when each sending was a row, and names were people."""
    migrate_to(engine, "0009")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO frames (id, sha256, format, size_bytes, created)"
                " VALUES (:id, :id, 'edf', 1, 1.0)"
            ),
            {"id": FRAME},
        )
        adding = text(
            "INSERT INTO submissions (fingerprint, frame_id, filename, proposal, scan, sample,"
            " details, key_id, time) VALUES (:n, :frame, :filename, :proposal, :scan, :sample,"
            " :details, 'k1', :time)"
        )
        for time, proposal, scan, sample, details in (
            (1.0, None, "7", "LaB6", {"motors": {"th": 1.0}}),
            (2.0, None, None, None, {}),
            (3.0, "P2", "7", "secret", {}),
            (4.0, "P2", "8", None, {"geometry": {"distance_m": 1.0}}),
        ):
            row = {"n": f"{time}", "frame": FRAME, "filename": "a.edf", "time": time}
            told = {"proposal": proposal, "scan": scan, "sample": sample}
            connection.execute(adding, {**row, **told, "details": json.dumps(details)})
        connection.execute(
            text(
                "INSERT INTO scans (proposal, beamline, scan, frames, first, last, newest)"
                " VALUES ('', '', '7', 1, 1, 1, 1), ('P2', '', '7', 1, 3, 3, 3),"
                " ('P2', '', '8', 1, 4, 4, 4)"
            )
        )
        for key_id, name, proposal in (
            ("k1", "ada", None),
            ("k2", "ada", None),
            ("k3", "bo", "P2"),
        ):
            connection.execute(
                text(
                    "INSERT INTO keys (id, name, secret_sha256, role, scopes, proposal, created)"
                    " VALUES (:id, :name, 'x', 'scientist', '[]', :proposal, :created)"
                ),
                {"id": key_id, "name": name, "proposal": proposal, "created": float(key_id[1])},
            )
        for key_id, author, time, value in (
            ("k1", "ada", 2.5, "present"),
            ("k2", "ada", 2.6, "absent"),
            ("k3", "bo", 3.5, "unsure"),
        ):
            connection.execute(
                text(
                    "INSERT INTO labels (frame_id, attribute, author, key_id, value, time)"
                    " VALUES (:frame, 'ring', :author, :key, :value, :time)"
                ),
                {"frame": FRAME, "author": author, "key": key_id, "value": value, "time": time},
            )
        connection.execute(
            text("INSERT INTO searches (author, name, query, time) VALUES ('ada', 'mine', '', 1.0)")
        )
    return engine


def test_sendings_of_a_frame_become_one_row_within_each_proposal(earlier):
    migrations.migrate_engine(earlier)
    with ledger.reading(earlier) as session:
        rows = {
            row.proposal: row
            for proposal in ("", "P2")
            if (row := ledger.get_frame(session, FRAME, production=VERSION, proposal=proposal))
        }
        scans = {(one.proposal, one.scan): one.frames for one in ledger.list_scans(session).items}
        found = ledger.list_frames(session, FrameFilter(scan="7"), production=VERSION).items
    first, second = rows[None], rows["P2"]
    assert (first.scan, first.sample, first.motors) == ("7", "LaB6", {"th": 1.0})
    assert (second.scan, second.sample) == ("8", "secret")
    assert second.details == {"geometry": {"distance_m": 1.0}}
    assert scans == {(None, "7"): 1, ("P2", "8"): 1}
    assert [row.proposal for row in found] == [None]


def test_keys_of_one_name_stay_one_person_and_labels_go_to_their_proposal(earlier):
    migrations.migrate_engine(earlier)
    with ledger.reading(earlier) as session:
        ours = ledger.current_labels(session, FRAME, "")
        theirs = ledger.current_labels(session, FRAME, "P2")
        ada = ledger.Principal("k2", "k1", "ada", "scientist", frozenset())
        assert [one.name for one in ledger.list_searches(session, ada)] == ["mine"]
        assert {row.id: row.person for row in ledger.list_keys(session)} == {
            "k1": "k1",
            "k2": "k1",
            "k3": "k3",
        }
    assert [(row.person, row.value) for row in ours] == [("k1", "absent")]
    assert [(row.person, row.value) for row in theirs] == [("k3", "unsure")]
