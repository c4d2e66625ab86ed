"""A worker without a network: leases, waits as long as decoding takes, stores an answer."""

import multiprocessing
import os
import time
from multiprocessing.connection import Connection

from scatterlens.schemas import AttributeResult
from scatterlens_service import ledger

_ANSWER = ledger.NewAnnotation(
    [AttributeResult(id="ring", probability=0.5, threshold=0.5, tag=True)],
    0.0,
    0.0,
    {},
    "none",
    "0" * 64,
    (1, 1),
    {},
    None,
)
# A server that has imported the ledger forks each worker: they start in milliseconds.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


class LedgerWorker:
    """A process of its own that works on a ledger until it is killed."""

    def __init__(self, url: str, lease_seconds: float, work_seconds: float) -> None:
        self.said, theirs = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(
            target=_work, args=(url, lease_seconds, work_seconds, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """For signals other than the last one."""
        assert self._process.pid is not None
        return self._process.pid

    def hear(self, seconds: float) -> str:
        """What it says next: `done` or `fenced`, and the frame; empty if it says nothing."""
        return self.said.recv() if self.said.poll(seconds) else ""

    def kill(self) -> None:
        """End it by SIGKILL and wait until it is gone."""
        self._process.kill()
        self._process.join()
        self.said.close()


def _work(url: str, lease_seconds: float, work_seconds: float, said: Connection) -> None:
    engine = ledger.open_engine(url)
    while True:
        with ledger.writing(engine) as session:
            ledger.sweep(session)
            jobs = ledger.lease(session, str(os.getpid()), 4, lease_seconds)
        for job in jobs:
            time.sleep(work_seconds)
            with ledger.writing(engine) as session:
                done = ledger.complete(session, job, _ANSWER)
            said.send(f"{'done' if done else 'fenced'} {job.frame_id}")
        time.sleep(0.0 if jobs else 0.02)
