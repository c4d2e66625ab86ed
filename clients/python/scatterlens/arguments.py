"""Arguments of the SDK, checked before anything is sent."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from scatterlens.errors import BadArgument
from scatterlens.spelling import no_such

M = TypeVar("M", bound=BaseModel)

_SHOWN = 5


def checked(shape: type[M], fields: Mapping[str, object]) -> M:
    """Return a wire model of what was given; `BadArgument` says which fields are wrong."""
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False)[:_SHOWN]
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
        raise BadArgument(f"{said}. The fields are those of {shape.__name__}.") from error


def check_filters(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `BadArgument` where a filter is unknown, with the nearest one that is known."""
    known = sorted(known)
    for name in given:
        if name not in known:
            raise BadArgument(f"{no_such('filter', name, known)}. Nothing was asked for.")
