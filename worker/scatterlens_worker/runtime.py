"""What a worker process holds: decode child, ledger, blobs, sessions."""

import logging
import os
import secrets
import socket
import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from scatterlens_models.decoding import DecodeChild, DecodeLimits
from scatterlens_models.gradients import GradientSession
from scatterlens_models.session import Device, ModelSession
from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.settings import Settings
from scatterlens_service.tending.bell import open_bell
from scatterlens_service.tending.presence import being_present
from scatterlens_service.tending.troubles import Troubles
from scatterlens_worker.heartbeat import Heartbeat
from scatterlens_worker.shelf import ModelShelf

_log = logging.getLogger(__name__)


class Runtime:
    """The resources of one worker process; close it, or use it in a `with` block.

    Raises:
        DeviceError: `require_gpu` and a graph does not run on CUDA.
        BundleError: an active bundle is missing or damaged.
    """

    def __init__(
        self, settings: Settings, device: Device = "cpu", require_gpu: bool = False
    ) -> None:
        self.settings = settings
        self.device: Device = device
        self.require_gpu = require_gpu
        self.id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.troubles = Troubles(_log)
        """What does not work for a while."""
        self.stop = threading.Event()
        """Set: finish what is begun, take nothing new."""
        with ExitStack() as opened:
            # First of all: the child must not inherit threads or connections of what follows.
            self.decoder = opened.enter_context(
                DecodeChild(DecodeLimits(whole_confinement=settings.require_confinement))
            )
            self.engine = ledger.open_engine(settings.database)
            self.blobs = BlobFolder(settings.blob_folder)
            self.renders = BlobFolder(settings.render_folder)
            self.bell = open_bell(settings.redis_url)
            self.models = ModelShelf(settings, self.engine, device, require_gpu)
            self._gradients: dict[str, GradientSession] = {}
            opened.enter_context(being_present(settings.home, self.id))
            self.heartbeat = Heartbeat(
                self.engine, self.report, settings.heartbeat_seconds, settings.lease_seconds
            )
            self._opened = opened.pop_all()  # whole: `close` lets it go

    @property
    def sessions(self) -> dict[str, ModelSession]:
        """Models that are held, by version; the same until `follow_models` is called."""
        return self.models.sessions

    def follow_models(self, *, waiting: bool = False) -> None:
        """Between two batches: hold what is active or still asked for, and nothing else."""
        self.models.follow(waiting=waiting)
        self._gradients = {v: g for v, g in self._gradients.items() if v in self.sessions}

    def gradients(self, version: str) -> GradientSession:
        """The second graph of a model that is open; loaded when it is first needed.

        Raises:
            NoGradientsError: its bundle was exported without one.
        """
        if version not in self._gradients:
            bundle = self.sessions[version].bundle
            self._gradients[version] = GradientSession(bundle, self.device)
        return self._gradients[version]

    def report(self) -> ledger.WorkerReport:
        """How this worker describes itself."""
        sessions = self.sessions
        providers = sorted({session.provider for session in sessions.values()})
        return ledger.WorkerReport(
            self.id,
            self.device,
            ",".join(providers),
            tuple(sorted(sessions)),
            refused=dict(self.models.refused),
        )

    def close(self) -> None:
        """Say goodbye and let everything go."""
        self.heartbeat.close()
        self.models.close()
        self._opened.close()
        self.bell.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
