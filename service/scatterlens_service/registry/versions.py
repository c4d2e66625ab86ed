"""The registry of models: taking versions in, and changing which one is production.

A refusal changes nothing: files are verified before a row is written, and production is changed in
one transaction.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from scatterlens_models.bundle import (
    CARD,
    Bundle,
    BundleError,
    bundle_digest,
    find_bundle,
    load_bundle,
    verify_bundle,
)
from scatterlens_service import ledger
from scatterlens_service.registry.bundles import (
    Configured,
    known_names,
    load_version,
    read_configured,
    to_model_version,
)
from scatterlens_service.registry.installing import clear_arriving, install
from scatterlens_service.settings import Settings

_log = logging.getLogger(__name__)

_CARD_CHARACTERS = 200_000
_REPORT = "report.html"
INSTALLATION = "installation"
"""Who registers what the package ships, and what lies in the home under its name."""
PASSED, FAILED, NONE = "passed", "failed", "none"


class RefusedModelError(ValueError):
    """A bundle may not be registered as it is; the text says what would help."""


class UnknownVersionError(LookupError):
    """No model version of this kind was registered: list those that were."""


class NotPromotedError(RuntimeError):
    """Production stays as it is; `checks` are those of the gate that failed."""

    def __init__(self, detail: str, checks: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(detail)
        self.checks = list(checks)


def register(
    settings: Settings,
    engine: Engine,
    bundle_folder: Path,
    run_id: str | None,
    by: str,
    *,
    other_vocabulary: bool = False,
) -> str:
    """Copy a bundle into the installation and record it; returns its version.

    A version that is known is not recorded again; where its files were damaged they are replaced.

    Raises:
        BundleError: the bundle is not what was sealed, or cannot be served.
        RefusedModelError: it speaks of other attributes than production (unless
            `other_vocabulary`), or another bundle of this version is known.
    """
    bundle = verify_bundle(bundle_folder)
    with ledger.reading(engine) as session:
        known = ledger.get_model(session, bundle.version)
    if known is not None and known.sha256 != bundle_digest(bundle_folder):
        raise RefusedModelError(
            f"another bundle of version {bundle.version} is registered; export this one anew"
        )
    if known is None and not other_vocabulary:
        _require_same_vocabulary(bundle, production_bundle(settings, engine))
    if known is None or not _is_served_from_disk(settings, bundle.version):
        bundle = install(settings, bundle_folder)
    with ledger.writing(engine) as session:
        ledger.add_model(session, _to_row(bundle, run_id, by))
    return bundle.version


def register_known(settings: Settings, engine: Engine) -> None:
    """Record the bundles that lie under their names: those shipped, and those put there by hand."""
    clear_arriving(settings)
    for name in known_names(settings):
        try:
            bundle = load_bundle(find_bundle(name, settings.home))
        except BundleError as error:
            _log.error("bundle %s is not registered: %s", name, error)
            continue
        with ledger.reading(engine) as session:
            known = ledger.get_model(session, bundle.version)
        if known is None:
            with ledger.writing(engine) as session:
                ledger.add_model(session, _to_row(bundle, None, INSTALLATION), tell=False)


def production_bundle(settings: Settings, engine: Engine) -> Bundle:
    """What is production now; raises `BundleError` if its files are gone or damaged."""
    with ledger.reading(engine) as session:
        promoted = ledger.get_aliases(session).get(ledger.PRODUCTION)
    if promoted is not None:
        return load_version(settings, promoted)
    return read_configured(settings).bundles[0]


def record_gate(engine: Engine, version: str, report: Mapping[str, Any]) -> None:
    """Keep what the gate found about a registered version; the newest report counts.

    Raises:
        UnknownVersionError: it was never registered.
    """
    with ledger.writing(engine) as session:
        ledger.put_gate(session, _known(ledger.get_model(session, version), version).ref, report)


def has_report(bundle: Bundle | None) -> bool:
    """Whether a bundle was sealed with the page of its evaluation, and still has it."""
    return (
        bundle is not None
        and _REPORT in bundle.content["files"]
        and (bundle.path / _REPORT).is_file()
    )


def read_report(bundle: Bundle | None) -> bytes | None:
    """HTML page of a bundle's evaluation; None where there is none."""
    if bundle is None or not has_report(bundle):
        return None
    return (bundle.path / _REPORT).read_bytes()


def gate_verdict(report: Mapping[str, Any] | None, production: str) -> str:
    """What a report of the gate says for a promotion over the version that is production now.

    A report against another version says nothing.
    """
    if report is None or report.get("against") != production:
        return NONE
    return PASSED if report.get("passed") is True else FAILED


