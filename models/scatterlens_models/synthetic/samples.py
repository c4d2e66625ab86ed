"""The sample frames that the SDK ships: how they were made, and are made anew.

`python -m scatterlens_models.synthetic.samples clients/python/scatterlens/samples`
"""

import sys
from pathlib import Path

from scatterlens_models.synthetic.frames import WRITERS, expose, write_stack
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.vocabulary import load_vocabulary

SEED, FIRST, EXPOSURES = 20200907, 10_600, 3
"""Frames of one experiment on a Pilatus 300K: rings with texture, no label too many."""
_STEP_MM = 0.5


def write_samples(folder: Path) -> None:
    """Write `frame.cbf`, and `scan.h5` with it and what follows it, the sample moved sideways."""
    vocabulary = load_vocabulary("aam20")
    frames = [
        expose(sample(SEED, index, "realistic"), vocabulary)
        for index in range(FIRST, FIRST + EXPOSURES)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    WRITERS["cbf"](frames[0], folder / "frame.cbf")
    positions = [_STEP_MM * step for step in range(EXPOSURES)]
    write_stack(frames, folder / "scan.h5", {"x_mm": positions})


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]))
