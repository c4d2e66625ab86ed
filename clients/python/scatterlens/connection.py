"""Where the gateway is and which key opens it: arguments, environment, or what `serve` wrote."""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

DEFAULT_URL = "http://127.0.0.1:8000"
FILE_NAME = "connection.json"


@dataclass(frozen=True)
class Connection:
    """Address of a gateway, and the key that is sent to it."""

    url: str
    key: str | None = field(default=None, repr=False)


def home_folder() -> Path:
    """Return SCATTERLENS_HOME, or `scatterlens` in the user's data directory."""
    if home := os.environ.get("SCATTERLENS_HOME"):
        return Path(home).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "scatterlens"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "scatterlens"


def find_connection(url: str | None = None, key: str | None = None) -> Connection:
    """Return the gateway to talk to.

    Each of the two is taken from the argument, else from SCATTERLENS_URL / SCATTERLENS_KEY, else
    from the file that `scatterlens serve` keeps in the home folder. That file's key is used for
    that file's address only: no key travels to a gateway that did not issue it.
    """
    served = read_connection(home_folder())
    url = url or os.environ.get("SCATTERLENS_URL") or (served.url if served else DEFAULT_URL)
    key = key or os.environ.get("SCATTERLENS_KEY") or None
    url = url.rstrip("/")
    if key is None and served and served.url.rstrip("/") == url:
        key = served.key
    return Connection(url, key)


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
