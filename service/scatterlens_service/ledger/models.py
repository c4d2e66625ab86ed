"""The registry's rows: model versions, what they are to the service, how production changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from scatterlens.schemas import State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events
from scatterlens_service.ledger.inserting import insert_into
from scatterlens_service.ledger.model_tables import Alias, Model, Promotion
from scatterlens_service.ledger.records import ModelVersion, to_datetime
from scatterlens_service.ledger.tables import Event, Job

PRODUCTION = "production"
CANDIDATE = "candidate"
DEFAULT = "default"
"""What the package shipped as its default when the ledger began: a note, not told to anybody."""
PromotionKind = Literal["promote", "rollback"]
ModelChange = Literal["registered", "gated", "promoted", "rolled_back"]

_LOCK_ALIASES = text("LOCK TABLE aliases IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True)
class NewModel:
    """A model version whose files are verified and in their place."""

    version: str
    sha256: str
    name: str
    method: str
    vocabulary: str
    metrics: Mapping[str, Any]
    card: str | None
    run_id: str | None
    registered_by: str


@dataclass(frozen=True)
class ModelRow(NewModel):
    """A registered model version."""

    gate: Mapping[str, Any] | None
    """The newest report of the gate."""
    registered: datetime

    @property
    def ref(self) -> ModelVersion:
        """Name and version."""
        return ModelVersion(self.name, self.version)


@dataclass(frozen=True)
class PromotionRow:
    """A change of production."""

    kind: str
    from_version: str
    to_version: str
    reason: str
    gate: str
    by: str
    time: datetime


def add_model(session: Session, model: NewModel, *, tell: bool = True) -> bool:
    """Record a model version; False if it is known already."""
    row = {**asdict(model), "metrics": dict(model.metrics), "registered": _now(session)}
    added = (
        insert_into(session)(Model).values(row).on_conflict_do_nothing().returning(Model.version)
    )
    if session.scalar(added) is None:
        return False
    if tell:
        tell_of_model(session, ModelVersion(model.name, model.version), "registered")
    return True


def get_model(session: Session, version: str) -> ModelRow | None:
    """One model version; None if it was never registered."""
    row = session.get(Model, version)
    return None if row is None else _record(row)


def list_models(session: Session) -> list[ModelRow]:
    """All registered model versions, the newest first."""
    rows = session.scalars(select(Model).order_by(Model.registered.desc(), Model.version))
    return [_record(row) for row in rows]


def put_gate(session: Session, model: ModelVersion, report: Mapping[str, Any]) -> None:
    """Keep what the gate found about a model version."""
    session.execute(update(Model).where(Model.version == model.version).values(gate=dict(report)))
    tell_of_model(session, model, "gated")


def get_aliases(session: Session) -> dict[str, str]:
    """Versions by alias; `production` is absent while the settings name it."""
    return {row.name: row.version for row in session.scalars(select(Alias))}


def asked_before(session: Session, version: str) -> str | None:
    """The default of a ledger that remembers none: `version` if it was ever asked about a frame,
    else what was asked about the newest one; None before the first frame."""
    asked = select(Job.model_version).where(Job.kind == "annotate")
    if session.scalar(asked.where(Job.model_version == version).limit(1)) is not None:
        return version
    return session.scalar(asked.order_by(Job.id.desc()).limit(1))


def put_alias(session: Session, name: str, version: str | None) -> None:
    """Let an alias mean a version; None takes it away."""
    row = session.get(Alias, name)
    if version is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(Alias(name=name, version=version))
    else:
        row.version = version
    session.flush()


def active_models(
    session: Session, first: ModelVersion | None, rest: Iterable[ModelVersion]
) -> list[ModelVersion]:
    """Models that annotate every frame at this moment, production first.

    `first` and `rest` are what the settings name; a promoted version takes the place of `first`.
    """
    promoted = session.execute(
        select(Model.name, Model.version)
        .join(Alias, Alias.version == Model.version)
        .where(Alias.name == PRODUCTION)
    ).first()
    production = first if promoted is None else ModelVersion(promoted.name, promoted.version)
    head = [] if production is None else [production]
    return head + [model for model in rest if model not in head]


def hold_production(session: Session) -> None:
    """Let no other change production until this transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        # There may be no row to lock before the first promotion.
        session.execute(_LOCK_ALIASES)


def add_promotion(
    session: Session,
    kind: PromotionKind,
    before: str,
    after: ModelVersion,
    *,
    reason: str,
    gate: str,
    by: str,
) -> None:
    """Make a version production, and remember it; call `hold_production` first."""
    put_alias(session, PRODUCTION, after.version)
    if get_aliases(session).get(CANDIDATE) == after.version:
        put_alias(session, CANDIDATE, None)
    session.add(
        Promotion(
            kind=kind,
            from_version=before,
            to_version=after.version,
            reason=reason,
            gate=gate,
            by=by,
            time=_now(session),
        )
    )
    tell_of_model(session, after, "promoted" if kind == "promote" else "rolled_back")


def promotions(session: Session) -> list[PromotionRow]:
    """Every change of production, the oldest first."""
    return [
        PromotionRow(
            row.kind,
            row.from_version,
            row.to_version,
            row.reason,
            row.gate,
            row.by,
            to_datetime(row.time),
        )
        for row in session.scalars(select(Promotion).order_by(Promotion.id))
    ]


def version_before(history: Sequence[PromotionRow]) -> str | None:
    """What a rollback returns to: each undoes one promotion, the newest that still stands."""
    standing: list[str] = []
    for row in history:
        if row.kind == "promote":
            standing.append(row.from_version)
        elif standing:
            standing.pop()
    return standing[-1] if standing else None


def open_versions(session: Session) -> set[str]:
    """Model versions that some job still needs, queued or leased."""
    versions = select(Job.model_version).where(Job.state.in_([State.QUEUED, State.LEASED]))
    return {version for version in session.scalars(versions.distinct()) if version is not None}


def tell_of_model(session: Session, model: ModelVersion, change: ModelChange) -> None:
    """Append an event about a model; must be the last thing a transaction does."""
    event = Event(
        kind="model",
        change=change,
        model_name=model.name,
        model_version=model.version,
        tags=[],
    )
    add_events(session, [event])


def _record(row: Model) -> ModelRow:
    return ModelRow(
        version=row.version,
        sha256=row.sha256,
        name=row.name,
        method=row.method,
        vocabulary=row.vocabulary,
        metrics=row.metrics,
        card=row.card,
        run_id=row.run_id,
        registered_by=row.registered_by,
        gate=row.gate,
        registered=to_datetime(row.registered),
    )


def _now(session: Session) -> float:
    return session.scalar(select(Clock())) or 0.0
