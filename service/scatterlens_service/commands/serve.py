"""`scatterlens serve` and `scatterlens keys`."""

import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

import typer
import uvicorn
from rich.console import Console
from rich.text import Text
from sqlalchemy.orm import Session

from scatterlens.cli.listing import AsJson, print_json_lines, print_list
from scatterlens.connection import FILE_NAME, Connection, read_connection, write_connection
from scatterlens_models.bundle import BundleError
from scatterlens_models.decoding import ConfinementError, require_confinement
from scatterlens_service import ledger
from scatterlens_service.gateway.app import create_app
from scatterlens_service.gateway.protocol import ProblemProtocol
from scatterlens_service.gateway.wire_access import to_key
from scatterlens_service.keeping.holding import holding_home
from scatterlens_service.keeping.homes import (
    HomeError,
    be_private,
    describe_ledger,
    find_ledger,
    find_settings,
    kind_of_database,
    mend_rights,
    require_own_ledger,
    require_tables,
    require_whole,
)
from scatterlens_service.migrations import migrate_engine
from scatterlens_service.registry.bundles import read_configured
from scatterlens_service.settings import Settings
from scatterlens_service.tending.memory import keep_little
from scatterlens_service.tending.supervise import Supervisor
from scatterlens_service.tending.training import can_train_here

_START_KEY = "start"
_GRACE_SECONDS = 5
"""Requests that are being answered may go on for so long after a stop."""

