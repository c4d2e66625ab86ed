"""The model versions that may be asked for, by their bundles' metadata; nothing is run here."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scatterlens_models.bundle import Bundle, BundleError
from scatterlens_service import ledger
from scatterlens_service.registry.bundles import load_version, read_configured
from scatterlens_service.registry.versions import INSTALLATION
from scatterlens_service.settings import Settings

_log = logging.getLogger(__name__)


class UnknownModelError(LookupError):
    """No such model version; the message names those that are known."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Known bundles. The active ones annotate every frame; the first of them is production."""

    active: tuple[Bundle, ...]
    others: tuple[Bundle, ...] = ()
    """The candidate first, then the newest."""
    problems: tuple[str, ...] = field(default=())
    """What is registered and cannot be read."""

    @property
    def production(self) -> Bundle:
        """The model meant where none is named."""
        return self.active[0]

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """All of them, production first."""
        return (*self.active, *self.others)

    def find(self, model: str | None) -> Bundle:
        """Look up `name`, `version` or `name@version`; None means production.

        Of several versions of a name the active one is meant, else the newest.

        Raises:
            UnknownModelError: none fits.
        """
        if model is None:
            return self.production
        for bundle in self.bundles:
            if model in (bundle.name, bundle.version, f"{bundle.name}@{bundle.version}"):
                return bundle
        known = ", ".join(f"{bundle.name}@{bundle.version}" for bundle in self.bundles)
        raise UnknownModelError(f"There is no model {model!r}; known are {known}")


def _is_past(row: ledger.ModelRow, active: Sequence[str], candidate: str | None) -> bool:
    """Whether a model came with the package, and an upgrade took it away: nobody misses it."""
    return row.registered_by == INSTALLATION and row.version not in (*active, candidate)


class Shelf:
    """Holds the catalogue of a gateway and brings it up to date when the registry changes.

    Raises as `read_configured` does: without a production model there is no service.
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._lock = threading.Lock()
        with ledger.reading(engine) as session:
            promoted = ledger.PRODUCTION in ledger.get_aliases(session)
        self.configured = read_configured(settings, promoted=promoted)
        self._read = {bundle.version: bundle for bundle in self.configured.bundles}
        self._unreadable: set[str] = set()
        self.catalogue = self._look()

    def refresh(self) -> None:
        """Look again, now; bundles that were read before are not read again."""
        with self._lock:
            self.catalogue = self._look()

    def catch_up(self, production: str) -> None:
        """Look again where another version is production than the catalogue says."""
        if production not in (self.catalogue.production.version, *self._unreadable):
            self.refresh()

    def active(self, session: Session) -> list[ledger.ModelVersion]:
        """What annotates every frame as of this transaction, whatever the catalogue holds yet."""
        return ledger.active_models(session, *self.configured.models)

    def _look(self) -> Catalogue:
        with ledger.reading(self._engine) as session:
            active = [model.version for model in self.active(session)]
            rows = ledger.list_models(session)
            candidate = ledger.get_aliases(session).get(ledger.CANDIDATE)
        for row in rows:
            if row.version not in self._read:
                self._load(row)
        problems = [
            f"The files of model {row.name}@{row.version} are gone or damaged; register it again."
            for row in rows
            if row.version in self._unreadable and not _is_past(row, active, candidate)
        ]
        others = sorted(
            (row.version for row in rows if row.version not in active),
            key=lambda version: version != candidate,
        )
        return Catalogue(
            self._known(active) if active[0] in self._read else self._before(),
            self._known(others),
            tuple(problems),
        )

    def _known(self, versions: Sequence[str]) -> tuple[Bundle, ...]:
        return tuple(self._read[version] for version in versions if version in self._read)

    def _load(self, row: ledger.ModelRow) -> None:
        try:
            self._read[row.version] = load_version(self._settings, row.version)
            self._unreadable.discard(row.version)
        except BundleError as error:
            _log.error("%s@%s cannot be read: %s", row.name, row.version, error)
            self._unreadable.add(row.version)

    def _before(self) -> tuple[Bundle, ...]:
        """What to show while production cannot be read; its frames are taken, and wait for it."""
        before = getattr(self, "catalogue", None)
        shown = self.configured.bundles if before is None else before.active
        if not shown:
            raise BundleError(
                "the files of the promoted model are gone or damaged, and so is what the settings"
                f" name; put one of them back into {self._settings.home}"
            )
        return shown
