"""Records of the registry as wire models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from scatterlens.schemas import (
    ComparedAttribute,
    Comparison,
    GateReport,
    ModelDetail,
    ModelInfo,
    ModelState,
    PromotionEntry,
    Reannotation,
)
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger, registry
from scatterlens_service.registry.catalogue import Catalogue


def to_info(
    bundle: Bundle,
    catalogue: Catalogue,
    row: ledger.ModelRow | None,
    aliases: Mapping[str, str],
) -> ModelInfo:
    """A model in the list of those that may be asked for."""
    active = [one.version for one in catalogue.active]
    verdict = registry.gate_verdict(row.gate if row else None, catalogue.production.version)
    return ModelInfo.model_validate(
        {
            "name": bundle.name,
            "version": bundle.version,
            "method": bundle.method,
            "vocabulary": bundle.vocabulary.name,
            "input_size": bundle.preprocess.size,
            "active": bundle.version in active,
            "production": bundle is catalogue.production,
            "attention_names": list(bundle.attention_names),
            "gradient_maps": list(bundle.gradient_maps),
            "map_scale": dict(
                zip(bundle.vocabulary.ids, map(float, bundle.map_scale), strict=True)
            ),
            "metrics": bundle.metrics,
            "state": _state(bundle.version, active, aliases),
            "aliases": _aliases_of(bundle.version, aliases),
            "gate": None if verdict == registry.NONE else verdict,
        }
    )


def to_detail(
    row: ledger.ModelRow,
    active: Sequence[str],
    aliases: Mapping[str, str],
    history: Sequence[ledger.PromotionRow],
    again: Sequence[ledger.ReannotationRow],
    *,
    has_report: bool,
) -> ModelDetail:
    """A registered model with all that is known of it."""
    return ModelDetail(
        name=row.name,
        version=row.version,
        method=row.method,
        vocabulary=row.vocabulary,
        state=_state(row.version, active, aliases),
        aliases=_aliases_of(row.version, aliases),
        metrics=dict(row.metrics),
        card=row.card,
        report=has_report,
        run_id=row.run_id,
        registered=row.registered,
        registered_by=row.registered_by,
        gate=None if row.gate is None else GateReport.model_validate(row.gate),
        history=[
            PromotionEntry.model_validate(asdict(one))
            for one in history
            if row.version in (one.from_version, one.to_version)
        ],
        reannotations=[to_reannotation(one) for one in again],
    )


def to_comparison(version: str, against: str, rows: Sequence[ledger.ComparisonRow]) -> Comparison:
    """What two models say, attribute by attribute."""
    return Comparison(
        version=version,
        against=against,
        frames=max((row.frames for row in rows), default=0),
        attributes=[
            ComparedAttribute(
                id=row.attribute,
                both=row.both,
                only_this=row.first,
                only_other=row.second,
                difference=row.difference,
                distance=row.distance,
            )
            for row in rows
        ],
    )


def to_reannotation(row: ledger.ReannotationRow) -> Reannotation:
    """A request to look at old frames."""
    return Reannotation(**asdict(row))


def _state(version: str, active: Sequence[str], aliases: Mapping[str, str]) -> ModelState:
    if active and version == active[0]:
        return "production"
    if version in active:
        return "active"
    return "candidate" if aliases.get(ledger.CANDIDATE) == version else "registered"


def _aliases_of(version: str, aliases: Mapping[str, str]) -> list[str]:
    told = (ledger.PRODUCTION, ledger.CANDIDATE)
    return sorted(name for name in told if aliases.get(name) == version)
