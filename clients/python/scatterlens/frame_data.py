"""What a client gives of one frame beside its annotation: pixels, profiles, maps, files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from scatterlens.arrays import GatewayArrays
from scatterlens.errors import BadArgument
from scatterlens.files import path_of
from scatterlens.polling import poll
from scatterlens.profiles import AzimuthalCurve, RadialCurve, azimuthal_curve, radial_curve
from scatterlens.schemas import AzimuthalProfile, RadialProfile
from scatterlens.transport import ACCEPTED, Transport, read

if TYPE_CHECKING:
    import numpy as np

_M = TypeVar("_M", bound=BaseModel)


class FrameData:
    """Part of `Client`: data of one frame.

    A worker computes them when they are first asked for; all but `spread` wait for it up to `wait`
    seconds and raise `StillPending` then, while the work stays queued. `NotFound`, `ApiError` and
    `TransportError` are raised as everywhere.
    """

    _transport: Transport
    _arrays: GatewayArrays

    def pixels(self, frame_id: str, *, wait: float = 60.0) -> "np.ndarray":
        """Return the counts of every detector pixel: float32 (H, W), NaN where masked."""

        def ask(seconds: float) -> "np.ndarray | None":
            return self._arrays.pixels(frame_id, seconds)

        return poll(ask, frame_id, wait)

    def radial_profile(
        self,
        frame_id: str,
        *,
        chi_range_deg: tuple[float, float] = (-180.0, 180.0),
        wait: float = 60.0,
    ) -> RadialCurve:
        """Return the mean counts by distance from the direct beam, within a range of directions.

        0 degrees are along growing columns, 90 along growing rows; the range may pass 180.
        """
        low, high = _pair(chi_range_deg)
        asked = {"chi_min": low, "chi_max": high}
        return radial_curve(self._profile(RadialProfile, "radial", frame_id, asked, wait))

    def azimuthal_profile(
        self,
        frame_id: str,
        *,
        q_range_inv_nm: tuple[float, float] | None = None,
        radius_range_px: tuple[float, float] | None = None,
        wait: float = 60.0,
    ) -> AzimuthalCurve:
        """Return the mean counts by direction, within a range of rings; without one, over all.

        Where the geometry of the frame is known the range is of q, else of pixel widths.

        Raises:
            BadArgument: the range is of the other kind.

        """
        chosen = q_range_inv_nm or radius_range_px
        low, high = (None, None) if chosen is None else _pair(chosen)
        asked = {"low": low, "high": high}
        profile = self._profile(AzimuthalProfile, "azimuthal", frame_id, asked, wait)
        if q_range_inv_nm and profile.geometry is None:
            raise BadArgument("the geometry of the frame is not known: give `radius_range_px`")
        if radius_range_px and profile.geometry is not None:
            raise BadArgument("the geometry of the frame is known: give `q_range_inv_nm`")
        return azimuthal_curve(profile)

    def spread(self, frame_id: str, attribute: str) -> "np.ndarray":
        """Return where models differ over an attribute: float32 (H, W), 0 to 0.5, NaN if masked.

        Raises:
            NotFound: no model knows the attribute.
            ApiError: fewer than two models have decided; the text says what helps.

        """
        return self._arrays.spread(frame_id, attribute)

    def gradients(
        self,
        frame_id: str,
        method: str,
        attribute: str,
        *,
        model: str | None = None,
        wait: float = 60.0,
    ) -> "np.ndarray":
        """Return a gradient map on detector pixels: float32 (H, W), NaN where masked.

        `method` is one of the `gradient_maps` that `models()` lists.

        Raises:
            NotFound: no such attribute or method, or the model has no gradient maps.
            ApiError: the map cannot be computed; the text says why.

        """

        def ask(seconds: float) -> "np.ndarray | None":
            return self._arrays.gradients(frame_id, method, attribute, model, seconds)

        return poll(ask, frame_id, wait)

    def save_nexus(self, frame_id: str, file: str | Path, *, wait: float = 60.0) -> None:
        """Write a NeXus file: pixels, geometry, what each model says, the labels of people."""

        def ask(seconds: float) -> bool | None:
            path = f"frames/{frame_id}/nexus"
            return self._transport.save(path, {"wait": seconds}, path_of(file)) or None

        poll(ask, frame_id, wait)

    def _profile(
        self,
        shape: type[_M],
        kind: str,
        frame_id: str,
        asked: Mapping[str, float | None],
        wait: float,
    ) -> _M:
        def ask(seconds: float) -> _M | None:
            path = f"frames/{frame_id}/profiles/{kind}"
            answer = self._transport.request("GET", path, params={**asked, "wait": seconds})
            return None if answer.status_code == ACCEPTED else read(shape, answer)

        return poll(ask, frame_id, wait)


def _pair(bounds: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = bounds
        return float(low), float(high)
    except (TypeError, ValueError) as error:
        raise BadArgument(f"A range is two numbers, not {bounds!r}") from error
