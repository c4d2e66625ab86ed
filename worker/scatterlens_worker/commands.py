"""`scatterlens worker`: annotate what the ledger holds, on this machine's CPU or GPU."""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console

from scatterlens_models.bundle import BundleError
from scatterlens_models.session import DeviceError
from scatterlens_service.bundles import NoModelError
from scatterlens_service.ledger import QUEUES
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from scatterlens_worker.polling import poll_forever
from scatterlens_worker.runtime import Runtime


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
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = Settings()
    try:
        migrate(settings.database)
        runtime = Runtime(settings, device, require_gpu)
    except (BundleError, DeviceError, NoModelError) as error:
        Console(stderr=True).print(f"[red]The worker cannot start:[/] {error}")
        raise typer.Exit(2) from None
    with runtime:
        _stop_by_signal(runtime)
        if supervised:
            threading.Thread(target=_stop_with_parent, daemon=True).start()
        if settings.redis_url is None:
            poll_forever(runtime)
        else:
            # Imported only here: the embedded mode needs no consumer.
            from scatterlens_worker.celery_app import run_celery

            run_celery(runtime, list(QUEUES))


def _stop_by_signal(runtime: Runtime) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        runtime.stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _stop_with_parent() -> None:
    # Not through `sys.stdin`: its lock, held by this thread, would abort a regular exit.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
