"""A worker with all its real parts, in this process, over a ledger of its own."""

import io
from collections.abc import Iterator

import numpy as np
import pytest

from scatterlens_service import ledger
from scatterlens_service.ledger import ModelVersion, NewFrame, Sender
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("SCATTERLENS_HOME", str(tmp_path))
    make_bundle(tmp_path / "bundles")
    settings = Settings(active_models=("linear",))
    migrate(settings.database)
    return settings


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    with Runtime(settings) as runtime:
        yield runtime


@pytest.fixture
def send(runtime: Runtime):
    """Put bytes, or the picture of an array, into the ledger as a frame; returns its id."""

    def send(content: bytes | np.ndarray, *models: ModelVersion, index: int | None = None) -> str:
        data = content if isinstance(content, bytes) else npy(content)
        frame = NewFrame(runtime.blobs.put_bytes(data), len(data), "npy", "a.npy", index)
        known = [ModelVersion(s.bundle.name, v) for v, s in runtime.sessions.items()]
        with ledger.writing(runtime.engine) as session:
            ledger.submit(session, [frame], Sender(), models or known)
        return frame.id

    return send


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()
