"""The scenario: real files, duplicates, a poison file, eight clients, a killed worker.

By hand, with the real files beside the repository or in SCATTERLENS_TEST_DATA::

    PYTHONPATH=tests python -m support.scenario embedded
    PYTHONPATH=tests python -m support.scenario deployed
"""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import text

from scatterlens import Client
from scatterlens_models.bundle import DEFAULT_BUNDLE
from scatterlens_models.local import LocalAnnotator
from scatterlens_service import ledger
from scatterlens_service.settings import Settings
from support import servers
from support.poison import make_poison

CLIENTS = 8
OUTAGE_SECONDS = 20.0
_READY_SECONDS = 60.0
_DONE_SECONDS = 240.0

Item = tuple[Path, int]
"""A file and the frame of it that is sent."""
Local = dict[tuple[str, int], dict[str, float]]
"""Probabilities that `--local` gives, by file name and frame."""


@dataclass(frozen=True)
class Outcome:
    """What was counted, by SQL, after the dust had settled."""

    mode: str
    sent: int
    """Submissions that were acknowledged."""
    frames: int
    jobs: dict[str, int]
    """By state."""
    annotations: int
    distinct_annotations: int
    """Different (frame, model version) among them."""
    refused: dict[str, str]
    """Reason of every frame without an annotation, by file name."""
    leased_again: int
    """Jobs that needed a second lease."""
    worst_difference: float
    """Of any probability, from `--local`."""
    slowest_submit_s: float
    submits_in_outage: int
    seconds: float


