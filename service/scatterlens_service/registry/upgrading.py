"""What an upgrade of the package may not change: which model answers by default.

The package ships bundles, and another version of it ships others. A ledger remembers which of them
was its default, and the home keeps a copy of its files: a newer one is a candidate, to be promoted
like any other.
"""

import logging
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scatterlens_models.bundle import Bundle, BundleError
from scatterlens_service import ledger
from scatterlens_service.registry.bundles import load_version, read_configured, to_model_version
from scatterlens_service.registry.installing import install
from scatterlens_service.registry.versions import NONE
from scatterlens_service.settings import Settings

_log = logging.getLogger(__name__)

_REASON = (
    "The package was upgraded, and the files of the model before went with the version that shipped"
    " them."
)


def keep_default(settings: Settings, engine: Engine) -> None:
    """Let the default of a ledger stay what it was, whatever this version of the package ships.

    Call it at the start, once the known bundles are registered. A default that somebody put into
    the home, or names anew in the settings, is their own choice and counts at once.
    """
    try:
        shipped = read_configured(settings).bundles[0]
    except BundleError:
        return  # something else was promoted, or the start says what is missing
    version = to_model_version(shipped)
    own = shipped.path.is_relative_to(settings.home)
    if not own:
        with suppress(OSError):  # the next start copies it
            install(settings, shipped.path)
    with ledger.writing(engine) as session:
        ledger.hold_production(session)
        aliases = ledger.get_aliases(session)
        if ledger.PRODUCTION in aliases:
            return
        before = aliases.get(ledger.DEFAULT) or ledger.asked_before(session, shipped.version)
        if (
            before in (None, shipped.version)
            or own
            or _is_named(settings, session, before, shipped)
        ):
            ledger.put_alias(session, ledger.DEFAULT, shipped.version)
            return
        if _has_files(settings, before):
            _log.warning(
                "%s@%s is shipped now; %s stays production until another is promoted",
                *(shipped.name, shipped.version, before),
            )
            ledger.put_alias(session, ledger.PRODUCTION, before)
            if ledger.CANDIDATE not in aliases:
                ledger.put_alias(session, ledger.CANDIDATE, shipped.version)
            return
        _log.warning("%s is gone; %s@%s is production", before, shipped.name, shipped.version)
        ledger.put_alias(session, ledger.DEFAULT, shipped.version)
        ledger.add_promotion(
            session, "promote", before, version, reason=_REASON, gate=NONE, by="upgrade"
        )


def _is_named(settings: Settings, session: Session, before: str, first: Bundle) -> bool:
    """Whether the settings name another line of models than the one before."""
    known = ledger.get_model(session, before)
    return bool(settings.active_models) and known is not None and known.name != first.name


def _has_files(settings: Settings, version: str) -> bool:
    try:
        load_version(settings, version)
    except BundleError:
        return False
    return True
