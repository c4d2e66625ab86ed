"""Python SDK and command line of Scatterlens.

from scatterlens import Client

result = Client().annotate("frame.cbf")
result.probabilities, result.tags, result.overlay("ring")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scatterlens.client import Client, Outcome
    from scatterlens.errors import ScatterlensError
    from scatterlens.result import Result

__all__ = ["Client", "Outcome", "Result", "ScatterlensError"]

_HOMES = {
    "Client": "scatterlens.client",
    "Outcome": "scatterlens.client",
    "Result": "scatterlens.result",
    "ScatterlensError": "scatterlens.errors",
}


def __getattr__(name: str) -> object:
    # The gateway needs the schemas and `scatterlens --help` the command line alone: the client's
    # imports (0.3 s) wait until one of these names is used.
    if name not in _HOMES:
        raise AttributeError(f"module 'scatterlens' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
