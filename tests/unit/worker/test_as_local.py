"""What a worker answers is what `scatterlens annotate --local` answers."""

import numpy as np
import pytest

from scatterlens.schemas import Annotation, State
from scatterlens_models.decoding import DecodeLimits
from scatterlens_models.local import LocalAnnotator
from scatterlens_service import ledger
from scatterlens_service.gateway.wire import to_annotation
from scatterlens_worker.drain import drain
from support.gateway import npy

REFUSED = {
    "a text": b"this is no picture, whatever its name says",
    "nothing": b"",
    "half a TIFF": b"II*\0\x08\0\0\0\x01\0",
}


def answered(runtime, frame_id: str) -> Annotation:
    (version, *_) = runtime.sessions
    with ledger.reading(runtime.engine) as session:
        stored = ledger.get_annotation(session, frame_id, version)
        frame = ledger.get_frame(session, frame_id, production=version)
    assert stored is not None
    assert frame is not None
    return to_annotation(frame, stored)


@pytest.fixture
def annotator():
    with LocalAnnotator("linear") as annotator:
        yield annotator


def test_every_real_frame_has_one_answer(runtime, send, annotator, real_data, real_index):
    seen = set()
    for row in real_index:
        path, frame = real_data / row["file"], int(row["frame"])
        (local,) = annotator.annotate(path, str(frame))
        index = int(local.said.frame_id.partition(".")[2] or -1)
        assert send(path.read_bytes(), index=None if index < 0 else index) == local.said.frame_id
        drain(runtime)
        there = answered(runtime, local.said.frame_id)
        seen.add(there.state)
        assert set(there.timings_ms) == set(local.said.timings_ms)
        # Two runs of onnxruntime need not add up in the same order.
        for name in ("probability", "threshold"):
            here = [getattr(one, name) for one in local.said.attributes]
            assert [getattr(one, name) for one in there.attributes] == pytest.approx(here, abs=1e-5)
        assert there.novelty == pytest.approx(local.said.novelty, abs=2e-3)
        apart = {"timings_ms", "attributes", "novelty"}
        assert there.model_dump(exclude=apart) == local.said.model_dump(exclude=apart)
    assert seen == {State.DONE}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_a_refusal_has_the_same_words(runtime, send, annotator, tmp_path, content):
    path = tmp_path / "sent"
    path.write_bytes(content)
    (local,) = annotator.annotate(path)
    assert send(content) == local.said.frame_id
    drain(runtime)
    there = answered(runtime, local.said.frame_id)
    assert (there.state, there.reason) == (State.FAILED, local.said.reason)


def test_a_death_has_the_same_words(runtime, send, annotator, tmp_path):
    content = npy(np.ones((64, 64), np.int32))
    (tmp_path / "sent").write_bytes(content)
    for child in (runtime.decoder, annotator._child):
        child.limits = DecodeLimits(memory_bytes=1)
    (local,) = annotator.annotate(tmp_path / "sent")
    send(content)
    for _ in range(2):
        drain(runtime)
    there = answered(runtime, local.said.frame_id)
    assert (there.state, there.reason) == (State.QUARANTINED, local.said.reason)
