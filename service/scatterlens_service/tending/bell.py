"""Telling workers that there is work. A bell may be lost: the sweep rings again for old rows."""

import logging
import threading
from typing import Protocol

from celery import Celery

from scatterlens_service.ledger import TRAIN
from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)

DRAIN_TASK = "scatterlens.drain"
TRAIN_TASK = "scatterlens.train"


class Bell(Protocol):
    """Rings workers; never fails, never waits."""

    def ring(self, queue: str) -> None:
        """Say that `queue` has work. Call it after the commit."""
        ...

    def close(self) -> None:
        """Stop ringing."""
        ...


class NoBell:
    """Embedded mode: the worker looks by itself."""

    def ring(self, queue: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class CeleryBell:
    """Sends empty Celery messages from a thread of its own.

    A broker that is down or hangs costs that thread up to four seconds, and nobody else anything.
    Rings that wait are sent once: a drain takes all there is.
    """

    def __init__(self, redis_url: str) -> None:
        self._app = Celery(broker=redis_url, set_as_current=False)
        self._app.conf.update(
            broker_transport_options={
                "socket_connect_timeout": 1,
                "socket_timeout": 2,
                # `retry=False` alone still tries to connect for six seconds.
                "max_retries": 1,
                "interval_start": 0,
                "interval_step": 0,
            },
            task_ignore_result=True,
        )
        self._waiting: set[str] = set()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._send_forever, name="bell", daemon=True)
        self._thread.start()

    def ring(self, queue: str) -> None:
        """Have a message sent soon; returns at once."""
        with self._change:
            self._waiting.add(queue)
            self._change.notify()

    def close(self) -> None:
        """Send what waits, for up to five seconds, and stop."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(timeout=5)
        self._app.close()

    def _send_forever(self) -> None:
        troubles = Troubles(_log)
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                queue = self._waiting.pop()
            try:
                task = TRAIN_TASK if queue == TRAIN else DRAIN_TASK
                self._app.send_task(task, queue=queue, retry=False)
            except Exception as error:  # whatever it is, the sweep rings again
                troubles.meet("the broker", f"workers cannot be rung: {error}")
            else:
                troubles.end("the broker")


def open_bell(redis_url: str | None) -> Bell:
    """The bell that fits the settings."""
    return NoBell() if redis_url is None else CeleryBell(redis_url)
