"""Builds the browser interface into the wheel."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BrowserInterface(BuildHookInterface):
    """Runs `clients/web/build.py` before a wheel is packed; an editable install is left alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it where its source is there: an image first installs an empty package."""
        script = Path(self.root) / "clients" / "web" / "build.py"
        if version != "editable" and (script.parent / "package.json").exists():
            runpy.run_path(str(script))["build"]()
