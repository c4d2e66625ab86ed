"""What an instrument sees: the range of q in which everything that scatters is drawn."""

import numpy as np

from scatterlens_models.synthetic.geometry import q_at
from scatterlens_models.synthetic.scene import Instrument


class View:
    """The range of q that an instrument sees."""

    def __init__(self, instrument: Instrument):
        rows, cols = instrument.crop[2:]
        y, x = instrument.beam_yx
        outside = np.hypot(max(-y, y - rows, 0), max(-x, x - cols, 0))
        corners = [np.hypot(r - y, c - x) for r in (0, rows) for c in (0, cols)]
        stop = max(
            (s.radius for s in instrument.shadows if s.shape in ("disk", "bar")), default=0.0
        )
        self.instrument = instrument
        self.native = max(rows, cols) / 256
        """Native pixels per prepared pixel at the usual size."""
        self.r_low = max(outside, stop * max(rows, cols) * 1.3) + 3 * self.native
        self.r_high = max(corners)
        # A full ring fits within the farthest side; beyond it only corners are left.
        sides = max(y, rows - y, x, cols - x)
        self.r_full = max(min(sides, self.r_high), self.r_low * 1.2)
        self.off = bool(outside > 0)

    def q(self, share: float) -> float:
        """q at a share of the visible radii, 0 at the beamstop, 1 at the farthest side."""
        return float(q_at(self.instrument, np.array(self.radius(share))))

    def radius(self, share: float) -> float:
        """Distance from the beam at that share, native pixels."""
        return self.r_low + share * (self.r_full - self.r_low)

    @property
    def q_high(self) -> float:
        """Greatest q in any corner, 1/Å."""
        return float(q_at(self.instrument, np.array(self.r_high)))
