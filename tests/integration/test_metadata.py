"""What is told of frames: sent again, corrected, counted in scans, kept apart by proposal."""

import pytest
from sqlalchemy import func, select

from scatterlens_service import ledger
from scatterlens_service.ledger import (
    FrameFilter,
    FrameTakenError,
    ModelVersion,
    NewFrame,
    Principal,
    Sender,
)
from scatterlens_service.ledger.tables import Submission

AAM = ModelVersion("aam", "aaaaaaaaaaaa")
ADA = Principal("k1", "k1", "ada", "scientist", frozenset({"frames:write"}))
FULL = Sender(
    author="ada",
    scan="7",
    sample="LaB6",
    technique="WAXS",
    details={"motors": {"th": 1.0, "phi": 2.0}, "geometry": {"distance_m": 1.0}, "extra": {"a": 1}},
)


def frame(number: int, **options) -> NewFrame:
    return NewFrame(f"{number:064x}", 1000, "edf", **options)


def submit(engine, *frames: NewFrame, sender: Sender = Sender()):
    with ledger.writing(engine) as session:
        return ledger.submit(session, frames, sender, [AAM])


def read(engine, number: int = 1, **asked):
    with ledger.reading(engine) as session:
        return ledger.get_frame(session, frame(number).id, production=AAM.version, **asked)


def describe(engine, row, caller: Principal = ADA, **said) -> bool:
    with ledger.writing(engine) as session:
        return ledger.describe(session, row, said, caller)


def found(engine, **wanted) -> list[str]:
    with ledger.reading(engine) as session:
        rows = ledger.list_frames(session, FrameFilter(**wanted), production=AAM.version)
    return [row.frame_id for row in rows.items]


def scans(engine, sees: Principal | None = None) -> dict:
    with ledger.reading(engine) as session:
        rows = ledger.list_scans(session, sees=sees).items
    return {(row.proposal, row.beamline, row.scan): row.frames for row in rows}


def history(engine, row) -> list[dict]:
    with ledger.reading(engine) as session:
        return [dict(one.changes) for one in ledger.metadata_history(session, row)]


def kinds(engine, sees: Principal | None = None) -> list[str]:
    with ledger.reading(engine) as session:
        return [event.kind for event in ledger.events_after(session, 0, sees=sees)]


def test_sending_the_same_bytes_again_without_metadata_blanks_nothing(engine):
    submit(engine, frame(1, filename="a_0003.edf"), sender=FULL)
    before = read(engine)
    (again,) = submit(engine, frame(1))
    assert again.duplicate
    assert read(engine) == before
    assert (before.scan, before.motors) == ("7", {"th": 1.0, "phi": 2.0})
    assert found(engine, scan="7", sample="lab6") == [frame(1).id]
    assert kinds(engine) == ["submitted"]


def test_what_is_said_last_counts_field_by_field_in_every_view(engine):
    submit(engine, frame(1), frame(2), sender=FULL)
    later = Sender(scan="8", details={"motors": {"th": 5.0}, "extra": {"b": [1]}})
    submit(engine, frame(1), sender=later)
    row = read(engine)
    assert (row.scan, row.sample, row.technique) == ("8", "LaB6", "WAXS")
    assert row.motors == {"th": 5.0, "phi": 2.0}
    assert row.details["extra"] == {"a": 1, "b": [1]}
    assert row.details["geometry"] == {"distance_m": 1.0}
    assert found(engine, scan="8") == [frame(1).id]
    assert found(engine, scan="7") == [frame(2).id]
    assert scans(engine) == {(None, None, "7"): 1, (None, None, "8"): 1}
    with ledger.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Submission)) == 2
    assert history(engine, row) == [
        {
            "scan": ["7", "8"],
            "motors": [{"th": 1.0, "phi": 2.0}, {"th": 5.0, "phi": 2.0}],
            "extra": [{"a": 1}, {"a": 1, "b": [1]}],
        }
    ]
    assert kinds(engine) == ["submitted", "submitted", "described"]


def test_a_frame_without_a_proposal_in_the_request_is_the_one_that_is_known(engine):
    submit(engine, frame(1), sender=Sender(proposal="p1", beamline="i22", scan="7"))
    submit(engine, frame(1), sender=Sender(sample="glass"))
    row = read(engine)
    assert (row.proposal, row.beamline, row.scan, row.sample) == ("p1", "i22", "7", "glass")
    assert scans(engine) == {("p1", "i22", "7"): 1}


