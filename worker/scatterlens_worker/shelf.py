"""The models that a worker holds: new ones are loaded beside the old, swapped in between batches.

Loading happens in a thread of its own, so that frames for the models that are held go on being
answered meanwhile. What cannot be loaded is said and tried again; nothing else changes.
"""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import Engine

from scatterlens_models.bundle import Bundle, BundleError
from scatterlens_models.session import Device, ModelSession
from scatterlens_service import ledger
from scatterlens_service.registry.bundles import load_version, read_configured
from scatterlens_service.settings import Settings

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_LOOK_SECONDS_IDLE = 0.2
"""Jobs wait for a model that is not held, and nothing else does."""
_RETRY_SECONDS = 5.0
_LOAD_SECONDS = 60.0
"""With nothing else to do, a worker waits so long for a model that jobs wait for."""


class ModelShelf:
    """Sessions by version; `sessions` changes in `follow` alone, so never during a batch.

    Raises:
        DeviceError: `require_gpu` and a graph does not run on CUDA.
        BundleError: a bundle that the settings name is missing or damaged.
    """

    def __init__(
        self, settings: Settings, engine: Engine, device: Device, require_gpu: bool
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._device: Device = device
        self._require_gpu = require_gpu
        self._looked = float("-inf")
        self._tried: dict[str, float] = {}
        """When a version was last refused."""
        self._loading: dict[str, Future[ModelSession]] = {}
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load-model")
        self.sessions: dict[str, ModelSession] = {}
        """By model version."""
        self.refused: dict[str, str] = {}
        """Versions that should be held and cannot be, with the reason."""
        with ledger.reading(engine) as session:
            promoted = ledger.PRODUCTION in ledger.get_aliases(session)
        self._configured = read_configured(settings, promoted=promoted)
        self._first_look()

    def follow(self, *, waiting: bool = False) -> None:
        """Between two batches: take in what was loaded, load what is missing, let go of the rest.

        With `waiting` there is nothing to do but jobs for models that are not held: waits for
        those that are being loaded. Looks at the ledger now and then, not each time.
        """
        self._take_in()
        every = _LOOK_SECONDS_IDLE if waiting else _LOOK_SECONDS
        if time.monotonic() - self._looked >= every:
            self._looked = time.monotonic()
            self._look()
        if waiting and self._loading:
            wait(self._loading.values(), _LOAD_SECONDS)
            self._take_in()

    def close(self) -> None:
        """Let everything go; a load that was begun is waited for."""
        self._loader.shutdown(cancel_futures=True)
        self.sessions = {}

    def _first_look(self) -> None:
        bundles = {bundle.version: bundle for bundle in self._configured.bundles}
        for version in self._active():
            try:
                self.sessions[version] = self._open(
                    bundles.get(version) or load_version(self._settings, version)
                )
            except BundleError as error:
                self._refuse(version, error)

    def _active(self) -> list[str]:
        with ledger.reading(self._engine) as session:
            active = ledger.active_models(session, *self._configured.models)
        return [model.version for model in active]

    def _look(self) -> None:
        with ledger.reading(self._engine) as session:
            active = ledger.active_models(session, *self._configured.models)
            needed = {model.version for model in active} | ledger.open_versions(session)
        self.refused = {v: why for v, why in self.refused.items() if v in needed}
        for version in needed - self.sessions.keys() - self._loading.keys():
            if time.monotonic() - self._tried.get(version, float("-inf")) >= _RETRY_SECONDS:
                self._loading[version] = self._loader.submit(self._load, version)
        self._let_go(self.sessions.keys() - needed, {model.version for model in active})

    def _let_go(self, versions: Iterable[str], active: set[str]) -> None:
        # The old model stays until the new one is here: a job for it may still come in.
        if not active <= self.sessions.keys():
            return
        for version in list(versions):
            _log.info("%s is let go: no job names it", version)
            self.sessions = {v: s for v, s in self.sessions.items() if v != version}

    def _take_in(self) -> None:
        for version, future in list(self._loading.items()):
            if not future.done():
                continue
            del self._loading[version]
            try:
                session = future.result()
            except Exception as error:  # whatever a foreign graph may raise
                self._refuse(version, error)
                continue
            self.refused = {v: why for v, why in self.refused.items() if v != version}
            # A new dictionary: the heartbeat reads the old one at this moment.
            self.sessions = {**self.sessions, version: session}

    def _load(self, version: str) -> ModelSession:
        return self._open(load_version(self._settings, version))

    def _open(self, bundle: Bundle) -> ModelSession:
        session = ModelSession(bundle, self._device, self._require_gpu)
        _log.info("%s %s runs on %s", bundle.name, bundle.version, session.provider)
        return session

    def _refuse(self, version: str, error: Exception) -> None:
        self._tried[version] = time.monotonic()
        why = f"{error}".replace(str(self._settings.home), "the data folder")[:500]
        if self.refused.get(version) != why:  # it is tried again and again
            _log.error("model %s refused, the others go on: %s", version, error)
        self.refused = {**self.refused, version: why}
