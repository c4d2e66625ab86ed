"""What a worker process holds: decode child, ledger, blobs, sessions."""

import logging
import os
import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Self

from scatterlens_models.bundle import Bundle, BundleError, find_bundle, load_bundle
from scatterlens_models.decoding import DecodeChild
from scatterlens_models.gradients import GradientSession
from scatterlens_models.session import Device, ModelSession
from scatterlens_service import ledger
from scatterlens_service.bell import open_bell
from scatterlens_service.blobs import BlobFolder
from scatterlens_service.bundles import active_bundles, known_names
from scatterlens_service.settings import Settings
from scatterlens_worker.heartbeat import Heartbeat

_log = logging.getLogger(__name__)

_RELOAD_SECONDS = 5.0


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
        self.stop = threading.Event()
        """Set: finish what is begun, take nothing new."""
        # First of all: the child must not inherit threads or connections of what follows.
        self.decoder = DecodeChild()
        self.engine = ledger.open_engine(settings.database)
        self.blobs = BlobFolder(settings.blob_folder)
        self.bell = open_bell(settings.redis_url)
        self.sessions: dict[str, ModelSession] = {}
        """By model version."""
        self._gradients: dict[str, GradientSession] = {}
        self._reloaded = 0.0
        for bundle in active_bundles(settings):
            self._open(bundle)
        self.heartbeat = Heartbeat(
            self.engine, self.report, settings.heartbeat_seconds, settings.lease_seconds
        )

    def _open(self, bundle: Bundle) -> None:
        session = ModelSession(bundle, self.device, self.require_gpu)
        self.sessions[bundle.version] = session
        _log.info("%s %s runs on %s", bundle.name, bundle.version, session.provider)

    def gradients(self, version: str) -> GradientSession:
        """The second graph of a model that is open; loaded when it is first needed.

        Raises:
            NoGradientsError: its bundle was exported without one.
        """
        if version not in self._gradients:
            bundle = self.sessions[version].bundle
            self._gradients[version] = GradientSession(bundle, self.device)
        return self._gradients[version]

    def reload(self) -> None:
        """Open the bundles that were installed since; those already open go on serving.

        A damaged bundle is refused and told of; its jobs wait until it is installed again.
        Looks at most every five seconds.
        """
        now = time.monotonic()
        if now - self._reloaded < _RELOAD_SECONDS:
            return
        self._reloaded = now
        for name in known_names(self.settings):
            try:
                bundle = load_bundle(find_bundle(name, self.settings.home))
            except BundleError as error:
                _log.error("bundle %s refused: %s", name, error)
                continue
            if bundle.version not in self.sessions:
                self._open(bundle)

    def report(self) -> ledger.WorkerReport:
        """How this worker describes itself."""
        providers = sorted({session.provider for session in self.sessions.values()})
        return ledger.WorkerReport(
            self.id, self.device, ",".join(providers), tuple(sorted(self.sessions))
        )

    def close(self) -> None:
        """Say goodbye and let everything go."""
        self.heartbeat.close()
        self.decoder.close()
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
