"""Facts about labels and review queues that hold on SQLite and on PostgreSQL alike."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from scatterlens.schemas import AttributeResult
from scatterlens_service import ledger, migrations
from scatterlens_service.ledger import (
    FrameFilter,
    Judgement,
    ModelVersion,
    NewAnnotation,
    NewFrame,
    Principal,
    Sender,
)
from scatterlens_service.ledger.doubts import uncertainty
from scatterlens_service.ledger.tables import Label, Spread
from scatterlens_service.ledger.tables import Score as ScoreTable

AAM = ModelVersion("aam", "aaaaaaaaaaaa")
VGG = ModelVersion("vgg", "bbbbbbbbbbbb")
ADA = Principal("k1", "k1", "ada", "annotator", frozenset({"labels:write"}))
BO = Principal("k2", "k2", "bo", "annotator", frozenset({"labels:write"}))
PRESENT, ABSENT, UNSURE = Judgement("present"), Judgement("absent"), Judgement("unsure")
WITHDRAWN = Judgement(None)
THRESHOLD = 0.4


def frame(number: int) -> NewFrame:
    return NewFrame(f"{number:064x}", 1000, "edf")


def answer(novelty: float | None = None, **probabilities: float) -> NewAnnotation:
    return NewAnnotation(
        scores=[
            AttributeResult(id=name, probability=p, threshold=THRESHOLD, tag=p >= THRESHOLD)
            for name, p in probabilities.items()
        ],
        novelty=novelty,
        mask_fraction=0.0,
        timings_ms={},
        provider="CPUExecutionProvider",
        blob="b" * 64,
        shape=(10, 20),
        header={},
        geometry=None,
    )


def submit(engine, number: int, sender: Sender = Sender(), models=(AAM,)) -> str:
    with ledger.writing(engine) as session:
        return ledger.submit(session, [frame(number)], sender, models)[0].frame_id


def annotate(
    engine,
    number: int,
    *,
    sender: Sender = Sender(),
    model: ModelVersion = AAM,
    novelty: float | None = None,
    **probabilities: float,
) -> str:
    frame_id = submit(engine, number, sender, (model,))
    with ledger.writing(engine) as session:
        (job,) = ledger.lease(session, "w", 1, 60.0, versions=[model.version])
    with ledger.writing(engine) as session:
        assert ledger.complete(session, job, answer(novelty, **probabilities))
    return frame_id


def put(
    engine, frame_id: str, caller: Principal = ADA, shown=None, within: str = "", **said: Judgement
) -> bool:
    with ledger.writing(engine) as session:
        return ledger.put_labels(session, frame_id, within, caller, said, shown)


def standing(engine, frame_id: str, within: str = "") -> list[tuple[str, str, str | None]]:
    with ledger.reading(engine) as session:
        rows = ledger.current_labels(session, frame_id, within)
    return [(row.author, row.attribute, row.value) for row in rows]


def history(engine, frame_id: str, within: str = "") -> list[ledger.LabelRow]:
    with ledger.reading(engine) as session:
        return ledger.label_history(session, frame_id, within)


def queue(engine, doubt, caller: Principal = ADA, limit=50, **options):
    """A whole queue, read in pages: (frame, attribute, figure)."""
    rows, after = [], None
    while True:
        with ledger.reading(engine) as session:
            page = ledger.list_review(
                session,
                doubt,
                caller,
                model_version=AAM.version,
                after=after,
                limit=limit,
                **options,
            )
        assert len(page.items) <= limit
        rows += [(row.frame.frame_id, row.attribute, row.figure) for row in page.items]
        after = page.following
        if after is None:
            return rows


# --- labels


def test_attributes_that_are_not_named_keep_their_labels(engine):
    frame_id = submit(engine, 1)
    put(engine, frame_id, ring=PRESENT, halo=UNSURE)
    put(engine, frame_id, ring=ABSENT)
    assert standing(engine, frame_id) == [("ada", "halo", "unsure"), ("ada", "ring", "absent")]


def test_each_author_has_labels_of_their_own(engine):
    frame_id = submit(engine, 1)
    put(engine, frame_id, ADA, ring=PRESENT)
    put(engine, frame_id, BO, ring=ABSENT)
    put(engine, frame_id, ADA, ring=WITHDRAWN)
    assert standing(engine, frame_id) == [("bo", "ring", "absent")]


def test_the_history_keeps_who_said_what_when_and_what_was_shown(engine):
    frame_id = submit(engine, 1)
    shown = {"model": "aam@aaaaaaaaaaaa", "probabilities": {"ring": 0.25}}
    corners = ((1.0, 2.0), (5.5, 8.0))
    put(engine, frame_id, ADA, shown, ring=Judgement("present", corners, "a faint one"))
    put(engine, frame_id, BO, ring=ABSENT)
    put(engine, frame_id, ADA, ring=WITHDRAWN)
    first, second, third = history(engine, frame_id)
    assert (first.author, first.value, first.note) == ("ada", "present", "a faint one")
    assert (first.region, first.shown) == (corners, shown)
    assert (second.author, second.value, second.shown) == ("bo", "absent", None)
    assert (third.author, third.value) == ("ada", None)
    assert first.time <= second.time <= third.time
    assert abs(third.time - datetime.now(UTC)) < timedelta(minutes=1)
    with ledger.reading(engine) as session:
        assert list(session.scalars(select(Label.key_id).order_by(Label.id))) == ["k1", "k2", "k1"]


def test_a_next_key_of_the_same_person_goes_on_with_the_same_labels(engine):
    frame_id = submit(engine, 1)
    put(engine, frame_id, ADA, ring=PRESENT)
    renewed = Principal("k9", ADA.person, "Ada L.", "annotator", ADA.scopes)
    assert not put(engine, frame_id, renewed, ring=PRESENT)
    assert put(engine, frame_id, renewed, ring=ABSENT)
    assert standing(engine, frame_id) == [("Ada L.", "ring", "absent")]


def test_a_namesake_is_somebody_else(engine):
    frame_id = submit(engine, 1)
    namesake = Principal("k9", "k9", ADA.name, ADA.role, ADA.scopes)
    put(engine, frame_id, ADA, ring=PRESENT)
    assert put(engine, frame_id, namesake, ring=WITHDRAWN) is False
    assert put(engine, frame_id, namesake, ring=ABSENT)
    assert standing(engine, frame_id) == [("ada", "ring", "present"), ("ada", "ring", "absent")]
    with ledger.writing(engine) as session:
        ledger.save_search(session, ADA, "mine", "scan=1")
        assert ledger.list_searches(session, namesake) == []
        ledger.save_search(session, namesake, "mine", "scan=2")


def test_what_people_say_belongs_to_a_frame_within_a_proposal(engine):
    p1 = Principal("k4", "k4", "eve", "annotator", ADA.scopes, proposal="p1")
    p2 = Principal("k5", "k5", "mallory", "annotator", ADA.scopes, proposal="p2")
    frame_id = annotate(engine, 1, sender=Sender(proposal="p1"), ring=0.9)
    submit(engine, 1, Sender(proposal="p2"))
    put(engine, frame_id, p1, within="p1", ring=Judgement("absent", note="secret"))
    assert standing(engine, frame_id, "p1") == [("eve", "ring", "absent")]
    assert standing(engine, frame_id, "p2") == []
    assert history(engine, frame_id, "p2") == []
    with ledger.reading(engine) as session:
        assert [row.note for row in ledger.export_labels(session, sees=p1)] == ["secret"]
        assert list(ledger.export_labels(session, sees=p2)) == []
        told = [event.kind for event in ledger.events_after(session, 0, sees=p2)]
        assert "labelled" not in told
        for sees, labelled in ((p1, [frame_id]), (p2, [])):
            rows = ledger.list_frames(
                session, FrameFilter(labelled=True), production=AAM.version, sees=sees
            )
            assert [row.frame_id for row in rows.items] == labelled
    assert [row[0] for row in queue(engine, "model_vs_human", p1)] == [frame_id]
    assert queue(engine, "model_vs_human", p2) == []
    # The same person judges it anew for the other proposal, and both stand.
    put(engine, frame_id, p2, within="p2", ring=PRESENT)
    assert standing(engine, frame_id, "p1") == [("eve", "ring", "absent")]
    with ledger.reading(engine) as session:
        rows = ledger.export_labels(session)
        frames = ledger.frames_within(
            session, {(row.frame_id, row.within) for row in rows}, production=AAM.version
        )
    assert {(row.within, frames[row.frame_id, row.within].proposal) for row in rows} == {
        ("p1", "p1"),
        ("p2", "p2"),
    }


def test_saying_the_same_again_adds_no_entry(engine):
    frame_id = submit(engine, 1)
    region = [[1, 2], [3, 4], [5, 0.5]]
    shown = {"model": "aam@aaaaaaaaaaaa", "probabilities": {"ring": 0.1 + 0.2}}
    said = {"ring": Judgement("present", region, "here"), "halo": ABSENT}
    assert put(engine, frame_id, ADA, shown, **said)
    assert not put(engine, frame_id, ADA, shown, **said)
    assert not put(engine, frame_id, ADA, ring_2=WITHDRAWN)
    assert len(history(engine, frame_id)) == 2
    # What was looked at, where it is seen and the note are part of what is said.
    assert put(engine, frame_id, ADA, None, **said)
    assert put(engine, frame_id, ADA, None, ring=Judgement("present", region, "there"))
    assert put(engine, frame_id, ADA, None, ring=WITHDRAWN)
    assert not put(engine, frame_id, ADA, None, ring=WITHDRAWN)
    assert len(history(engine, frame_id)) == 6


def test_the_same_said_by_sixteen_requests_at_once_is_one_entry(engine):
    frame_id = submit(engine, 1)
    barrier = threading.Barrier(16)

    def say(_: int) -> bool:
        barrier.wait()
        return put(engine, frame_id, ring=PRESENT)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(say, range(16))) == 1
    assert len(history(engine, frame_id)) == 1


def test_a_change_of_labels_is_an_event_of_the_frame(engine):
    frame_id = submit(engine, 1)
    put(engine, frame_id, ring=PRESENT)
    put(engine, frame_id, ring=PRESENT)
    with ledger.reading(engine) as session:
        events = ledger.events_after(session, 0)
    assert [event.kind for event in events] == ["submitted", "labelled"]
    assert events[1].frame_id == frame_id


def test_frames_are_found_by_whether_anybody_labels_them(engine):
    labelled, withdrawn, bare = (submit(engine, number) for number in (1, 2, 3))
    put(engine, labelled, ring=UNSURE)
    put(engine, withdrawn, ring=PRESENT)
    put(engine, withdrawn, ring=WITHDRAWN)

    def found(wanted: bool | None) -> set[str]:
        with ledger.reading(engine) as session:
            rows = ledger.list_frames(session, FrameFilter(labelled=wanted), production=AAM.version)
        return {row.frame_id for row in rows.items}

    assert found(True) == {labelled}
    assert found(False) == {withdrawn, bare}
    assert found(None) == {labelled, withdrawn, bare}


# --- export


def test_the_export_has_what_each_author_says_now_in_pages(engine):
    ids = [submit(engine, number) for number in range(5)]
    for frame_id in ids:
        put(engine, frame_id, ADA, ring=PRESENT, halo=ABSENT)
        put(engine, frame_id, BO, ring=UNSURE)
    put(engine, ids[0], ADA, ring=ABSENT)
    put(engine, ids[1], ADA, ring=WITHDRAWN)
    rows, after = [], 0
    while True:
        with ledger.reading(engine) as session:
            page = ledger.export_labels(session, after=after, limit=4)
        rows += page
        if len(page) < 4:
            break
        after = page[-1].id
    assert all(one.id < two.id for one, two in pairwise(rows))
    found = {(row.frame_id, row.attribute, row.author): row.value for row in rows}
    expected = {}
    for frame_id in ids:
        expected[frame_id, "ring", "ada"] = "present"
        expected[frame_id, "halo", "ada"] = "absent"
        expected[frame_id, "ring", "bo"] = "unsure"
    expected[ids[0], "ring", "ada"] = "absent"
    del expected[ids[1], "ring", "ada"]
    assert found == expected
    assert len(rows) == len(expected)


def test_the_export_since_a_time_tells_of_withdrawals_too(engine):
    frame_id = submit(engine, 1)
    put(engine, frame_id, ring=PRESENT, halo=PRESENT)
    put(engine, frame_id, ring=WITHDRAWN)
    last = history(engine, frame_id)[-1].time
    with ledger.reading(engine) as session:
        assert [r.attribute for r in ledger.export_labels(session)] == ["halo"]
        (row,) = ledger.export_labels(session, since=last)
        later = ledger.export_labels(session, since=last + timedelta(seconds=1))
    assert (row.attribute, row.value) == ("ring", None)
    assert later == []


def test_labels_of_frames_that_one_may_not_see_are_not_exported(engine):
    mine = submit(engine, 1, Sender(proposal="p1"))
    theirs = submit(engine, 2, Sender(proposal="p2"))
    for frame_id, within in ((mine, "p1"), (theirs, "p2")):
        put(engine, frame_id, within=within, ring=PRESENT)
    guest = Principal("k3", "k3", "guest", "viewer", frozenset(), proposal="p1")
    with ledger.reading(engine) as session:
        assert {row.frame_id for row in ledger.export_labels(session, sees=guest)} == {mine}


# --- doubts


@pytest.mark.parametrize(
    ("probability", "threshold", "expected"),
    [(0.4, 0.4, 1.0), (0.7, 0.4, 0.5), (0.1, 0.4, 0.25), (0, 0.4, 0), (1, 0.4, 0), (1, 1, 1)],
)
def test_uncertainty_falls_from_the_threshold_to_both_ends(probability, threshold, expected):
    assert uncertainty(probability, threshold) == pytest.approx(expected)
    assert uncertainty(0.0, 0.0) == 1.0
    assert uncertainty(0.5, 0.0) == 0.5


def test_the_most_uncertain_frames_come_first(engine):
    sure = annotate(engine, 1, ring=0.99)
    near = annotate(engine, 2, ring=0.45)
    below = annotate(engine, 3, ring=0.3)
    annotate(engine, 4, model=VGG, ring=0.4)  # another model's doubts are not asked for
    found = queue(engine, "uncertain", attribute="ring")
    assert [row[:2] for row in found] == [(near, "ring"), (below, "ring"), (sure, "ring")]
    assert [row[2] for row in found] == pytest.approx([0.55 / 0.6, 0.3 / 0.4, 0.01 / 0.6])
    assert queue(engine, "uncertain", attribute="ring", limit=1) == found
    assert queue(engine, "uncertain", attribute="halo") == []


def test_a_frame_stands_once_in_a_queue_for_its_greatest_doubt_not_yet_judged(engine):
    one = annotate(engine, 1, ring=0.99, halo=0.45, spotted=0.3)
    two = annotate(engine, 2, ring=0.4, halo=0.4, spotted=0.0)
    expected = [(two, "halo"), (one, "halo")]
    assert [row[:2] for row in queue(engine, "uncertain")] == expected
    put(engine, two, halo=UNSURE)
    put(engine, one, halo=PRESENT)
    assert [row[:2] for row in queue(engine, "uncertain")] == [(two, "ring"), (one, "spotted")]
    assert [row[:2] for row in queue(engine, "uncertain", BO)] == expected
    put(engine, one, ring=PRESENT, spotted=ABSENT)
    assert [row[0] for row in queue(engine, "uncertain")] == [two]
    put(engine, one, halo=WITHDRAWN)
    assert [row[:2] for row in queue(engine, "uncertain")] == [(two, "ring"), (one, "halo")]


def test_models_disagree_by_the_spread_of_their_probabilities(engine):
    one, two, alone = (annotate(engine, n, ring=0.5, halo=0.2) for n in (1, 2, 3))
    annotate(engine, 1, model=VGG, ring=0.75, spotted=0.9)
    annotate(engine, 2, model=VGG, ring=0.4, halo=0.9)
    third = ModelVersion("third", "cccccccccccc")
    annotate(engine, 2, model=third, ring=0.8)
    found = queue(engine, "disagreement", attribute="ring")
    assert [row[:2] for row in found] == [(two, "ring"), (one, "ring")]
    assert [row[2] for row in found] == pytest.approx([0.4, 0.25])
    every = queue(engine, "disagreement", limit=1)
    assert [row[:2] for row in every] == [(two, "halo"), (one, "ring")]
    assert [row[2] for row in every] == pytest.approx([0.7, 0.25])
    assert alone not in {row[0] for row in every}
    put(engine, two, halo=PRESENT)
    assert [row[:2] for row in queue(engine, "disagreement")] == [(two, "ring"), (one, "ring")]


def test_two_models_are_compared_and_a_review_is_counted(engine):
    for number in (1, 2):
        frame_id = annotate(engine, number, ring=0.9, halo=0.6)
        annotate(engine, number, model=VGG, ring=0.2, halo=0.7)
    put(engine, frame_id, ring=ABSENT)
    with ledger.reading(engine) as session:
        found = ledger.compare_models(session, VGG.version, AAM.version, ADA)
        counts = [
            ledger.count_review(session, doubt, ADA, model_version=AAM.version)
            for doubt in ("uncertain", "disagreement", "model_vs_human")
        ]
    ring, halo = sorted(found, key=lambda one: one.attribute, reverse=True)
    assert (ring.attribute, ring.frames) == ("ring", 2)
    assert (ring.both, ring.first, ring.second) == (0, 0, 2)
    assert (ring.difference, ring.distance) == pytest.approx((-0.7, 0.7))
    assert (halo.attribute, halo.both) == ("halo", 2)
    assert [(one.judged, one.frames) for one in counts] == [(1, 2), (1, 2), (None, 1)]


def test_models_that_answer_at_once_are_still_compared(engine):
    models = [ModelVersion(f"m{n}", f"{n:012x}") for n in range(8)]
    frame_id = submit(engine, 1, models=models)
    barrier = threading.Barrier(len(models))

    def answer_as(number: int) -> None:
        with ledger.writing(engine) as session:
            (job,) = ledger.lease(session, f"w{number}", 1, 60.0, versions=[f"{number:012x}"])
        barrier.wait()
        with ledger.writing(engine) as session:
            assert ledger.complete(session, job, answer(ring=number / 8))

    with ThreadPoolExecutor(len(models)) as pool:
        list(pool.map(answer_as, range(len(models))))
    with ledger.reading(engine) as session:
        (kept,) = session.execute(select(Spread.frame_id, Spread.spread)).all()
    assert tuple(kept) == (frame_id, 7 / 8)


def test_tags_against_what_people_say(engine):
    missed = annotate(engine, 1, ring=0.1, halo=0.9)
    invented = annotate(engine, 2, ring=0.95)
    right = annotate(engine, 3, ring=0.95)
    disputed = annotate(engine, 4, ring=0.95)
    for frame_id in (missed, right):
        put(engine, frame_id, ring=PRESENT)
    put(engine, invented, BO, ring=ABSENT)
    put(engine, disputed, ADA, ring=ABSENT)
    put(engine, disputed, BO, ring=PRESENT)
    found = queue(engine, "model_vs_human", limit=1)
    # One's own labels are not left out.
    assert [row[:2] for row in found] == [(invented, "ring"), (missed, "ring")]
    assert [row[2] for row in found] == pytest.approx([0.95, 0.9])
    put(engine, missed, halo=ABSENT)
    put(engine, missed, ring=Judgement("unsure"))
    assert [row[:2] for row in queue(engine, "model_vs_human")] == [
        (invented, "ring"),
        (missed, "halo"),
    ]
    assert queue(engine, "model_vs_human", attribute="halo") == [(missed, "halo", 0.9)]


def test_the_most_novel_frames_come_first(engine):
    usual = annotate(engine, 1, novelty=0.2, ring=0.5)
    strange = annotate(engine, 2, novelty=0.99, ring=0.5)
    annotate(engine, 3, ring=0.5)  # its bundle cannot tell
    assert queue(engine, "novel", limit=1) == [(strange, None, 0.99), (usual, None, 0.2)]
    put(engine, strange, ring=PRESENT)
    assert queue(engine, "novel") == [(usual, None, 0.2)]
    assert queue(engine, "novel", attribute="ring") == [(usual, None, 0.2)]
    assert [row[0] for row in queue(engine, "novel", attribute="halo")] == [strange, usual]


@pytest.mark.parametrize("doubt", ["uncertain", "disagreement", "model_vs_human", "novel"])
def test_equal_doubts_are_paged_without_gaps_and_only_over_visible_frames(engine, doubt):
    for number in range(9):
        sender = Sender(proposal="p1" if number % 3 else "p2")
        frame_id = annotate(engine, number, sender=sender, novelty=0.5, ring=0.5, halo=0.5)
        annotate(engine, number, sender=sender, model=VGG, ring=0.75, halo=0.75)
        put(engine, frame_id, BO, within=sender.proposal or "", ring=ABSENT)
    expected = [frame(number).id for number in range(9)]
    assert [row[0] for row in queue(engine, doubt, limit=2)] == expected
    guest = Principal("k3", "k3", "guest", "annotator", frozenset(), proposal="p1")
    seen = [frame_id for n, frame_id in enumerate(expected) if n % 3]
    assert [row[0] for row in queue(engine, doubt, guest, limit=2)] == seen


# --- migration


def test_doubts_of_what_was_annotated_before_are_computed_when_migrating(engine):
    frame_id = annotate(engine, 1, ring=0.1, halo=0.7, spotted=0.4)
    annotate(engine, 1, model=VGG, ring=0.6)
    annotate(engine, 2, ring=1.0)
    with ledger.reading(engine) as session:
        before = session.execute(select(ScoreTable.attribute, ScoreTable.uncertainty)).all()
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.execution_options(scatterlens_writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM scores")) == 5
    migrations.migrate_engine(engine)
    with ledger.reading(engine) as session:
        after = session.execute(select(ScoreTable.attribute, ScoreTable.uncertainty)).all()
        spreads = session.execute(select(Spread.frame_id, Spread.attribute, Spread.spread)).all()
    for (name, kept), (again, computed) in zip(sorted(before), sorted(after), strict=True):
        assert (name, kept) == (again, pytest.approx(computed))
    assert [tuple(row) for row in spreads] == [(frame_id, "ring", pytest.approx(0.5))]
