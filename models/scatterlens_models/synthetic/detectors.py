"""The detectors that the simulator knows: shape, pixel, module gaps, ceiling.

Shapes and gaps are those of the makers' data sheets, (rows, cols), with modules on a regular grid.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detector:
    """One detector model; live pixels are an outer product of live rows and live columns."""

    name: str
    shape: tuple[int, int]
    """Rows and columns of the image."""
    pixel_m: float
    """Side of a square pixel, in metres."""
    module: tuple[int, int] | None = None
    """Rows and columns of one module; None for a detector without gaps."""
    gap: tuple[int, int] = (0, 0)
    """Dead rows and columns between modules."""
    saturation: float = 2.0**20
    """Counts at which a native pixel stops counting."""
    kind: str = "hybrid"
    """`hybrid` counts photons; `ccd` has a pedestal, read noise and a point spread."""
    circular: bool = False
    """True where only the inscribed circle is live."""

    def live_lines(self, axis: int) -> np.ndarray:
        """Live rows (axis 0) or columns (axis 1) as a bool vector."""
        size = self.shape[axis]
        if self.module is None:
            return np.ones(size, dtype=bool)
        period = self.module[axis] + self.gap[axis]
        return np.arange(size) % period < self.module[axis]

    def module_rectangles(self) -> list[tuple[int, int, int, int]]:
        """Each module as (first row, first column, rows, columns); one for a plain detector."""
        if self.module is None:
            return [(0, 0, *self.shape)]
        steps = [self.module[axis] + self.gap[axis] for axis in (0, 1)]
        return [
            (row, col, *self.module)
            for row in range(0, self.shape[0], steps[0])
            for col in range(0, self.shape[1], steps[1])
        ]


_TABLE = (
    Detector("pilatus_100k", (195, 487), 172e-6, (195, 487), (17, 7)),
    Detector("pilatus_300k", (619, 487), 172e-6, (195, 487), (17, 7)),
    Detector("pilatus_300k_w", (195, 1475), 172e-6, (195, 487), (17, 7)),
    Detector("pilatus_1m", (1043, 981), 172e-6, (195, 487), (17, 7)),
    Detector("pilatus_2m", (1679, 1475), 172e-6, (195, 487), (17, 7)),
    Detector("eiger_1m", (1065, 1030), 75e-6, (514, 1030), (37, 10), 2.0**16),
    Detector("eiger_4m", (2167, 2070), 75e-6, (514, 1030), (37, 10), 2.0**16),
    Detector("eiger_9m", (3269, 3110), 75e-6, (514, 1030), (37, 10), 2.0**16),
    Detector("eiger2_4m", (2162, 2068), 75e-6, (512, 1028), (38, 12), 2.0**20),
    Detector("jungfrau_4m", (2164, 2068), 75e-6, (514, 1030), (36, 8), 2.0**16),
    Detector("lambda_750k", (516, 1556), 55e-6, (256, 256), (4, 4), 4095.0),
    Detector("mar165", (2048, 2048), 79e-6, saturation=65535.0, kind="ccd", circular=True),
    Detector("ccd_2k", (2048, 2048), 100e-6, saturation=65535.0, kind="ccd"),
    Detector("ccd_1k", (1300, 1340), 50e-6, saturation=65535.0, kind="ccd"),
    Detector("ideal_256", (256, 256), 75e-6, saturation=65535.0),
)

DETECTORS: dict[str, Detector] = {detector.name: detector for detector in _TABLE}
