"""A Celery worker as operators start it, with a real Redis, over a ledger on SQLite."""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from scatterlens.schemas import State, TrainingRequest
from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.migrations import migrate
from scatterlens_service.registry.bundles import active_bundles, to_model_version
from scatterlens_service.settings import Settings
from scatterlens_service.tending.attendance import Attendance
from scatterlens_service.tending.bell import CeleryBell
from scatterlens_service.tending.sweeping import sweep_forever
from support.bundles import make_bundle
from support.waiting import holds, wait_until

pytestmark = pytest.mark.timeout(120)


class Site:
    """One installation: settings, ledger, blobs; workers are started by the command line."""

    def __init__(self, home: Path, redis_url: str) -> None:
        make_bundle(home / "bundles")
        self.settings = Settings(home=home, redis_url=redis_url, active_models=("linear",))
        migrate(self.settings.database)
        self.engine = ledger.open_engine(self.settings.database)
        self.blobs = BlobFolder(self.settings.blob_folder)
        self.renders = BlobFolder(self.settings.render_folder)
        self.model = to_model_version(active_bundles(self.settings)[0])
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_trainer(self) -> None:
        self._start("scatterlens_worker.trainer")
        self.wait(lambda: self.seen_trainers(), 40)
        self._hears_the_bell()

    def seen_trainers(self) -> tuple[ledger.SeenWorker, ...]:
        with ledger.reading(self.engine) as session:
            return ledger.seen_workers(session, "train")

    def start_worker(self, hears_the_bell: bool = True) -> subprocess.Popen[bytes]:
        seen = len(self.seen_workers())
        self._start("scatterlens", "worker")
        self.wait(lambda: len(self.seen_workers()) > seen, 40)
        if hears_the_bell:
            self._hears_the_bell()
        return self.workers[-1]

    def _hears_the_bell(self) -> None:
        """The broker's connection comes after the first heartbeat."""
        with Redis.from_url(self.settings.redis_url) as broker:
            wait_until(lambda: broker.info("clients")["blocked_clients"] >= len(self.workers))

    def _start(self, *words: str) -> None:
        environment = os.environ | {
            "SCATTERLENS_HOME": str(self.settings.home),
            "SCATTERLENS_REDIS_URL": self.settings.redis_url or "",
            "SCATTERLENS_ACTIVE_MODELS": "linear",
        }
        command = [sys.executable, "-m", *words]
        with (self.settings.home / "worker.log").open("ab") as log:
            self.workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def seen_workers(self) -> tuple[ledger.SeenWorker, ...]:
        with ledger.reading(self.engine) as session:
            return ledger.queue_status(session).workers

    def send(self, seed: int) -> str:
        stream = io.BytesIO()
        np.save(stream, np.random.default_rng(seed).poisson(9, (64, 64)).astype(np.int32))
        frame = ledger.NewFrame(self.blobs.put_bytes(stream.getvalue()), 1, "npy")
        with ledger.writing(self.engine) as session:
            ledger.submit(session, [frame], ledger.Sender(), [self.model])
        return frame.id

    def is_done(self, frame_id: str) -> bool:
        with ledger.reading(self.engine) as session:
            found = ledger.get_annotation(session, frame_id, self.model.version)
        return found is not None and found.state is State.DONE

    def wait(self, condition, seconds: float) -> float:
        """Seconds until the condition held; fails with the worker's log."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if condition():
                return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError((self.settings.home / "worker.log").read_text()[-5000:])

    def close(self) -> None:
        for worker in self.workers:
            worker.terminate()
            worker.wait(40)
        self.engine.dispose()


@pytest.fixture
def site(tmp_path, redis) -> Iterator[Site]:
    site = Site(tmp_path, redis.url)
    yield site
    site.close()


@pytest.fixture
def bell(redis) -> Iterator[CeleryBell]:
    bell = CeleryBell(redis.url)
    yield bell
    bell.close()


def test_a_rung_worker_drains_the_ledger(site, bell):
    site.start_worker()
    frames = [site.send(seed) for seed in range(9)]
    assert holds(lambda: not any(map(site.is_done, frames)), 1.0)  # it does not poll
    bell.ring(ledger.LIVE)
    site.wait(lambda: all(map(site.is_done, frames)), 60)


def test_a_hundred_rings_cost_nothing_and_hurt_nothing(site, bell):
    site.start_worker()
    for seed in range(100):
        bell.ring(ledger.LIVE)
        if seed % 10 == 0:
            site.send(seed)
            time.sleep(0.05)
    bell.ring(ledger.LIVE)

    def empty() -> bool:
        with ledger.reading(site.engine) as session:
            return not ledger.has_queued(session)

    site.wait(empty, 60)


def test_an_emptied_redis_loses_no_work_and_is_found_again(site, bell, redis):
    """The bell for the frame is lost with the broker; the sweep rings once it is back."""
    site.start_worker()
    stop = threading.Event()
    sweeper = threading.Thread(
        target=sweep_forever,
        args=(site.engine, bell, site.blobs, site.renders, site.settings, Attendance(), stop),
    )
    sweeper.start()
    try:
        redis.kill()
        frame = site.send(1)
        bell.ring(ledger.LIVE)
        assert holds(lambda: not site.is_done(frame), 5.0)
        redis.start()
        site.wait(lambda: site.is_done(frame), 60)
    finally:
        stop.set()
        sweeper.join()


@pytest.mark.parametrize("hears_the_bell", [False, True])
def test_a_worker_that_is_asked_to_end_says_goodbye(site, hears_the_bell):
    worker = site.start_worker(hears_the_bell)
    worker.terminate()
    assert worker.wait(60) == 0
    assert site.seen_workers() == ()


def test_a_trainer_is_rung_on_its_own_queue_and_frames_do_not_wake_it(site, bell):
    site.start_trainer()
    request = TrainingRequest().model_dump(mode="json")
    with ledger.writing(site.engine) as session:
        ledger.queue_run(session, ledger.NewRun("run-1", "ada", request))

    def state() -> State:
        with ledger.reading(site.engine) as session:
            found = ledger.get_run(session, "run-1")
        assert found is not None
        return found.state

    bell.ring(ledger.LIVE)
    assert holds(lambda: state() is State.QUEUED, 1.0)
    bell.ring(ledger.TRAIN)
    site.wait(lambda: state() is State.FAILED, 60)  # nobody has labelled a frame
    (trainer,) = site.workers
    trainer.terminate()
    assert trainer.wait(60) == 0
    assert site.seen_trainers() == ()