def test_who_names_none_of_several_proposals_changes_the_record_of_none(engine):
    for proposal in ("p1", "p2"):
        submit(engine, frame(1), sender=Sender(proposal=proposal, scan=f"of {proposal}"))
    submit(engine, frame(1), sender=Sender(scan="of nobody"))
    submit(engine, frame(1), sender=Sender(sample="glass"))
    for proposal in ("p1", "p2"):
        row = read(engine, proposal=proposal)
        assert (row.scan, row.sample) == (f"of {proposal}", None)
        assert history(engine, row) == []
    untold = read(engine, proposal="")
    assert (untold.scan, untold.sample) == ("of nobody", "glass")


def test_another_proposal_starts_with_nothing_and_changes_nothing(engine):
    submit(engine, frame(1), sender=Sender(proposal="p1", sample="secret", scan="7"))
    (answer,) = submit(engine, frame(1), sender=Sender(proposal="p2", scan="7"))
    assert not answer.duplicate  # that somebody else sent the same is not told
    p1, p2 = (
        Principal("k", "k", "x", "scientist", frozenset(), proposal=name) for name in ("p1", "p2")
    )
    assert (read(engine, sees=p2).sample, read(engine, sees=p1).sample) == (None, "secret")
    assert read(engine, proposal="p1").sample == "secret"
    assert read(engine).proposal == "p2"
    assert scans(engine) == {("p1", None, "7"): 1, ("p2", None, "7"): 1}
    assert kinds(engine, p1) == ["submitted"]
    with ledger.reading(engine) as session:
        assert ledger.places_of(session, frame(1).id, p1) == [("p1", None)]
        assert ledger.places_of(session, frame(1).id, None) == [("p2", None), ("p1", None)]


def test_a_correction_is_kept_with_what_stood_there(engine):
    submit(engine, frame(1), sender=FULL)
    row = read(engine)
    assert describe(
        engine, row, sample="CeO2", scan=None, motors={"th": None, "chi": 3.0}, extra={"a": None}
    )
    now = read(engine)
    assert (now.sample, now.scan, now.motors) == ("CeO2", None, {"phi": 2.0, "chi": 3.0})
    assert "extra" not in now.details
    assert found(engine, scan="7") == []
    assert scans(engine) == {}
    assert not describe(engine, now, sample="CeO2")
    (change,) = history(engine, now)
    assert change["sample"] == ["LaB6", "CeO2"]
    assert change["extra"] == [{"a": 1}, None]
    # What a later submission does not say stays as it was corrected.
    submit(engine, frame(1), sender=Sender(technique="SAXS"))
    assert (read(engine).sample, read(engine).technique) == ("CeO2", "SAXS")


def test_a_frame_can_move_to_another_proposal_with_what_was_said_of_it(engine):
    submit(engine, frame(1), sender=Sender(scan="7"))
    with ledger.writing(engine) as session:
        ledger.put_labels(session, frame(1).id, "", ADA, {"ring": ledger.Judgement("present")})
    assert describe(engine, read(engine), proposal="p1")
    with ledger.reading(engine) as session:
        (label,) = ledger.current_labels(session, frame(1).id, "p1")
    assert label.value == "present"
    assert scans(engine) == {("p1", None, "7"): 1}
    submit(engine, frame(1), sender=Sender(proposal="p2"))
    with pytest.raises(FrameTakenError, match="'p1'"):
        describe(engine, read(engine, proposal="p2"), proposal="p1")
    assert read(engine, proposal="p2").proposal == "p2"


def test_a_number_that_was_told_outlives_a_guess(engine):
    submit(engine, frame(1, likely_number=3))
    assert read(engine).frame_number == 3
    submit(engine, frame(1, frame_number=12))
    submit(engine, frame(1, likely_number=4))
    assert read(engine).frame_number == 12


def test_a_scan_name_that_several_proposals_have_is_not_guessed(engine):
    for proposal in ("p1", "p2"):
        submit(engine, frame(1), sender=Sender(proposal=proposal, scan="7"))
    with ledger.reading(engine) as session:
        with pytest.raises(ledger.AmbiguousScanError, match="proposal p1"):
            ledger.find_scan(session, "7")
        guest = Principal("k", "k", "x", "viewer", frozenset(), proposal="p2")
        for asked in ({"proposal": "p2"}, {"sees": guest}):
            assert ledger.find_scan(session, "7", **asked).proposal == "p2"
        assert ledger.find_scan(session, "8") is None
