"""Where this user's programs keep things."""

import os
from pathlib import Path

from platformdirs import user_data_path, user_state_path

_NAME = "scatterlens"


def default_home() -> Path:
    """Return the home that is used where none is named."""
    return user_data_path(_NAME, appauthor=False)


def home_folder() -> Path:
    """Return SCATTERLENS_HOME, or the default."""
    if home := os.environ.get("SCATTERLENS_HOME"):
        return Path(home).expanduser()
    return default_home()


def state_folder() -> Path:
    """Return where it is written down which homes were served."""
    return user_state_path(_NAME, appauthor=False)
