"""What clients say about frames: read, and held against what their key may speak for."""

from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from scatterlens.schemas import FrameChanges, FrameMetadata, GeometryIn
from scatterlens_models.geometry import parse_poni
from scatterlens_service import ledger
from scatterlens_service.gateway.errors import ForbiddenError, InvalidError

_BOUND = ("proposal", "beamline")


def check_metadata(told: dict[str, Any]) -> FrameMetadata:
    """Metadata as sent, with the geometry of a PONI text read out of it; raises `InvalidError`."""
    try:
        said = FrameMetadata.model_validate(told)
    except ValidationError as error:
        raise bad_metadata(describe_faults(error)) from error
    if said.poni is None or said.geometry is not None:
        return said
    return said.model_copy(update={"geometry": _read_poni(said.poni)})


def read_changes(said: FrameChanges, caller: ledger.Principal) -> dict[str, Any]:
    """Corrections by field, with the geometry of a PONI text read out of it.

    Raises:
        ForbiddenError: the key is bound and the frame would leave what it is bound to.
        InvalidError: the PONI text cannot be read.
    """
    changes = said.model_dump(mode="json", exclude_unset=True)
    for name in _BOUND:
        if name in changes:
            check_bound(caller, name, changes[name])
    if said.poni is not None and said.geometry is None:
        changes["geometry"] = _read_poni(said.poni).model_dump(mode="json")
    return changes


def check_bound(caller: ledger.Principal, name: str, told: str | None) -> None:
    """A key bound to a proposal or beamline speaks for no other; raises `ForbiddenError`."""
    bound = getattr(caller, name)
    if bound is not None and told != bound:
        raise ForbiddenError(
            f"other_{name}",
            f"The key is bound to another {name}",
            f"It may send frames of {bound} only.",
            f"Leave `{name}` out, or use a key of that {name}.",
        )


def describe_faults(error: ValidationError) -> str:
    """The first faults of metadata, without repeating what was sent."""
    return "; ".join(
        f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}"
        for entry in error.errors(include_url=False)[:5]
    )


def bad_metadata(detail: str) -> InvalidError:
    """Make the refusal of metadata that is not valid."""
    return InvalidError(
        "bad_metadata",
        "The metadata is not valid",
        f"{detail}.",
        f"Known fields are {', '.join(FrameMetadata.model_fields)}; names of your own go into"
        " `extra`.",
    )


def _read_poni(text: str) -> GeometryIn:
    try:
        return GeometryIn.model_validate(asdict(parse_poni(text)))
    except ValidationError as error:
        raise bad_metadata(f"poni: {describe_faults(error)}") from error
    except ValueError as error:
        raise bad_metadata(f"poni: {error}") from error
