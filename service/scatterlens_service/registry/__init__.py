"""The registry of models: bundles, their versions, and which one is production."""

from scatterlens_service.registry.versions import (
    FAILED,
    INSTALLATION,
    NONE,
    NotPromotedError,
    RefusedModelError,
    UnknownVersionError,
    gate_verdict,
    has_report,
    production_bundle,
    promote,
    read_report,
    record_gate,
    register,
    register_known,
    roll_back,
    set_candidate,
)

__all__ = [
    "FAILED",
    "INSTALLATION",
    "NONE",
    "NotPromotedError",
    "RefusedModelError",
    "UnknownVersionError",
    "gate_verdict",
    "has_report",
    "production_bundle",
    "promote",
    "read_report",
    "record_gate",
    "register",
    "register_known",
    "roll_back",
    "set_candidate",
]
