"""One worker over a real ledger, decode child and session."""

import os
import threading
import time

import numpy as np
import pytest
from sqlalchemy import delete, text

from scatterlens.schemas import State
from scatterlens_models.annotate import annotate_frames
from scatterlens_models.stored import unpack
from scatterlens_service import ledger
from scatterlens_service.ledger import ModelVersion
from scatterlens_service.ledger.tables import Table
from scatterlens_worker.check import is_alive
from scatterlens_worker.drain import drain, work_one_batch
from scatterlens_worker.polling import poll_forever
from scatterlens_worker.results import to_json
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle
from support.waiting import holds, wait_until


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(20, (96, 128)).astype(np.int32)


def state_of(runtime: Runtime, frame_id: str) -> ledger.StoredAnnotation:
    (version, *_) = runtime.sessions
    with ledger.reading(runtime.engine) as session:
        found = ledger.get_annotation(session, frame_id, version)
    assert found is not None
    return found


def test_a_frame_is_answered_as_the_model_answers_it(runtime, send):
    frame_id = send(picture(1))
    assert not drain(runtime)
    stored = state_of(runtime, frame_id)
    (model,) = runtime.sessions.values()
    frame = runtime.decoder.decode(runtime.blobs.path(frame_id))
    (expected,) = annotate_frames([frame], model)
    assert stored.state is State.DONE
    assert [s.id for s in stored.scores] == list(model.bundle.vocabulary.ids)
    np.testing.assert_allclose([s.probability for s in stored.scores], expected.probabilities)
    assert [s.tag for s in stored.scores] == expected.tags.tolist()
    assert stored.provider == "CPUExecutionProvider"
    assert set(stored.timings_ms) == {"decode", "prepare", "infer", "preview"}
    assert stored.blob is not None
    arrays = unpack(runtime.blobs.read(stored.blob))
    # Kept as float16; onnxruntime does not promise the same last bits of two runs.
    kept, computed = (np.float32(one.attribute_maps) for one in (arrays, expected.stored))
    np.testing.assert_allclose(kept, computed, rtol=2e-3, atol=1e-3)
    with ledger.reading(runtime.engine) as session:
        row = ledger.get_frame(session, frame_id, production=model.bundle.version)
    assert row is not None
    assert row.shape == (96, 128)


def test_more_frames_than_a_batch_are_all_answered(runtime, send):
    frames = [send(picture(seed)) for seed in range(11)]
    assert not drain(runtime)
    assert {state_of(runtime, frame).state for frame in frames} == {State.DONE}


def test_a_refused_file_fails_with_its_reason_and_its_neighbours_are_as_without_it(runtime, send):
    alone = send(picture(1))
    drain(runtime)
    first = {score.id: score.probability for score in state_of(runtime, alone).scores}
    with ledger.writing(runtime.engine) as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(delete(table))
    bad = send(b"this is no picture, whatever its name says")
    good = send(picture(1))
    other = send(picture(2))
    drain(runtime)
    refused = state_of(runtime, bad)
    assert refused.state is State.FAILED
    assert refused.reason is not None
    assert refused.reason.remedy
    # It is answered in a batch now, where onnxruntime may add up in another order.
    beside = {score.id: score.probability for score in state_of(runtime, good).scores}
    assert beside == pytest.approx(first, abs=1e-5)
    assert state_of(runtime, other).state is State.DONE


def test_a_file_that_kills_its_reader_is_quarantined_the_second_time(runtime, send, monkeypatch):
    """The child runs out of its allowed memory over any file: its death is real."""
    poison = send(picture(1))
    runtime.decoder.limits = type(runtime.decoder.limits)(memory_bytes=1 << 20)
    worker = os.getpid()
    work_one_batch(runtime)
    assert state_of(runtime, poison).state is State.QUEUED
    drain(runtime)
    verdict = state_of(runtime, poison)
    assert verdict.state is State.QUARANTINED
    assert verdict.reason is not None
    assert verdict.reason.type in ("decode_crashed", "decode_memory")
    assert os.getpid() == worker
    runtime.decoder.limits = type(runtime.decoder.limits)()
    neighbour = send(picture(2))
    drain(runtime)
    assert state_of(runtime, neighbour).state is State.DONE


def test_a_damaged_kept_file_is_never_decoded(runtime, send):
    frame_id = send(picture(1))
    path = runtime.blobs.path(frame_id)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    drain(runtime)
    reason = state_of(runtime, frame_id).reason
    assert reason is not None
    assert reason.type == "wrong_digest"


def test_a_frame_of_a_stack_is_the_one_that_was_named(runtime, send):
    stack = np.stack([picture(seed) for seed in range(3)])
    third = send(stack, index=2)
    alone = send(picture(2))
    drain(runtime)
    assert state_of(runtime, third).scores == state_of(runtime, alone).scores


def test_a_frame_that_breaks_its_batch_is_found_and_its_neighbours_are_answered(
    runtime, send, monkeypatch
):
    frames = [send(picture(seed)) for seed in range(4)]
    bad = runtime.decoder.decode(runtime.blobs.path(frames[2])).image

    def break_over_it(batch, model):
        if any(np.array_equal(frame.image, bad) for frame in batch):
            raise ArithmeticError("a defect of ours")
        return annotate_frames(batch, model)

    monkeypatch.setattr("scatterlens_worker.drain.annotate_frames", break_over_it)
    for _ in range(3):
        drain(runtime)
        with ledger.writing(runtime.engine) as session:
            ledger.sweep(session)
    states = [state_of(runtime, frame).state for frame in frames]
    assert states == [State.DONE, State.DONE, State.QUARANTINED, State.DONE]


