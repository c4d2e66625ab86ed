"""Files of any detector to frames, safely: `DecodeChild` is the way in."""

from scatterlens_models.decoding.child import DecodeChild
from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.sandbox import (
    ConfinementError,
    missing_confinement,
    require_confinement,
)
from scatterlens_models.decoding.verdicts import DecodeCrashed, FrameRejected, Probe

__all__ = [
    "ConfinementError",
    "DecodeChild",
    "DecodeCrashed",
    "DecodeLimits",
    "FrameRejected",
    "Probe",
    "missing_confinement",
    "require_confinement",
]
