"""The loop on real parts: correct, train, judge, promote, while frames flow in.

By hand, with real frames and a built benchmark::

    PYTHONPATH=tests python -m support.learning_loop --real DIR --shards data/bench-v1/test

PostgreSQL, Redis, a gateway, two Celery workers and a trainer. 40 frames are annotated, of which
people correct 25 (their labels are those that come with the real frames; half B is never sent). One
candidate is trained from nothing in seconds and must be refused by the gate; another goes on from
production. Where the gate passes it, it is promoted with a reason, and taken back in the end. A
stream of simulated frames never stops meanwhile.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine, text

from scatterlens import Client
from scatterlens.errors import ApiError
from scatterlens.schemas import GateReport
from scatterlens_models.datasets.importing.real_halves import read_real_halves
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.synthetic.frames import expose
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.vocabulary import load_vocabulary
from scatterlens_service import ledger
from support import servers
from support.detector_files import npy
from support.scenario import Service, address_of, read_items, wait_until_decided

ANNOTATED, CORRECTED = 40, 25
SIMULATED = 1_500
"""Frames that are simulated beside the corrected ones."""
_STREAM_SEED = 31_337
"""Of the simulated frames: no split and no training has it."""
_BETWEEN_FRAMES_S = 3.0
_WORDS = {1: "present", 0: "absent"}
_HOPELESS = {"recipe": "slim-vgg11", "start": "nothing", "passes": 640, "simulated": 400}
"""A network that has hardly learned."""


@dataclass
class Outcome:
    """What happened, in its order."""

    production: str = ""
    annotated: int = 0
    corrected: int = 0
    labels: int = 0
    refused: dict[str, object] = field(default_factory=dict)
    accepted: dict[str, object] = field(default_factory=dict)
    new_answers: dict[str, int] = field(default_factory=dict)
    """Versions that answered frames sent after the promotion."""
    answers_after_rollback: dict[str, int] = field(default_factory=dict)
    streamed: int = 0
    """Frames that flowed in meanwhile."""
    answers: dict[str, int] = field(default_factory=dict)
    """All annotations, by version."""
    frames_by_number_of_answers: dict[int, int] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)
    """Annotation jobs, by state."""
    seconds: float = 0.0


class Stream:
    """Sends simulated frames, one after another, until it is closed."""

    def __init__(self, url: str, key: str) -> None:
        self._client = Client(url, key)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent: list[str] = []
        self.error: Exception | None = None
        self._thread.start()

    def wait_for(self, more: int) -> list[str]:
        """Ids of the next frames, once they are sent."""
        first = len(self.sent)
        while len(self.sent) < first + more:
            if self.error is not None:
                raise self.error
            time.sleep(0.1)
        return self.sent[first : first + more]

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                for number in itertools.count():
                    path = simulated_file(number, Path(folder))
                    (item,) = self._client.submit(path, scan="stream")
                    path.unlink()
                    assert item.error is None, item
                    self.sent.append(item.frame_id)
                    if self._stop.wait(_BETWEEN_FRAMES_S):
                        return
        except Exception as error:
            self.error = error


def simulated_file(number: int, folder: Path) -> Path:
    """One simulated frame as a detector writes it."""
    frame = expose(sample(_STREAM_SEED, number), load_vocabulary("aam20"))
    path = folder / f"simulated_{number}.npy"
    path.write_bytes(npy(frame.counts.astype(np.int32)))
    return path


def run(real: Path, shards: Path) -> Outcome:
    """Go once round the loop; raises where it does not close."""
    found, began = Outcome(), time.monotonic()
    with servers.postgres() as database, tempfile.TemporaryDirectory() as folder:
        redis, home = servers.Redis(), Path(folder)
        manifest = home / "half_b.jsonl"
        _import_half_b(real, manifest)
        service = Service(
            home,
            SCATTERLENS_DATABASE_URL=database,
            SCATTERLENS_REDIS_URL=redis.url,
            SCATTERLENS_GATE_SHARDS=str(shards.resolve()),
            SCATTERLENS_GATE_MANIFESTS=str(manifest),
        )
        stream = None
        try:
            service.start("serve", "--port", "0", "--no-worker")
            for kind in ("worker", "worker", "trainer"):
                service.start(kind)
            url, admin = _ready(service)
            stream = Stream(url, admin)
            with Client(url, admin) as client:
                _correct(client, real, home, found)
                found.refused = _train(client, "hopeless", **_HOPELESS)
                assert found.refused["gate"] == "failed", found.refused
                found.accepted = _train(client, "corrected", simulated=SIMULATED)
                assert found.accepted["gate"] == "passed", found.accepted
                client.promote_model(str(found.accepted["version"]), "no worse, and knows our stop")
                found.new_answers = _answers(client, stream.wait_for(5))
                assert set(found.new_answers) == {found.accepted["version"]}
                client.roll_back_model("only to show that it is one call")
                found.answers_after_rollback = _answers(client, stream.wait_for(3))
                assert set(found.answers_after_rollback) == {found.production}
                stream.close()
                wait_until_decided(database)
            found.streamed = len(stream.sent)
            _count(database, found)
        except BaseException:
            print(service.logs(), file=sys.stderr)
            raise
        finally:
            service.close()
            redis.close()
    found.seconds = round(time.monotonic() - began, 1)
    return found


def _import_half_b(real: Path, manifest: Path) -> None:
    words = ["datasets", "import", "real", real, "--vocabulary", "aam20", "--out", manifest]
    command = [sys.executable, "-m", "scatterlens", *map(str, words)]
    subprocess.run(command, check=True, stdout=sys.stderr)


def _ready(service: Service) -> tuple[str, str]:
    """Address and an admin's key, once gateway, workers and trainer are there."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        time.sleep(0.2)
        url = address_of(service)
        if url is None:
            continue
        engine = ledger.open_engine(service.database)
        try:
            with ledger.writing(engine) as session:
                here = [ledger.seen_workers(session, role) for role in ("annotate", "train")]
                if (len(here[0]), len(here[1])) == (2, 1):
                    return url, ledger.create_key(session, "loop", role="admin")
        finally:
            engine.dispose()
    raise RuntimeError("the service did not become ready")


