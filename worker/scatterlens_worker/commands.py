"""`scatterlens worker` and `scatterlens trainer`: what works beside the gateway."""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from scatterlens_models.bundle import BundleError
from scatterlens_models.decoding import ConfinementError
from scatterlens_models.session import DeviceError
from scatterlens_service import ledger
from scatterlens_service.keeping.homes import (
    HomeError,
    be_private,
    describe_ledger,
    require_own_ledger,
    require_whole,
)
from scatterlens_service.ledger import QUEUES
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from scatterlens_service.tending.training import can_train_here
from scatterlens_worker.polling import poll_forever
from scatterlens_worker.runtime import Runtime
from scatterlens_worker.training_loop import Trainer, be_nice, train_forever

_log = logging.getLogger(__name__)


def worker(
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option(help="What the networks should run on.")
    ] = "cpu",
    require_gpu: Annotated[
        bool, typer.Option(help="Refuse to start where the networks do not run on CUDA.")
    ] = False,
    supervised: Annotated[
        bool, typer.Option(hidden=True, help="End when standard input is closed.")
    ] = False,
) -> None:
    """Annotate frames until stopped; with a broker (SCATTERLENS_REDIS_URL) waits to be rung."""
    _log_to_terminal()
    be_private()
    settings = Settings()
    try:
        _open_home(settings)
        runtime = Runtime(settings, device, require_gpu)
    except (BundleError, ConfinementError, DeviceError, HomeError) as error:
        Console(markup=False, stderr=True).print(
            Text.assemble(("The worker cannot start:", "red"), f" {error}")
        )
        raise typer.Exit(2) from None
    with runtime:
        _stop_by_signal(runtime.stop)
        if supervised:
            threading.Thread(target=_stop_with_parent, daemon=True).start()
        if settings.redis_url is None:
            poll_forever(runtime)
        else:
            # Imported only here: the embedded mode needs no consumer.
            from scatterlens_worker.celery_app import run_celery

            run_celery(runtime, list(QUEUES))


def trainer(
    supervised: Annotated[
        bool, typer.Option(hidden=True, help="End when standard input is closed.")
    ] = False,
) -> None:
    """Train what is asked for until stopped; with a broker (SCATTERLENS_REDIS_URL) waits for it."""
    _log_to_terminal()
    settings = Settings()
    if not can_train_here():
        Console(markup=False, stderr=True).print(
            Text.assemble(
                ("The trainer cannot start:", "red"),
                " what it needs is not installed. Install it with:"
                " pip install 'scatterlens[train]'",
            ),
            soft_wrap=True,
        )
        raise typer.Exit(2)
    be_private()
    try:
        _open_home(settings)
    except HomeError as error:
        Console(markup=False, stderr=True).print(
            Text.assemble(("The trainer cannot start:", "red"), f" {error}"), soft_wrap=True
        )
        raise typer.Exit(2) from None
    be_nice()
    with Trainer(settings) as running:
        _stop_by_signal(running.stop, running.wake)
        if supervised:
            threading.Thread(target=_stop_with_parent, daemon=True).start()
        if settings.redis_url is None:
            train_forever(running)
        else:
            from scatterlens_worker.celery_app import train_by_celery

            train_by_celery(running)


def _open_home(settings: Settings) -> None:
    """Say which home is worked for, and that it is one; raises `HomeError`."""
    require_whole(settings)
    _log.info("home %s, ledger %s", settings.home, describe_ledger(settings))
    migrate(settings.database)
    engine = ledger.open_engine(settings.database)
    try:
        with ledger.reading(engine) as session:
            require_own_ledger(settings, session)
    finally:
        engine.dispose()


def _log_to_terminal() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _stop_by_signal(*events: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        for event in events:
            event.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _stop_with_parent() -> None:
    # Not through `sys.stdin`: its lock, held by this thread, would abort a regular exit.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