def test_a_disk_that_is_full_blames_no_frame(runtime, send, monkeypatch):
    frame_id = send(picture(1))
    put = runtime.blobs.put_bytes

    def full(_: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runtime.blobs, "put_bytes", full)
    for _ in range(5):
        with pytest.raises(OSError, match="No space"):
            drain(runtime)
    assert state_of(runtime, frame_id).state is State.QUEUED
    monkeypatch.setattr(runtime.blobs, "put_bytes", put)
    drain(runtime)
    assert state_of(runtime, frame_id).state is State.DONE


def test_a_bundle_installed_later_is_served_without_a_restart(runtime, send, settings):
    late = make_bundle(settings.bundle_folder, "late", seed=1)
    frame = send(picture(1), ModelVersion(late.name, late.version))
    assert late.version not in runtime.sessions
    drain(runtime)
    drain(runtime)
    with ledger.reading(runtime.engine) as session:
        assert ledger.queue_status(session).queued == 0
        answer = ledger.get_annotation(session, frame, late.version)
    assert answer is not None
    assert answer.state is State.DONE


def test_a_damaged_bundle_is_refused_and_its_jobs_wait(runtime, send, settings):
    late = make_bundle(settings.bundle_folder, "late", seed=1)
    (late.path / "model.onnx").write_bytes(b"not what was sealed")
    waiting = send(picture(1), ModelVersion(late.name, late.version))
    answered = send(picture(2))
    drain(runtime)
    with ledger.reading(runtime.engine) as session:
        stored = ledger.get_annotation(session, waiting, late.version)
    assert stored is not None
    assert stored.state is State.QUEUED
    assert state_of(runtime, answered).state is State.DONE


def test_a_stopping_worker_gives_back_what_it_has_not_begun(runtime, send, monkeypatch):
    frames = [send(picture(seed)) for seed in range(4)]
    decode = runtime.decoder.decode

    def decode_and_stop(*arguments):
        runtime.stop.set()
        return decode(*arguments)

    monkeypatch.setattr(runtime.decoder, "decode", decode_and_stop)
    poll_forever(runtime)
    states = [state_of(runtime, frame).state for frame in frames]
    assert states == [State.DONE, State.QUEUED, State.QUEUED, State.QUEUED]


def test_a_worker_reports_itself_and_says_goodbye(settings):
    with Runtime(settings) as runtime:
        end = time.monotonic() + 60
        workers = ()
        while not workers and time.monotonic() < end:
            time.sleep(0.05)
            with ledger.reading(runtime.engine) as session:
                workers = ledger.queue_status(session).workers
        assert [worker.report for worker in workers] == [runtime.report()]
        assert workers[0].report.provider == "CPUExecutionProvider"
        engine = ledger.open_engine(settings.database)
    with ledger.reading(engine) as session:
        assert ledger.queue_status(session).workers == ()
    engine.dispose()


def test_a_busy_worker_keeps_its_lease_and_a_hung_one_loses_it(settings, monkeypatch):
    quick = settings.model_copy(update={"heartbeat_seconds": 0.1, "lease_seconds": 0.5})
    with Runtime(quick) as runtime:
        frame = ledger.NewFrame(runtime.blobs.put_bytes(b"x"), 1, "npy")
        with ledger.writing(runtime.engine) as session:
            models = [ModelVersion("linear", version) for version in runtime.sessions]
            ledger.submit(session, [frame], ledger.Sender(), models)
            jobs = ledger.lease(session, runtime.id, 1, 0.5)

        def expires_within(seconds: float) -> bool:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                with ledger.reading(runtime.engine) as session:
                    if ledger.has_expired(session):
                        return True
                time.sleep(0.05)
            return False

        with runtime.heartbeat.holding(jobs):
            assert not expires_within(1.5)
            monkeypatch.setattr("scatterlens_worker.heartbeat.LONGEST_BATCH_SECONDS", 0.0)
            assert expires_within(5)


def test_polling_survives_a_ledger_that_fails_for_a_while(runtime, send):
    frame_id = send(picture(1))

    def rename(old: str, new: str) -> None:
        with ledger.writing(runtime.engine) as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    rename("jobs", "away")
    thread = threading.Thread(target=poll_forever, args=[runtime], daemon=True)
    thread.start()
    try:
        assert holds(thread.is_alive, 0.5)
        rename("away", "jobs")
        wait_until(lambda: state_of(runtime, frame_id).state is State.DONE)
    finally:
        runtime.stop.set()
        thread.join(10)


def test_headers_become_what_every_database_takes():
    odd = {"a": float("nan"), "b": np.float64(1.5), 3: "x\0y\ud800", "c": [np.int32(1), None]}
    assert to_json(odd) == {"a": "nan", "b": 1.5, "3": "xy?", "c": ["1", None]}


def test_a_container_is_healthy_while_its_worker_reports(settings):
    assert not is_alive(settings)
    with Runtime(settings):
        end = time.monotonic() + 60
        while not is_alive(settings) and time.monotonic() < end:
            time.sleep(0.05)
        assert is_alive(settings)
    assert not is_alive(settings)
