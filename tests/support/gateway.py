"""The gateway as tests see it: an ASGI application with all its real parts."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import numpy as np
from sqlalchemy import text
from starlette.testclient import TestClient

from scatterlens_service import ledger
from scatterlens_service.settings import Settings


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def picture(seed: int, shape: tuple[int, int] = (96, 128)) -> bytes:
    """A frame of noise as a `.npy` file; another seed is another frame."""
    return npy(np.random.default_rng(seed).poisson(20, shape).astype(np.int32))


@dataclass(frozen=True)
class Service:
    """A running gateway, as a client with an admin key sees it, and what lies below it."""

    http: TestClient
    settings: Settings

    def post(self, body: bytes, headers: dict[str, str] | None = None, **params: object):
        return self.http.post("/api/v1/frames", content=body, headers=headers or {}, params=params)

    def get(self, path: str, **params: object):
        return self.http.get(f"/api/v1/{path}", params=params)

    def new_key(self, **options: object) -> dict[str, str]:
        """Header with a key of its own."""
        return {"Authorization": f"Bearer {make_key(self.settings, **options)}"}

    def kept(self) -> dict[str, int]:
        """Rows and files that exist; a refusal must leave them as they were."""
        engine = ledger.open_engine(self.settings.database)
        with engine.connect() as connection:
            counts = {
                table: connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0
                for table in ("frames", "submissions", "jobs", "events", "annotations")
            }
        engine.dispose()
        files = [path for path in self.settings.blob_folder.rglob("*") if path.is_file()]
        return {**counts, "files": len(files)}


def assert_refused(response, status: int, type_: str) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == type_
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["remedy"]
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text
    return problem


def make_key(settings: Settings, name: str = "test", **options: object) -> str:
    engine = ledger.open_engine(settings.database)
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, name, **options)
    engine.dispose()
    return key


@contextmanager
def follow(live: str, key: dict[str, str], **params: object) -> Iterator[Iterator[dict]]:
    """Read the event stream of a gateway behind a real server."""
    with httpx2.Client(headers=key, timeout=60) as http:
        address = f"{live}/api/v1/events"
        with http.stream("GET", address, params=params) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.iter_lines()
            assert next(lines).startswith(":")
            yield (json.loads(line[6:]) for line in lines if line.startswith("data: "))