def promote(
    settings: Settings,
    engine: Engine,
    configured: Configured,
    version: str,
    *,
    reason: str,
    by: str,
    override: bool = False,
) -> bool:
    """Make a registered version production; False where it is already.

    Raises:
        UnknownVersionError: it was never registered.
        NotPromotedError: its files are gone or damaged, or (without `override`) the gate did not
            pass it against what is production now.
    """
    with ledger.reading(engine) as session:
        _known(ledger.get_model(session, version), version)
    _require_servable(settings, version)
    with ledger.writing(engine) as session:
        ledger.hold_production(session)
        model = _known(ledger.get_model(session, version), version)
        production = ledger.active_models(session, *configured.models)[0]
        if production.version == version:
            return False
        verdict = gate_verdict(model.gate, production.version)
        if verdict != PASSED and not override:
            raise _not_passed(verdict, model, production)
        ledger.add_promotion(
            session,
            "promote",
            production.version,
            model.ref,
            reason=reason,
            gate=verdict,
            by=by,
        )
    return True


def roll_back(
    settings: Settings, engine: Engine, *, reason: str, by: str, leaving: str | None = None
) -> str:
    """Return to the version before the newest promotion that stands; returns that version.

    With `leaving`, only away from that version: the same request sent twice goes back once.

    Raises:
        NotPromotedError: nothing was promoted, `leaving` is not production, or the files of the
            version before are gone or damaged.
    """
    with ledger.reading(engine) as session:
        checked = ledger.version_before(ledger.promotions(session))
    if checked is not None:
        _require_servable(settings, checked)
    with ledger.writing(engine) as session:
        ledger.hold_production(session)
        history = ledger.promotions(session)
        now = ledger.get_aliases(session).get(ledger.PRODUCTION)
        if leaving is not None and leaving != now:
            newest = history[-1] if history else None
            if newest and newest.kind == "rollback" and newest.from_version == leaving:
                return newest.to_version
            raise NotPromotedError(
                f"{leaving} is not production, {now or 'what the settings name'} is: look at the"
                " history before you go back"
            )
        before = ledger.version_before(history)
        if now is None or before is None:
            raise NotPromotedError("no promotion stands that could be undone; promote a version")
        if before != checked:  # somebody changed it at this moment
            _require_servable(settings, before)
        model = _known(ledger.get_model(session, before), before)
        ledger.add_promotion(session, "rollback", now, model.ref, reason=reason, gate=NONE, by=by)
    return before


def set_candidate(engine: Engine, version: str | None) -> None:
    """Say which version is to be production next; None: none.

    Raises:
        UnknownVersionError: it was never registered.
    """
    with ledger.writing(engine) as session:
        if version is not None:
            _known(ledger.get_model(session, version), version)
        ledger.put_alias(session, ledger.CANDIDATE, version)


def _known(model: ledger.ModelRow | None, version: str) -> ledger.ModelRow:
    if model is None:
        raise UnknownVersionError(f"no model of version {version} is registered")
    return model


def _require_servable(settings: Settings, version: str) -> None:
    try:
        load_version(settings, version)
    except BundleError as error:
        said = str(error).replace(str(settings.home), "the data folder")
        raise NotPromotedError(f"its bundle cannot be served, production stays: {said}") from error


def _is_served_from_disk(settings: Settings, version: str) -> bool:
    try:
        load_version(settings, version)
    except BundleError:
        return False
    return True


def _require_same_vocabulary(bundle: Bundle, production: Bundle) -> None:
    ours, theirs = bundle.vocabulary, production.vocabulary
    if (ours.name, ours.ids) != (theirs.name, theirs.ids):
        raise RefusedModelError(
            f"it speaks of {ours.name} ({len(ours.ids)} attributes), production of {theirs.name}"
            f" ({len(theirs.ids)}): clients would find other attributes; ask for"
            " `other_vocabulary` if that is meant"
        )


def _not_passed(
    verdict: str, model: ledger.ModelRow, production: ledger.ModelVersion
) -> NotPromotedError:
    name = f"{model.name}@{model.version}"
    if verdict == NONE:
        other = "" if model.gate is None else " (it was measured against another version)"
        return NotPromotedError(
            f"the gate did not measure {name} against {production.version}, which is production"
            f"{other}: run `scatterlens gate {model.version}` where the test frames are"
        )
    checks = model.gate.get("checks", ()) if model.gate else ()
    failed = [check for check in checks if not check.get("passed")]
    return NotPromotedError(
        f"the gate refuses {name}: {len(failed)} of {len(checks)} checks against"
        f" {production.version} failed",
        failed,
    )


def _to_row(bundle: Bundle, run_id: str | None, by: str) -> ledger.NewModel:
    card = None
    if CARD in bundle.content["files"]:
        card = (bundle.path / CARD).read_text(encoding="utf-8", errors="replace")
        card = card.replace("\0", "")[:_CARD_CHARACTERS]
    # Databases take no NaN in JSON.
    metrics = json.loads(json.dumps(bundle.metrics), parse_constant=lambda _: None)
    model = to_model_version(bundle)
    return ledger.NewModel(
        version=model.version,
        sha256=bundle_digest(bundle.path),
        name=model.name,
        method=bundle.method,
        vocabulary=bundle.vocabulary.name,
        metrics=metrics,
        card=card,
        run_id=run_id,
        registered_by=by,
    )
