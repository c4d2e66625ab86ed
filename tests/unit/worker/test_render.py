"""Render jobs of one worker: gradient maps beside annotations, under the same rules."""

import threading
from collections import Counter

import numpy as np
import pytest
from sqlalchemy import text

from scatterlens.schemas import State
from scatterlens_models.gradients import GradientSession
from scatterlens_models.preprocess import prepare
from scatterlens_service import ledger
from scatterlens_service.keeping.gradients import parameters_of, unpack_maps
from scatterlens_service.ledger import ModelVersion
from scatterlens_worker.drain import drain, work_one_batch
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle


@pytest.fixture
def bundle(settings):
    return make_bundle(settings.bundle_folder, "steep", seed=3, gradients=True)


@pytest.fixture
def runtime(settings, bundle):
    both = settings.model_copy(update={"active_models": ("steep", "linear")})
    with Runtime(both) as runtime:
        yield runtime


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(20, (96, 128)).astype(np.int32)


def queue(runtime: Runtime, frame_id: str, name: str = "steep", attribute: str = "ring") -> None:
    with ledger.writing(runtime.engine) as session:
        asked = parameters_of(attribute)
        ledger.queue_render(session, frame_id, model(runtime, name), asked)


def model(runtime: Runtime, name: str) -> ModelVersion:
    (version,) = (v for v, s in runtime.sessions.items() if s.bundle.name == name)
    return ModelVersion(name, version)


def found(runtime: Runtime, frame_id: str, name: str = "steep") -> ledger.StoredRender:
    with ledger.reading(runtime.engine) as session:
        asked = parameters_of("ring")
        render = ledger.get_render(session, frame_id, model(runtime, name), asked)
    assert render is not None
    return render


def test_the_maps_kept_are_those_of_the_graph_and_the_frame_is_read_once_a_batch(
    runtime, send, bundle, monkeypatch
):
    frame_id = send(picture(1))
    assert not drain(runtime)
    queue(runtime, frame_id)
    queue(runtime, frame_id, attribute="halo")
    read = []
    decode = runtime.decoder.decode
    monkeypatch.setattr(runtime.decoder, "decode", lambda *a: (read.append(a), decode(*a))[1])
    assert not drain(runtime)
    assert len(read) == 1
    kept = found(runtime, frame_id)
    assert kept.state is State.DONE
    prepared, _ = prepare(decode(runtime.blobs.path(frame_id), 0), bundle.preprocess)
    expected = GradientSession(bundle).maps(prepared[None], bundle.vocabulary.ids.index("ring"))
    maps = unpack_maps(runtime.renders.read(kept.blob))
    assert set(maps) == set(bundle.gradient_maps)
    for name, cells in maps.items():
        np.testing.assert_allclose(cells, expected[name][0], rtol=1e-4, atol=1e-6)


def test_a_model_without_the_graph_fails_the_picture_with_a_reason(runtime, send):
    frame_id = send(picture(1))
    queue(runtime, frame_id, "linear")
    drain(runtime)
    verdict = found(runtime, frame_id, "linear")
    assert verdict.state is State.FAILED
    assert verdict.reason is not None
    assert verdict.reason.type == "no_gradients"
    with ledger.reading(runtime.engine) as session:
        states = {one.state for one in ledger.all_annotations(session, frame_id)}
    assert states == {State.DONE}


def test_something_unforeseen_ends_in_quarantine_and_leaves_its_neighbours(runtime, send):
    first, second = send(picture(1)), send(picture(2))
    drain(runtime)
    with ledger.writing(runtime.engine) as session:
        odd = parameters_of("no such attribute")
        ledger.queue_render(session, first, model(runtime, "steep"), odd)
    queue(runtime, second)
    for _ in range(3):
        drain(runtime)
        with ledger.writing(runtime.engine) as session:
            ledger.sweep(session)
    assert found(runtime, second).state is State.DONE
    with ledger.reading(runtime.engine) as session:
        dead = ledger.get_render(session, first, model(runtime, "steep"), odd)
    assert dead is not None
    assert dead.state is State.QUARANTINED


def test_a_disk_that_is_full_blames_no_picture(runtime, send, monkeypatch):
    frame_id = send(picture(1))
    drain(runtime)
    queue(runtime, frame_id)
    put = runtime.renders.put_bytes

    def full(_: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runtime.renders, "put_bytes", full)
    for _ in range(4):
        with pytest.raises(OSError, match="No space"):
            drain(runtime)
    assert found(runtime, frame_id).state is State.QUEUED
    monkeypatch.setattr(runtime.renders, "put_bytes", put)
    drain(runtime)
    assert found(runtime, frame_id).state is State.DONE


def test_a_late_picture_is_fenced_off(runtime, send, monkeypatch):
    frame_id = send(picture(1))
    drain(runtime)
    queue(runtime, frame_id)
    put = runtime.renders.put_bytes

    def be_late(data: bytes) -> str:
        with ledger.writing(runtime.engine) as session:
            (job,) = runtime.heartbeat._held
            ledger.abandon(session, job)
            ledger.sweep(session)
        return put(data)

    monkeypatch.setattr(runtime.renders, "put_bytes", be_late)
    assert work_one_batch(runtime) == 1
    assert found(runtime, frame_id).state is State.QUEUED
    assert found(runtime, frame_id).blob is None


def ended(runtime: Runtime) -> list[tuple[str, int]]:
    """Kind and attempts of all jobs that are done, in the order in which they ended."""
    with runtime.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT kind, attempt FROM jobs WHERE state = 'done' ORDER BY finished, id")
        )
        return [(kind, attempt) for kind, attempt in rows]


def test_a_drawing_is_not_kept_waiting_by_a_scan_and_no_frame_is_lost_or_doubled(runtime, send):
    opened = send(picture(0))
    drain(runtime)
    for seed in range(1, 201):
        send(picture(seed))
    asked = threading.Timer(0.5, queue, [runtime, opened])
    asked.start()
    drain(runtime)
    asked.join()
    kinds = [kind for kind, _ in ended(runtime)]
    assert kinds.count("render") == 1
    assert kinds.index("render") < len(kinds) - 100
    assert Counter(ended(runtime)) == {("annotate", 1): 2 * 201, ("render", 1): 1}


def test_frames_go_on_however_many_drawings_are_asked_for(runtime, send):
    frames = [send(picture(seed)) for seed in range(20)]
    for frame_id in frames:
        for attribute in ("ring", "halo", "textured"):
            queue(runtime, frame_id, attribute=attribute)
    drain(runtime)
    kinds = [kind for kind, _ in ended(runtime)]
    assert kinds.count("render") == 60
    before_the_last_frame = kinds[: len(kinds) - kinds[::-1].index("annotate")]
    assert before_the_last_frame.count("render") <= 2 * 20


def test_a_folder_of_drawings_that_is_away_stops_no_frame(runtime, send, monkeypatch):
    frames = [send(picture(seed)) for seed in range(3)]
    queue(runtime, frames[0])

    def away(_: bytes) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(runtime.renders, "put_bytes", away)
    with pytest.raises(OSError, match="output"):
        drain(runtime)
    assert Counter(ended(runtime)) == {("annotate", 1): 2 * 3}
    assert found(runtime, frames[0]).state is State.QUEUED
