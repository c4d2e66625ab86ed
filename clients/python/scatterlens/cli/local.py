"""What this machine can do without a gateway, found by entry point in group `scatterlens.local`.

`annotate(path, frames, model)` gives annotations in the wire shape; `decoder` is a class whose
instances decode files in a process with limits.
"""

from importlib.metadata import entry_points
from typing import Any

from scatterlens.cli import extras
from scatterlens.errors import NotAvailable

GROUP = "scatterlens.local"
_EXTRAS = {"annotate": "worker", "decoder": "frames"}


def local_part(name: str, wanted_for: str) -> Any:
    """Import a part by name; `NotAvailable` names the extra that brings it."""
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise NotAvailable(
            f"{wanted_for} needs a newer installation: "
            f"pip install --force-reinstall 'scatterlens[{_EXTRAS[name]}]'"
        )
    return extras.load(points[0], _EXTRAS[name], wanted_for)
