"""Files that rows no longer name: written down with the change, removed after it.

Who names a file holds `share_files` until the commit, and looks whether it is still there; who
removes files holds `own_files`. So no file goes between its writing and its row.
"""

from collections.abc import Iterable

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.removal_tables import Removal
from scatterlens_service.ledger.tables import Annotation, Frame, Job

BLOBS, RENDERS = "blobs", "renders"
_LOCK = 0x5CA77E3  # any number that nobody else locks
_PORTION = 500


def share_files(session: Session) -> None:
    """Let nobody remove a file until the commit; the first thing a transaction does."""
    # On SQLite the transaction begins here, and with it its turn as the only writer.
    if session.connection().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))


def own_files(session: Session) -> None:
    """Let nobody name a file until the commit; the first thing a transaction does."""
    if session.connection().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def add_removals(session: Session, folder: str, files: Iterable[str]) -> None:
    """Have files removed that no row names by then."""
    now = session.scalar(select(Clock())) or 0.0
    session.add_all(
        Removal(folder=folder, sha256=sha256, time=now) for sha256 in sorted(set(files))
    )
    session.flush()


def has_removals(session: Session) -> bool:
    """Whether files wait to be removed; a look that takes no lock."""
    return session.scalar(select(Removal.id).limit(1)) is not None


def take_removals(session: Session) -> list[tuple[str, str]]:
    """Folder and sha256 of the files to remove now; needs `own_files`."""
    rows = session.execute(
        select(Removal.id, Removal.folder, Removal.sha256).order_by(Removal.id).limit(_PORTION)
    ).all()
    session.execute(delete(Removal).where(Removal.id.in_([row.id for row in rows])))
    wanted = dict.fromkeys((row.folder, row.sha256) for row in rows)
    return [one for one in wanted if not _is_named(session, *one)]


def _is_named(session: Session, folder: str, sha256: str) -> bool:
    if folder == RENDERS:
        named = select(Job.id).where(Job.blob == sha256, Job.kind == "render")
        return session.scalar(named.limit(1)) is not None
    frame = select(Frame.id).where(Frame.sha256 == sha256, Frame.raw_removed.is_(None)).limit(1)
    said = select(Annotation.id).where(Annotation.blob == sha256).limit(1)
    return bool(session.scalar(select(or_(frame.exists(), said.exists()))))