class Service:
    """Processes of one mode, with their logs in the home folder."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = os.environ | {
            "SCATTERLENS_HOME": str(home),
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        self.database = environment.get("SCATTERLENS_DATABASE_URL", Settings(home=home).database)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "scatterlens", *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-6000:]}" for path in self.home.glob("*.log")
        )

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)


def read_items(real: Path) -> list[Item]:
    """The files of the index, each with the frame that its labels speak of."""
    with (real / "INDEX.csv").open(newline="") as stream:
        return [(real / row["file"], int(row["frame"])) for row in csv.DictReader(stream)]


def annotate_locally(items: Sequence[Item], home: Path) -> Local:
    """What the same model says without any service."""
    os.environ["SCATTERLENS_HOME"] = str(home)
    answers: Local = {}
    with LocalAnnotator(DEFAULT_BUNDLE) as annotator:
        for path, frame in items:
            (answer,) = annotator.annotate(path, str(frame))
            answers[path.name, frame] = {
                entry.id: entry.probability for entry in answer.said.attributes
            }
    return answers


def run_embedded(items: Sequence[Item], poison: bytes, local: Local, home: Path) -> Outcome:
    """Gateway, SQLite, and a supervised worker that is killed while it works."""
    service = Service(home)
    began = time.monotonic()
    try:
        gateway = service.start("serve", "--port", "0")
        key = _wait_until_ready(service, gateway)
        deck = _deck(items, poison, home)
        third = len(deck) // 3
        submits = _send(service, key, deck[:third], victim=_worker_of(gateway.pid))
        submits += _send(service, key, deck[third:])
        wait_until_decided(service.database)
        return _count("embedded", service.database, items, poison, local, submits, began)
    except Exception:
        print(service.logs(), file=sys.stderr)
        raise
    finally:
        service.close()


def run_deployed(items: Sequence[Item], poison: bytes, local: Local, home: Path) -> Outcome:
    """PostgreSQL, Redis that is gone for 20 s, two Celery workers of which one is killed."""
    with servers.postgres() as database, _redis() as redis:
        service = Service(
            home,
            SCATTERLENS_DATABASE_URL=database,
            SCATTERLENS_REDIS_URL=redis.url,
        )
        began = time.monotonic()
        try:
            gateway = service.start("serve", "--port", "0", "--no-worker")
            workers = [service.start("worker"), service.start("worker")]
            key = _wait_until_ready(service, gateway, workers=2)
            deck = _deck(items, poison, home)
            third = len(deck) // 3
            submits = _send(service, key, deck[:third], victim=workers[0].pid)
            redis.kill()
            outage = time.monotonic()
            # The rest of the second third comes late enough to find the workers idle and unrung.
            in_outage = _send(service, key, deck[third : 2 * third], pause_seconds=4.0)
            time.sleep(max(0.0, outage + OUTAGE_SECONDS - time.monotonic()))
            redis.start()
            service.start("worker")
            submits += in_outage + _send(service, key, deck[2 * third :])
            wait_until_decided(database)
            return _count(
                "deployed", database, items, poison, local, submits, began, len(in_outage)
            )
        except Exception:
            print(service.logs(), file=sys.stderr)
            raise
        finally:
            service.close()


@contextmanager
def _redis() -> Iterator[servers.Redis]:
    server = servers.Redis()
    try:
        yield server
    finally:
        server.close()


def _deck(items: Sequence[Item], poison: bytes, home: Path) -> list[Item]:
    """What is sent: all files, every tenth of them again, and the poison; well shuffled."""
    poison_path = home / "poison.h5"
    poison_path.write_bytes(poison)
    deck = [*items, *items[::10], (poison_path, 0)]
    order = np.random.default_rng(7).permutation(len(deck))
    return [deck[position] for position in order]


def _send(
    service: Service,
    key: tuple[str, str],
    deck: Sequence[Item],
    pause_seconds: float = 0.0,
    victim: int | None = None,
) -> list[float]:
    """Send with eight clients at once; seconds that each acknowledgement took.

    Nothing is tried again: any refusal fails the scenario. Meanwhile the worker with process id
    `victim` is killed as soon as it holds a lease.
    """

    def send_share(number: int) -> list[float]:
        taken = []
        with Client(*key, retry_s=0.0) as client:
            for path, frame in deck[number::CLIENTS]:
                started = time.monotonic()
                (item,) = client.submit(path, frame)
                taken.append(time.monotonic() - started)
                assert item.error is None, item
                time.sleep(pause_seconds)
        return taken

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        kill = None if victim is None else pool.submit(_kill_at_work, service.database, victim)
        shares = list(pool.map(send_share, range(CLIENTS)))
        if kill is not None:
            kill.result()
    return [seconds for share in shares for seconds in share]


def _wait_until_ready(
    service: Service, gateway: subprocess.Popen[bytes], workers: int = 1
) -> tuple[str, str]:
    """Address and key, once the gateway answers and its workers have reported."""
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and gateway.poll() is None:
        time.sleep(0.2)
        url = address_of(service)
        if url is None:
            continue
        engine = ledger.open_engine(service.database)
        try:
            with ledger.writing(engine) as session:
                if len(ledger.queue_status(session).workers) >= workers:
                    return url, ledger.create_key(session, "scenario")
        finally:
            engine.dispose()
    raise RuntimeError("the service did not become ready")


def address_of(service: Service) -> str | None:
    """Where the gateway, the process that was started first, says it listens."""
    for word in (service.home / "0.log").read_text().split():
        if word.startswith("http://127.0.0.1:"):
            return word.split("/#")[0].rstrip("/")
    return None


def _worker_of(gateway_pid: int) -> int:
    """Process id of the worker that a gateway supervises."""
    children = Path(f"/proc/{gateway_pid}/task/{gateway_pid}/children").read_text().split()
    for pid in map(int, children):
        if b"scatterlens_worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise RuntimeError("the gateway has no worker")


def _kill_at_work(database: str, pid: int) -> None:
    """`kill -9` a worker while it holds a lease."""
    engine = ledger.open_engine(database)
    holds = text(
        "SELECT count(*) FROM jobs WHERE state = 'leased' AND worker_id LIKE :worker"
    ).bindparams(worker=f"%:{pid}:%")
    end = time.monotonic() + _READY_SECONDS
    try:
        while time.monotonic() < end:
            with engine.connect() as connection:
                if connection.scalar(holds):
                    os.kill(pid, signal.SIGKILL)
                    return
            time.sleep(0.005)
    finally:
        engine.dispose()
    raise RuntimeError(f"worker {pid} never held a lease")


def wait_until_decided(database: str) -> None:
    engine = ledger.open_engine(database)
    end = time.monotonic() + _DONE_SECONDS
    try:
        while time.monotonic() < end:
            with ledger.reading(engine) as session:
                status = ledger.queue_status(session)
            if status.queued + status.leased == 0:
                return
            time.sleep(0.2)
    finally:
        engine.dispose()
    raise RuntimeError(f"not all was decided within {_DONE_SECONDS} s: {status}")


def _count(
    mode: str,
    database: str,
    items: Sequence[Item],
    poison: bytes,
    local: Local,
    submits: Sequence[float],
    began: float,
    submits_in_outage: int = 0,
) -> Outcome:
    engine = ledger.open_engine(database)
    with engine.connect() as connection:

        def number(query: str) -> int:
            return connection.scalar(text(query)) or 0

        names = dict(connection.execute(text("SELECT frame_id, filename FROM submissions")).all())
        frames = {path.name: frame for path, frame in items}
        worst = 0.0
        for frame_id, attribute, probability in connection.execute(
            text(
                "SELECT frame_id, attribute, probability FROM scores"
                " JOIN annotations ON annotations.id = scores.annotation_id"
            )
        ):
            name = names[frame_id]
            expected = local[name, frames[name]][attribute]
            worst = max(worst, abs(probability - expected))
        refused = connection.execute(
            text(
                "SELECT filename, state, reason FROM jobs"
                " JOIN submissions ON submissions.frame_id = jobs.frame_id WHERE state <> 'done'"
            )
        ).all()
        outcome = Outcome(
            mode=mode,
            sent=len(submits),
            frames=number("SELECT count(*) FROM frames"),
            jobs=dict(
                connection.execute(
                    text("SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state")
                ).all()
            ),
            annotations=number("SELECT count(*) FROM annotations"),
            distinct_annotations=number(
                "SELECT count(*) FROM"
                " (SELECT DISTINCT frame_id, model_version FROM annotations) AS pairs"
            ),
            refused={
                name: f"{state}: {_as_dict(reason)['type']}" for name, state, reason in refused
            },
            leased_again=number("SELECT count(*) FROM jobs WHERE attempt > 1"),
            worst_difference=worst,
            slowest_submit_s=round(max(submits), 3),
            submits_in_outage=submits_in_outage,
            seconds=round(time.monotonic() - began, 1),
        )
    engine.dispose()
    return outcome


def _as_dict(reason: str | dict[str, str]) -> dict[str, str]:
    """A JSON column, which PostgreSQL's driver reads and SQLite's does not."""
    return json.loads(reason) if isinstance(reason, str) else reason


def main(mode: str) -> None:
    beside = Path(__file__).parents[3] / "shared" / "data"
    real = Path(os.environ.get("SCATTERLENS_TEST_DATA", beside)) / "real"
    items, poison = read_items(real), make_poison()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        local = annotate_locally(items, Path(one))
        run = {"embedded": run_embedded, "deployed": run_deployed}[mode]
        print(json.dumps(asdict(run(items, poison, local, Path(two))), indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
