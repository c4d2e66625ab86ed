"""Parts that other packages bring, loaded when they are asked for."""

from importlib.metadata import EntryPoint
from typing import Any


def load(point: EntryPoint, extra: str | None, wanted_for: str) -> Any:
    """Import what an entry point names.

    Raises:
        NotAvailable: a package is missing that the extra brings; the text names the extra.

    """
    try:
        return point.load()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("scatterlens"):
            raise  # a fault of ours: no extra would help
        from scatterlens.errors import NotAvailable

        package = point.dist.name if point.dist else "scatterlens"
        wanted = f"{package}[{extra}]" if extra else package
        raise NotAvailable(
            f"{wanted_for} needs {error.name!r}, which is not installed. "
            f"Install it with: pip install '{wanted}'"
        ) from error