def _correct(client: Client, real: Path, home: Path, found: Outcome) -> None:
    """Annotate frames of half A and simulated ones, and say of 25 what people said."""
    said: dict[tuple[str, int], FrameMember] = {}
    for member in read_real_halves(real, load_vocabulary("aam20")):
        if member.split == "train":
            said[member.path.name, member.index or 0] = member
    half_a = _half_a(real)
    extra = [(simulated_file(10**6 + i, home), 0) for i in range(ANNOTATED - len(half_a))]
    ids = load_vocabulary("aam20").ids
    for path, index in [*half_a, *extra]:
        member = said.get((path.name, index))
        about = {} if member is None else {"scan": member.experiment, "proposal": member.source}
        result = client.annotate(path, index, wait=120, **about)
        found.production = result.model.version
        found.annotated += 1
        if member is not None and found.corrected < CORRECTED:
            words = {
                attribute: _WORDS[value]
                for attribute, value in zip(ids, member.labels, strict=True)
                if value in _WORDS
            }
            client.label(result.frame_id, words, shown=result)
            found.corrected += 1
            found.labels += len(words)
    assert (found.annotated, found.corrected) == (ANNOTATED, CORRECTED)


def _half_a(real: Path) -> list[tuple[Path, int]]:
    halves = {line.split(",")[0]: line.split(",")[2] for line in _index(real)}
    return [item for item in read_items(real) if halves[item[0].name] == "A"][:ANNOTATED]


def _index(real: Path) -> list[str]:
    return (real / "INDEX.csv").read_text(encoding="utf-8").splitlines()[1:]


def _train(client: Client, name: str, **wanted: object) -> dict[str, object]:
    """Train and wait; what came of it, and what the gate says."""
    asked = time.monotonic()
    run = client.train(name=name, **wanted)
    shown: list[str] = []

    def show(now) -> None:
        line = f"{name}: {now.state}"
        if now.progress is not None:
            line += f" {now.progress.stage} {100 * now.progress.share:.0f} %"
        if not shown or shown[-1] != line:
            shown.append(line)
            print(line, file=sys.stderr, flush=True)

    done = client.wait_for_training(run.id, wait=3600, report=show)
    assert done.result is not None
    detail = client.model(done.result.version)
    assert detail.gate is not None, "the gate has not judged it"
    outcome = {
        "version": detail.version,
        "gate": "passed" if detail.gate.passed else "failed",
        "seconds": round(time.monotonic() - asked, 1),
        "figures": _figures(detail.gate),
    }
    if not detail.gate.passed:
        try:
            client.promote_model(detail.version, "will not be")
        except ApiError as error:
            outcome["promotion"] = f"{error.status}: {error}"[:200]
    return outcome


def _figures(report: GateReport) -> dict[str, object]:
    """Candidate beside production on each set of frames, and what the gate holds against it."""
    each = {
        f"{check.frames}: {check.figure}": [check.candidate, check.production]
        for check in report.checks
        if check.attribute is None
    }
    failed = [
        f"{check.frames}: {check.figure} {check.attribute or ''}".strip()
        for check in report.checks
        if not check.passed
    ]
    return {**each, "failed": failed}


def _answers(client: Client, frame_ids: list[str]) -> dict[str, int]:
    versions = [client.result(frame_id, wait=120).model.version for frame_id in frame_ids]
    return dict(Counter(versions))


def _count(database: str, found: Outcome) -> None:
    """By SQL: every frame has one answer, of the version that was active when it came."""
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:

        def table(query: str) -> dict:
            return dict(connection.execute(text(query)).all())

        found.answers = table("SELECT model_version, count(*) FROM annotations GROUP BY 1")
        found.jobs = table("SELECT state, count(*) FROM jobs WHERE kind = 'annotate' GROUP BY 1")
        found.frames_by_number_of_answers = table(
            "SELECT answers, count(*) FROM (SELECT frames.id, count(annotations.id) AS answers"
            " FROM frames LEFT JOIN annotations ON annotations.frame_id = frames.id"
            " GROUP BY frames.id) AS each_frame GROUP BY 1"
        )
    engine.dispose()
    assert found.frames_by_number_of_answers == {1: found.annotated + found.streamed}
    assert found.jobs == {"done": found.annotated + found.streamed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--real", type=Path, required=True, help="labelled real frames")
    parser.add_argument("--shards", type=Path, required=True, help="bench-v1/test")
    asked = parser.parse_args()
    print(json.dumps(asdict(run(asked.real, asked.shards)), indent=1))


if __name__ == "__main__":
    main()
