"""Where this user's programs keep things."""

import os
import sys
from pathlib import Path


def default_home() -> Path:
    """Return the home that is used where none is named."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "scatterlens"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "scatterlens"


def home_folder() -> Path:
    """Return SCATTERLENS_HOME, or the default."""
    if home := os.environ.get("SCATTERLENS_HOME"):
        return Path(home).expanduser()
    return default_home()


def state_folder() -> Path:
    """Return where it is written down which homes were served."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "scatterlens"
