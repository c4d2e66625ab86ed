"""The folder of everything kept: which one is meant, and whether it may be used."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from socket import gethostname

from dotenv import dotenv_values
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session

from scatterlens.folders import default_home
from scatterlens.running import LOCK, SYSTEM_HOME, running_in, running_services
from scatterlens_service import ledger
from scatterlens_service.ledger import dump
from scatterlens_service.settings import Settings

RESTORING = "RESTORE-INCOMPLETE"
"""Lies in a home until everything was restored into it."""
INSTALLED = Path("/etc/scatterlens/scatterlens.env")
"""Settings of a service that the units of `deploy/systemd` start."""
_HOME_ID = "home.id"
_OURS = (
    *("connection.json", "files.lock", LOCK, _HOME_ID),
    *("blobs", "renders", "bundles", "runs", "models", "watch"),
)
_SQLITE = ("", "-wal", "-shm")
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class HomeError(RuntimeError):
    """The home cannot be used; the text says why, and what to do."""


def find_settings(home: Path | None) -> Settings:
    """Settings of the home that is named, else of the environment."""
    return Settings() if home is None else Settings(home=home.expanduser().resolve())


def find_ledger(home: Path | None, installed: Path = INSTALLED) -> Settings:
    """Settings of the ledger that is meant by who administers one that exists.

    That is the home that is named, else the one that is served here, else that of the installed
    service, else the user's own. None is made by looking for it.

    Raises:
        HomeError: several are served, or there is no ledger; the text says which there are.
    """
    settings = find_settings(home)
    if home is None and not any(map(os.environ.get, _NAMES)):
        settings = _find_served(installed) or settings
    running = running_in(settings.home)
    if running is not None and running.database not in (None, kind_of_database(settings)):
        raise HomeError(
            f"the service of {running} keeps its ledger in {running.database}: set"
            " SCATTERLENS_DATABASE_URL as it has it"
        )
    require_whole(settings)
    require_ledger(settings)
    return settings


_NAMES = ("SCATTERLENS_HOME", "SCATTERLENS_DATABASE_URL")


def _find_served(installed: Path) -> Settings | None:
    own = default_home()
    running = running_services()
    served = [one.home for one in running if one.home == own] or [one.home for one in running]
    if len(served) > 1:
        several = "; ".join(map(str, running))
        raise HomeError(f"several services run here: {several}; say which is meant with --home")
    if not served or served[0] == SYSTEM_HOME:
        unit = _installed_settings(installed)
        if unit is not None or not served:
            return unit
    return Settings(home=served[0])


def _installed_settings(file: Path) -> Settings | None:
    """Settings of the units; None where there are none, or where this user may not read them."""
    try:
        text = file.open(encoding="utf-8")
    except OSError:
        return None
    with text:
        told = dotenv_values(stream=text)
    names = {f"SCATTERLENS_{name.upper()}": name for name in Settings.model_fields}
    given = {names[key]: value for key, value in told.items() if key in names and value}
    return Settings(**{"home": SYSTEM_HOME, **given})  # pyright: ignore[reportArgumentType]


def describe_ledger(settings: Settings) -> str:
    """Where a ledger is, for people; without a password."""
    file = database_file(settings)
    if file is not None:
        return f"{file}"
    return make_url(settings.database).render_as_string(hide_password=True)


def kind_of_database(settings: Settings) -> str:
    """`sqlite` or `postgresql`."""
    return make_url(settings.database).get_backend_name()


def database_file(settings: Settings) -> Path | None:
    """File of the ledger; None where it is in PostgreSQL."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def require_whole(settings: Settings) -> None:
    """Raise `HomeError` where a restoration into this home did not come to its end."""
    if (settings.home / RESTORING).exists():
        raise HomeError(
            f"{settings.home} was not restored completely; remove what is in it, and restore the"
            " backup again"
        )


def require_ledger(settings: Settings) -> None:
    """Raise `HomeError` where a ledger in a file would be made by opening it."""
    file = database_file(settings)
    if file is None:
        return
    try:
        if file.is_file():
            return
    except PermissionError:
        raise HomeError(f"{file} may not be read by this user; try as the service's") from None
    said = [f"there is no ledger in {file.parent}"]
    said += [f"a service runs in {one}: --home {one.home}" for one in running_services()]
    if INSTALLED.parent.is_dir():
        said.append(f"one is installed here, by {INSTALLED}: try as root, or as its user")
    said.append("name its home with --home, or start the service first")
    raise HomeError("; ".join(said))


def require_tables(settings: Settings, engine: Engine) -> None:
    """Raise `HomeError` where a database holds no ledger."""
    with ledger.reading(engine) as session:
        if dump.read_revision(session) is None:
            raise HomeError(
                f"there is no ledger in {describe_ledger(settings)}; start the service first"
            )


def require_own_ledger(settings: Settings, session: Session, *, claim: bool = False) -> None:
    """Raise `HomeError` where a ledger outside this home belongs to another home.

    With `claim`, one that belongs to none yet is this home's from now on.
    """
    file = database_file(settings)
    if file is not None and file.parent == settings.home:
        return
    own = settings.home / _HOME_ID
    ours = own.read_text().strip() if own.is_file() else ""
    theirs = ledger.read_owner(session)
    if theirs is None and claim:
        theirs = ledger.Owner(ours or secrets.token_hex(16), str(settings.home), gethostname())
        ledger.put_owner(session, theirs)
        own.write_text(theirs.id)
    elif theirs is not None and theirs.id != ours:
        raise HomeError(
            f"the ledger {describe_ledger(settings)} belongs to the home {theirs.home} of"
            f" {theirs.host}, not to {settings.home}: name that home, or another database"
        )


def be_private() -> None:
    """From now on this process, and those that it starts, make files for their owner alone."""
    os.umask(_FOR_OTHERS)


def mend_rights(settings: Settings) -> None:
    """Take the rights of others away from all that a home holds, where they have any.

    A folder comes after what is in it: one that is private needs no look inside.
    """
    home = settings.home
    file = database_file(settings) or home / "ledger.sqlite"
    for path in (*(home / name for name in _OURS), *(Path(f"{file}{end}") for end in _SQLITE)):
        # These two may lie on another disk; what else is linked to may be for all.
        linked = path.is_symlink() and path.name in ("blobs", "renders")
        _mend_below(path.resolve() if linked else path)
    with suppress(OSError):
        # A folder that all may write into, such as /tmp, is not ours alone.
        if not home.stat().st_mode & stat.S_ISVTX:
            _mend(home)


def _mend_below(path: Path) -> None:
    with suppress(OSError):
        if path.is_symlink():
            return
        if path.is_dir() and path.stat().st_mode & _FOR_OTHERS:
            with os.scandir(path) as entries:
                for entry in entries:
                    _mend_below(Path(entry.path))
        _mend(path)


def _mend(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & _FOR_OTHERS:
        path.chmod(stat.S_IMODE(mode) & ~_FOR_OTHERS)