Home = Annotated[
    Path | None,
    typer.Option(help="Folder of everything kept; default: SCATTERLENS_HOME or the user's."),
]
console = Console(markup=False, highlight=False)
errors = Console(markup=False, stderr=True, highlight=False)
keys = typer.Typer(no_args_is_help=True, help="Make, list and end API keys.")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one.")] = 8000,
    home: Home = None,
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option(help="What the worker's networks should run on.")
    ] = "cpu",
    worker: Annotated[
        bool,
        typer.Option(
            help="Start a worker (and a trainer, where torch is installed) and print a key."
        ),
    ] = True,
) -> None:
    """Take frames and answer them: the gateway, and beside it one worker."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    be_private()
    keep_little()
    settings = find_settings(home)
    with ExitStack() as stack:
        try:
            require_whole(settings)
            if settings.require_confinement:
                require_confinement()
            # Before anything is read or written: whoever comes second leaves no trace.
            held = stack.enter_context(holding_home(settings, alone=_is_alone(settings, worker)))
            mend_rights(settings)
            with _open(settings) as session:
                require_own_ledger(settings, session, claim=True)
                promoted = ledger.PRODUCTION in ledger.get_aliases(session)
            read_configured(settings, promoted=promoted)
            listener = _listen(host, port)
        except (BundleError, ConfinementError, HomeError, PortError) as error:
            errors.print(
                Text.assemble(("The service cannot start:", "red"), f" {error}"), soft_wrap=True
            )
            raise typer.Exit(2) from None
        url = _url(host, listener)
        held.tell(url)
        if worker:
            link = _link(url, _start_key(settings, url), settings)
            stack.callback(_start_worker(settings, device).close)
            if can_train_here():
                stack.callback(_start_trainer(settings).close)
        else:
            link = f"{url}/  (make a key with `scatterlens keys create`)"
        # After its shutdown uvicorn raises the signal again: the stack must still be unwound.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        stopping = threading.Event()
        config = uvicorn.Config(
            create_app(settings, stopping),
            http=ProblemProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        with suppress(KeyboardInterrupt):
            greeting = Text.assemble(("Scatterlens is ready:", "bold"), f" {link}")
            server = _Server(config, greeting, stopping)
            server.run(sockets=[listener])


class PortError(OSError):
    """The address cannot be listened on; the text says what to do."""


class _Server(uvicorn.Server):
    """Says when requests are answered, and lets streams know when that ends."""

    def __init__(self, config: uvicorn.Config, greeting: Text, stopping: threading.Event) -> None:
        super().__init__(config)
        self._greeting = greeting
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            console.print(self._greeting, soft_wrap=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)


def _is_alone(settings: Settings, worker: bool) -> bool:
    """Gateways over PostgreSQL that keep no worker may share a home, on one machine or many."""
    return worker or kind_of_database(settings) == "sqlite"


def _link(url: str, key: str, settings: Settings) -> str:
    """What is printed at the start: with the key only where no journal and no log keeps it."""
    if sys.stdout.isatty() and not _is_container_log():
        return f"{url}/#key={key}"
    return f"{url}/  (the key is in {settings.home / FILE_NAME}, for this user alone)"


def _is_container_log() -> bool:
    # What the first process of a container writes is kept, also where it is a terminal.
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.stat("/proc/1/fd/1"))
    except OSError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except socket.gaierror as error:
        raise PortError(f"{host!r} is no address of this machine; try --host 127.0.0.1") from error
    except OSError as error:
        reason = {
            errno.EADDRINUSE: f"port {port} is taken, perhaps by another `scatterlens serve`",
            errno.EACCES: f"port {port} may only be used by root",
            errno.EADDRNOTAVAIL: f"{host} is no address of this machine",
        }.get(error.errno or 0, f"{host}:{port} cannot be listened on ({error.strerror})")
        raise PortError(f"{reason}; choose another with --port or --host") from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def _start_worker(settings: Settings, device: str) -> Supervisor:
    command = [sys.executable, "-m", "scatterlens_worker", "--device", device, "--supervised"]
    return Supervisor(command, {**os.environ, "SCATTERLENS_HOME": str(settings.home)})


def _start_trainer(settings: Settings) -> Supervisor:
    command = [sys.executable, "-m", "scatterlens_worker.trainer", "--supervised"]
    return Supervisor(command, {**os.environ, "SCATTERLENS_HOME": str(settings.home)})


def _start_key(settings: Settings, url: str) -> str:
    """Key of the printed link, kept for this user's clients in `connection.json` (mode 0600).

    It is used again at the next start while it is valid, so bookmarks and open pages go on; who
    can read that file can read the ledger beside it anyway. A new one ends those before it.
    """
    kept = read_connection(settings.home)
    engine = ledger.open_engine(settings.database)
    try:
        with ledger.writing(engine) as session:
            key = kept.key if kept is not None else None
            holder = None if key is None else ledger.authenticate(session, key)
            if key is None or holder is None or holder.role != "admin":
                earlier = [row.id for row in ledger.list_keys(session) if row.name == _START_KEY]
                # Who starts the service is the same person as before.
                key = ledger.create_key(
                    session, _START_KEY, role="admin", continues=earlier[-1] if earlier else None
                )
                # Only now: one of them may be the last admin.
                for key_id in earlier:
                    ledger.revoke_key(session, key_id)
    finally:
        engine.dispose()
    write_connection(settings.home, Connection(url, key))
    return key


@contextmanager
def _ledger(home: Path | None) -> Iterator[Session]:
    """One transaction on a ledger that exists, after saying which."""
    try:
        settings = find_ledger(home)
        errors.print(f"Ledger: {describe_ledger(settings)}", style="dim", soft_wrap=True)
        be_private()
        with _open(settings, new=False) as session:
            yield session
    except HomeError as error:
        errors.print(Text.assemble(("Nothing was done:", "red"), f" {error}"), soft_wrap=True)
        raise typer.Exit(2) from None


@contextmanager
def _open(settings: Settings, *, new: bool = True) -> Iterator[Session]:
    """One transaction on a ledger that is brought up to date; only where `new` it may be made."""
    engine = ledger.open_engine(settings.database)
    try:
        if not new:
            require_tables(settings, engine)
        migrate_engine(engine)
        with ledger.writing(engine) as session:
            yield session
    finally:
        engine.dispose()


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who or what will use it.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ledger.ROLES)}.")] = "scientist",
    scopes: Annotated[
        str | None, typer.Option(help="Comma-separated; default: all of the role.")
    ] = None,
    expires_days: Annotated[
        float, typer.Option(min=0, help="Days until it ends; 0 = never.")
    ] = ledger.DEFAULT_DAYS,
    proposal: Annotated[str | None, typer.Option(help="See this proposal only.")] = None,
    beamline: Annotated[str | None, typer.Option(help="See this beamline only.")] = None,
    continues: Annotated[
        str | None,
        typer.Option(help="Id of an earlier key of the same person: keep its labels, searches."),
    ] = None,
    home: Home = None,
) -> None:
    """Make a key and print it, for the only time."""
    with _ledger(home) as session:
        try:
            key = ledger.create_key(
                session,
                name,
                role=role,
                scopes=None if scopes is None else [s.strip() for s in scopes.split(",")],
                days=expires_days or None,
                proposal=proposal,
                beamline=beamline,
                continues=continues,
            )
        except ledger.BadKeyError as error:
            errors.print(Text.assemble(("No key was made:", "red"), f" {error}"), soft_wrap=True)
            raise typer.Exit(2) from None
    errors.print("Keep it now; it cannot be shown again.")
    console.print(key, soft_wrap=True)


@keys.command("list")
def list_keys(as_json: AsJson = False, home: Home = None) -> None:
    """List keys, without their secrets."""
    with _ledger(home) as session:
        rows = ledger.list_keys(session)
    if as_json:
        print_json_lines(to_key(row).model_dump(mode="json") for row in rows)
        return
    print_list(
        ("id", "name", "may", "sees", "made", "ends"),
        [
            (
                row.id,
                row.name,
                _rights(row),
                " ".join(filter(None, (row.proposal, row.beamline))) or "all",
                f"{row.created:%Y-%m-%d}",
                _end(row),
            )
            for row in rows
        ],
        whole=("id", "made"),
    )


def _rights(row: ledger.KeyRow) -> str:
    """The role, and its scopes where they are fewer than it may hold."""
    fewer = set(row.scopes) != set(ledger.ROLES.get(row.role, ()))
    return f"{row.role}: {' '.join(row.scopes)}" if fewer else row.role


def _end(row: ledger.KeyRow) -> str:
    ends = row.revoked or row.expires
    return ("revoked " if row.revoked else "") + (f"{ends:%Y-%m-%d}" if ends else "never")


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[
        str, typer.Argument(help="Its id, as `list` shows it, or how that begins.", metavar="ID")
    ],
    home: Home = None,
) -> None:
    """End a key now."""
    with _ledger(home) as session:
        rows = [row for row in ledger.list_keys(session) if row.id.startswith(key_id)]
        meant = [row for row in rows if row.id == key_id] or rows
        valid = [row for row in meant if row.revoked is None]
        if len(valid) != 1:
            several = f"several begin so: {', '.join(f'{row.id} ({row.name})' for row in valid)}"
            reason = several if valid else "see `scatterlens keys list`"
            errors.print(
                Text.assemble((f"No valid key is {key_id!r} alone;", "red"), f" {reason}."),
                soft_wrap=True,
            )
            raise typer.Exit(1)
        try:
            ledger.revoke_key(session, valid[0].id)
        except ledger.LastAdminError as error:
            errors.print(
                Text.assemble(
                    (f"{valid[0].id} ({valid[0].name}) was not revoked:", "red"),
                    f" {error}. First make another: `scatterlens keys create --role admin`.",
                ),
                soft_wrap=True,
            )
            raise typer.Exit(1) from None
    console.print(f"Revoked {valid[0].id} ({valid[0].name}).", soft_wrap=True)
