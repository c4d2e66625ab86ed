"""Where the gateway is and which key opens it: arguments, environment, or what `serve` wrote."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scatterlens.errors import AmbiguousService
from scatterlens.folders import home_folder
from scatterlens.running import running_in, running_services

DEFAULT_URL = "http://127.0.0.1:8000"
FILE_NAME = "connection.json"


@dataclass(frozen=True)
class Connection:
    """Address of a gateway, and the key that is sent to it."""

    url: str
    key: str | None = field(default=None, repr=False)


def find_connection(url: str | None = None, key: str | None = None) -> Connection:
    """Return the gateway to talk to.

    Each of the two is taken from the argument, else from SCATTERLENS_URL / SCATTERLENS_KEY, else
    from the file that `scatterlens serve` keeps in its home folder: that of SCATTERLENS_HOME or the
    default one, or, where no service runs there, of the only one that runs on this machine. That
    file's key is used for that file's address only: no key travels to a gateway that did not issue
    it.

    Raises:
        AmbiguousService: several run, none in the default home, and nothing says which is meant.

    """
    url = (url or os.environ.get("SCATTERLENS_URL") or "").rstrip("/")
    key = key or os.environ.get("SCATTERLENS_KEY") or None
    known = [one for home in _homes(any_service=not url) if (one := read_connection(home))]
    if not url:
        url = known[0].url.rstrip("/") if known else DEFAULT_URL
    if key is None:
        key = next((one.key for one in known if one.url.rstrip("/") == url), None)
    return Connection(url, key)


def _homes(*, any_service: bool) -> list[Path]:
    """Homes whose connection may be meant, the likeliest first."""
    home = home_folder()
    if os.environ.get("SCATTERLENS_HOME") or running_in(home):
        return [home]
    running = running_services()
    if any_service and len(running) > 1:
        raise AmbiguousService([str(one) for one in running])
    return [*(one.home for one in running), home]


def read_connection(home: Path) -> Connection | None:
    """Return what `serve` wrote in this home folder; None where there is nothing readable."""
    try:
        fields = json.loads((home / FILE_NAME).read_text(encoding="utf-8"))
        return Connection(str(fields["url"]), fields.get("key"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_connection(home: Path, connection: Connection) -> Path:
    """Keep the connection for clients of the same user alone (mode 0600); return its file."""
    path = home / FILE_NAME
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(asdict(connection), stream)
    partial.replace(path)
    return path
