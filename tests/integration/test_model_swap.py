"""A stream of frames while models are promoted and rolled back: nothing is lost or doubled.

Embedded, as `scatterlens serve` starts it, and deployed: PostgreSQL, Redis, two gateways, and a
Celery worker.
"""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from scatterlens import Client
from scatterlens_service import ledger
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from support.bundles import make_bundle
from support.gateway import make_key
from support.servers import free_port
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(240)

_READY_SECONDS = 90.0
_DONE_SECONDS = 90.0


class Site:
    """One installation with its processes."""

    def __init__(self, home: Path, gateways: int = 1, **environment: str) -> None:
        self.home = home
        self.first = make_bundle(home / "bundles")
        self.second, self.third = (
            make_bundle(home / f"made{seed}", "linear", seed=seed) for seed in (1, 2)
        )
        self.environment = os.environ | {
            "SCATTERLENS_HOME": str(home),
            "SCATTERLENS_ACTIVE_MODELS": "linear",
            "SCATTERLENS_MIN_FREE_SHARE": "0",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        self.settings = Settings(
            home=home, database_url=environment.get("SCATTERLENS_DATABASE_URL")
        )
        migrate(self.settings.database)
        self.key = make_key(self.settings, role="admin")
        self.ports = [free_port() for _ in range(gateways)]
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self, *arguments: str) -> None:
        with (self.home / f"{len(self.processes)}.log").open("wb") as log:
            command = [sys.executable, "-m", "scatterlens", *arguments]
            self.processes.append(
                subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
            )

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.05)
        logs = "\n".join(path.read_text()[-4000:] for path in sorted(self.home.glob("*.log")))
        raise AssertionError(logs)

    def is_ready(self) -> bool:
        try:
            for url in self.urls:
                with Client(url, self.key, retry_s=0) as client:
                    if not client.health().workers:
                        return False
        except ConnectionError:
            return False
        return True

    def rows(self, query: str) -> list[tuple]:
        engine = ledger.open_engine(self.settings.database)
        with ledger.reading(engine) as session:
            found = [tuple(row) for row in session.execute(text(query))]
        engine.dispose()
        return found

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)


@pytest.fixture
def embedded(tmp_path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.start("serve", "--port", str(site.ports[0]))
    try:
        site.wait(site.is_ready, _READY_SECONDS)
        yield site
    finally:
        site.close()


@pytest.fixture
def deployed(tmp_path, postgres_url, redis) -> Iterator[Site]:
    engine = ledger.open_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    site = Site(
        tmp_path,
        gateways=2,
        SCATTERLENS_DATABASE_URL=postgres_url,
        SCATTERLENS_REDIS_URL=redis.url,
    )
    site.start("worker")
    for port in site.ports:
        site.start("serve", "--no-worker", "--port", str(port))
    try:
        site.wait(site.is_ready, _READY_SECONDS)
        yield site
    finally:
        site.close()


class Stream:
    """Sends another frame every few milliseconds, to each gateway in turn, until it is ended."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._end = threading.Event()
        self.sent: dict[str, tuple[float, float]] = {}
        """When the request for a frame began, and when it was acknowledged."""
        self.failures: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._send, args=(number, url))
            for number, url in enumerate(site.urls)
        ]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int, url: str) -> None:
        seed = 1_000_000 * number
        try:
            with Client(url, self._site.key) as client:
                while not self._end.is_set():
                    seed += 1
                    stream = io.BytesIO()
                    counts = np.random.default_rng(seed).poisson(9, (64, 64))
                    np.save(stream, counts.astype(np.int32))
                    began = time.monotonic()
                    (item,) = client.submit(stream.getvalue())
                    assert item.frame_id is not None
                    self.sent[item.frame_id] = (began, time.monotonic())
                    time.sleep(0.01)
        except Exception as error:  # told where the test can see it
            self.failures.append(error)

    def goes_on(self, frames: int = 5) -> None:
        """Wait until some more frames were taken."""
        wanted = len(self.sent) + frames
        wait_until(lambda: len(self.sent) >= wanted or self.failures)

    def end(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)


@pytest.mark.parametrize("mode", ["embedded", "deployed"])
def test_models_are_swapped_under_a_stream_of_frames(mode, request):
    site: Site = request.getfixturevalue(mode)
    moments: list[tuple[float, float, str]] = []
    stream = Stream(site)
    try:
        with Client(site.urls[0], site.key) as client:
            for bundle in (site.second, site.third):
                client.register_model(bundle.path)

            def change(what: Callable[[], object], version: str) -> None:
                stream.goes_on()
                began = time.monotonic()
                what()
                moments.append((began, time.monotonic(), version))

            why = "swapped under load"
            second, third = site.second.version, site.third.version
            change(lambda: client.promote_model(second, why, override=True), second)
            change(lambda: client.promote_model(third, why, override=True), third)
            change(lambda: client.roll_back_model(why), second)
            change(lambda: client.roll_back_model(why), site.first.version)
            stream.goes_on()
    finally:
        stream.end()
    assert stream.failures == []
    assert len(stream.sent) > 10

    open_jobs = "SELECT 1 FROM jobs WHERE state IN ('queued', 'leased') LIMIT 1"
    site.wait(lambda: not site.rows(open_jobs), _DONE_SECONDS)
    done = site.rows("SELECT frame_id, model_version, state FROM jobs")
    assert sorted(frame for frame, _, _ in done) == sorted(stream.sent)
    assert {state for *_, state in done} == {"done"}
    said = dict(site.rows("SELECT frame_id, model_version FROM annotations"))
    assert len(site.rows("SELECT 1 FROM annotations")) == len(stream.sent)

    spans = [*zip([(0.0, 0.0, site.first.version), *moments], [*moments, None], strict=True)]
    for frame, (began, acknowledged) in stream.sent.items():
        # Active at some moment between sending and acknowledgement; during a change, either.
        possible = {
            version
            for (start, _, version), after in spans
            if start <= acknowledged and (after is None or after[1] >= began)
        }
        assert said[frame] in possible
    assert set(said.values()) == {site.first.version, second, third}


def test_a_worker_killed_while_models_are_swapped_loses_nothing(embedded):
    """The supervisor starts another, which holds what jobs name and what is active by then."""
    with Client(embedded.urls[0], embedded.key) as client:
        client.register_model(embedded.second.path)
        stream = Stream(embedded)
        try:
            stream.goes_on()
            (worker,) = {one.id for one in client.health().workers}
            client.promote_model(embedded.second.version, "kill", override=True)
            os.kill(int(worker.split(":")[1]), 9)
            stream.goes_on()
        finally:
            stream.end()
        assert stream.failures == []
        open_jobs = "SELECT 1 FROM jobs WHERE state IN ('queued', 'leased') LIMIT 1"
        embedded.wait(lambda: not embedded.rows(open_jobs), _DONE_SECONDS)
        done = embedded.rows("SELECT frame_id, model_version FROM annotations")
    assert sorted(frame for frame, _ in done) == sorted(stream.sent)
    assert {version for _, version in done} == {embedded.first.version, embedded.second.version}
