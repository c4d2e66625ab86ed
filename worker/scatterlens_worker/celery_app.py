"""Deployed mode: Celery rings, the ledger has the work.

Redis may lose, double or delay a message, and nothing happens but a look at the ledger in vain or
a second of waiting for the sweep. The settings are those that were measured against `kill -9`.
"""

import logging
import threading
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import worker_ready, worker_shutting_down
from celery.worker import state
from kombu.connection import Connection

from scatterlens_service.ledger import TRAIN
from scatterlens_service.tending.bell import DRAIN_TASK, TRAIN_TASK
from scatterlens_service.tending.troubles import Troubles
from scatterlens_worker.drain import drain
from scatterlens_worker.runtime import Runtime
from scatterlens_worker.training_loop import Trainer, train_forever

_log = logging.getLogger(__name__)

_LOOK_ANYWAY_SECONDS = 60.0
"""A trainer that nobody rings looks for work so often."""


class _PromptConnection(Connection):
    """Looks for a broker that is away every two seconds, rather than ever more seldom."""

    def ensure_connection(self, *args: Any, **options: Any) -> Connection:
        return super().ensure_connection(*args, **{"interval_max": 2, **options})


class _PromptAMQP(AMQP):
    Connection = _PromptConnection


def create_app(runtime: Runtime) -> Celery:
    """The consumer for one worker process; run it with `--pool=solo` alone.

    onnxruntime's threads and CUDA do not survive a fork, so there is none.
    """
    app = _new_app(runtime.settings.redis_url)
    troubles = Troubles(_log)

    def drain_and_ring() -> None:
        """Drain the queue of the message; ring again where the time did not suffice."""
        try:
            left = drain(runtime)
        except Exception:  # the message is done with: the sweep rings again for what waits
            troubles.meet("the drain", "the drain failed, trying again", trace=True)
            return
        troubles.end("the drain")
        if left and not runtime.stop.is_set():
            runtime.bell.ring("annotate.live")

    app.task(name=DRAIN_TASK)(drain_and_ring)
    return app


def _new_app(redis_url: str | None) -> Celery:
    app = Celery("scatterlens", broker=redis_url, amqp=_PromptAMQP, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        # A frame that kills its worker must not be delivered for ever; the ledger counts.
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_pool="solo",
        worker_soft_shutdown_timeout=25,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 120,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return app


def run_celery(runtime: Runtime, queues: list[str]) -> None:
    """Consume bells until a signal ends the process; blocks."""
    _consume(create_app(runtime), runtime.id, queues, runtime.stop)


def train_by_celery(trainer: Trainer) -> None:
    """Have bells wake a trainer until a signal ends the process; blocks.

    A training takes hours, and no broker waits so long for an acknowledgement: the message only
    wakes the thread that trains.
    """
    app = _new_app(trainer.settings.redis_url)
    app.task(name=TRAIN_TASK)(trainer.wake.set)
    training = threading.Thread(
        target=train_forever, args=(trainer, _LOOK_ANYWAY_SECONDS), name="trainer"
    )
    training.start()
    try:
        _consume(app, trainer.id, [TRAIN], trainer.stop)
    finally:
        trainer.stop.set()
        trainer.wake.set()
        training.join()


def _consume(app: Celery, worker_id: str, queues: list[str], stopping: threading.Event) -> None:
    def stop(**_: object) -> None:
        stopping.set()

    def stop_if_asked(**_: object) -> None:
        # A signal that came before Celery listened to signals.
        if stopping.is_set():
            state.should_stop = 0

    worker_shutting_down.connect(stop)
    worker_ready.connect(stop_if_asked)
    worker = app.Worker(
        hostname=f"scatterlens@{worker_id}",
        queues=queues,
        concurrency=1,
        pool_cls="solo",
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
    worker.start()
