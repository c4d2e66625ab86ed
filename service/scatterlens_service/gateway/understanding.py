"""What is not understood is refused, and the nearest known name told.

What a route understands is read from its own declaration, so a route that is added is checked
without another word.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from scatterlens.spelling import nearest, no_such
from scatterlens_service.gateway.errors import InvalidError


async def refuse_unknown(request: Request) -> None:
    """Dependency of every route: refuse parameters that it does not declare, or that come twice."""
    if request.url.query:
        route: APIRoute = request.scope["route"]
        names = (name for name, _ in request.query_params.multi_items())
        check_names("parameter", names, parameters_of(route))


def parameters_of(route: APIRoute) -> dict[str, bool]:
    """Names of the parameters that a route declares, and whether each may be repeated."""
    return {
        field.alias: _is_list(field.field_info.annotation)
        for dependant in _all(route.dependant)
        for field in dependant.query_params
    }


def check_names(kind: str, names: Iterable[str], known: Mapping[str, bool]) -> None:
    """Compare names with those known, which may be repeated where they say so.

    Raises:
        InvalidError: one is unknown, or stands twice where it can have one value only.
    """
    counted = Counter(names)
    for name in counted:
        if name not in known:
            meant = nearest(name, known)
            more: dict[str, Any] = {} if meant is None else {"nearest": meant}
            raise InvalidError(
                f"unknown_{kind}",
                f"Unknown {kind}",
                no_such(kind, name, known),
                f"Correct the name, or leave it out: an unknown {kind} is not passed over.",
                known=sorted(known),
                **more,
            )
    for name, count in counted.items():
        if count > 1 and not known[name]:
            raise InvalidError(
                f"repeated_{kind}",
                f"A {kind} stands twice",
                f"{name!r} is told {count} times, and can have one value.",
                "Tell it once.",
            )


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from _all(below)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_list(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(map(_is_list, get_args(annotation)))
    return (origin or annotation) in (list, set, tuple)
