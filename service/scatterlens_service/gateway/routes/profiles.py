"""Radial and azimuthal profiles of one frame, over all its pixels."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from starlette.concurrency import run_in_threadpool

from scatterlens.schemas import AzimuthalProfile, GeometryIn, RadialProfile
from scatterlens_models import polar
from scatterlens_models.geometry import Geometry
from scatterlens_service.gateway.deps import GatewayDep, VisibleFrame
from scatterlens_service.gateway.errors import InvalidError, NotReadyError, problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.rendering import PENDING, find_rendered
from scatterlens_service.gateway.waiting import Wait
from scatterlens_service.gateway.wire import to_geometry
from scatterlens_service.keeping.renders import polar_parameters

router = APIRouter(prefix="/frames/{frame_id}/profiles", tags=["pictures"])

_RESPONSES = {**PENDING, **problem_responses(401, 403, 404, 409, 422, 500, 503)}
_Degrees = Annotated[float, Query(ge=-360, le=360, allow_inf_nan=False)]
_Limit = Annotated[
    float | None,
    Query(ge=0, allow_inf_nan=False, description="nm^-1; in pixel widths without geometry."),
]


@dataclass(frozen=True)
class _Asked:
    """A frame whose direct beam is known, or taken to be its middle."""

    gateway: Gateway
    frame_id: str
    told: GeometryIn | None
    center_yx: tuple[float, float]
    wait: float

    @property
    def geometry(self) -> Geometry | None:
        """As the science takes it."""
        told = self.told
        return told and Geometry(
            told.distance_m, told.wavelength_m, told.pixel_size_m, told.beam_center_yx
        )

    async def sums(self) -> polar.PolarSums | Response:
        """What a worker summed, or the answer that it has yet to."""
        aspect = 1.0
        if self.told is not None:
            aspect = self.told.pixel_size_m[0] / self.told.pixel_size_m[1]
        parameters = polar_parameters(self.center_yx, aspect)
        found = await find_rendered(self.gateway, self.frame_id, parameters, self.wait)
        if isinstance(found, Response):
            return found
        return await run_in_threadpool(self._load, found)

    def _load(self, blob: str) -> polar.PolarSums:
        return polar.unpack_sums(self.gateway.renders.read(blob))


def _asked(gateway: GatewayDep, frame: VisibleFrame, wait: Wait = 0.0) -> _Asked:
    if frame.shape is None:
        raise NotReadyError(
            "not_annotated",
            "There is no profile of this frame",
            f"Its size is not known: it is {frame.state.value}.",
            "Ask for its `annotation?wait=10` first.",
            frame_id=frame.frame_id,
            state=frame.state.value,
        )
    height, width = frame.shape
    told = to_geometry(frame)
    center = ((height - 1) / 2, (width - 1) / 2) if told is None else told.beam_center_yx
    if max(map(abs, center)) + max(height, width) > polar.FARTHEST / 2:
        raise InvalidError(
            "beam_center_far_off",
            "The direct beam lies too far off",
            f"It is said to be at row {center[0]:g}, column {center[1]:g}.",
            "Send the frame again with the right `geometry`.",
            frame_id=frame.frame_id,
        )
    return _Asked(gateway, frame.frame_id, told, center, wait)


_AskedDep = Annotated[_Asked, Depends(_asked)]


@router.get("/radial", response_model=RadialProfile, responses=_RESPONSES)
async def read_radial_profile(
    asked: _AskedDep, chi_min: _Degrees = -180.0, chi_max: _Degrees = 180.0
) -> RadialProfile | Response:
    """Give the mean counts by distance from the direct beam, within a range of directions.

    The range is in degrees, 0 along growing columns and 90 along growing rows, and may pass 180.
    No solid angle or polarisation is corrected. 202 as long as a worker has yet to sum the pixels.
    """
    if chi_max <= chi_min:
        raise _empty_range("chi_min", "chi_max")
    sums = await asked.sums()
    if isinstance(sums, Response):
        return sums
    profile = polar.radial(sums, (chi_min, chi_max))
    geometry = asked.geometry
    q = None if geometry is None else polar.q_of_radius(sums.radii, geometry).tolist()
    return RadialProfile(
        frame_id=asked.frame_id,
        geometry=asked.told,
        center_yx=asked.center_yx,
        chi_range_deg=(chi_min, chi_max),
        radius_px=sums.radii.tolist(),
        q_inv_nm=q,
        intensity=_nullable(profile.intensity),
        sigma=_nullable(profile.sigma),
        pixels=profile.pixels.tolist(),
    )


@router.get("/azimuthal", response_model=AzimuthalProfile, responses=_RESPONSES)
async def read_azimuthal_profile(
    asked: _AskedDep, low: _Limit = None, high: _Limit = None
) -> AzimuthalProfile | Response:
    """Give the mean counts by direction, within a range of rings: those whose middles lie in it.

    Without a range, over the whole frame. 202 as long as a worker has yet to sum the pixels.
    """
    if low is not None and high is not None and high < low:
        raise _empty_range("low", "high")
    sums = await asked.sums()
    if isinstance(sums, Response):
        return sums
    geometry = asked.geometry
    radii = (
        _radius(low, geometry) if low is not None else float(sums.radii[0]),
        _radius(high, geometry) if high is not None else float(sums.radii[-1]),
    )
    profile = polar.azimuthal(sums, radii)
    q_range = None
    if geometry is not None:
        ends = polar.q_of_radius(np.array(radii), geometry)
        q_range = (float(ends[0]), float(ends[1]))
    return AzimuthalProfile(
        frame_id=asked.frame_id,
        geometry=asked.told,
        center_yx=asked.center_yx,
        radius_range_px=radii,
        q_range_inv_nm=q_range,
        chi_deg=(np.arange(polar.SECTORS) - 179.5).tolist(),
        intensity=_nullable(profile.intensity),
        sigma=_nullable(profile.sigma),
        pixels=profile.pixels.tolist(),
    )


def _radius(limit: float, geometry: Geometry | None) -> float:
    radius = limit if geometry is None else polar.radius_of_q(limit, geometry)
    return min(radius, float(polar.FARTHEST))


def _nullable(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _empty_range(low: str, high: str) -> InvalidError:
    return InvalidError(
        "empty_range",
        "The range is empty",
        f"`{high}` is not above `{low}`.",
        f"Choose `{high}` larger than `{low}`.",
    )
