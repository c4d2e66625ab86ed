"""The frames that are shipped are those that the simulator makes."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from scatterlens.cli.samples import NAMES
from scatterlens_models.decoding import DecodeChild
from scatterlens_models.synthetic.samples import write_samples


def shipped(folder: Path) -> list[Path]:
    command = [sys.executable, "-m", "scatterlens", "samples", "--to", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [Path(line) for line in run.stdout.splitlines()]


def test_the_shipped_samples_are_what_the_simulator_makes(tmp_path):
    found = shipped(tmp_path / "shipped")
    assert [path.name for path in found] == list(NAMES)
    write_samples(tmp_path / "made")
    with DecodeChild() as child:
        for path in found:
            for index in range(child.probe(path).frames):
                ours = child.decode(path, index)
                theirs = child.decode(tmp_path / "made" / path.name, index)
                assert np.array_equal(ours.mask, theirs.mask)
                # Rounded counts: a sum in another order may fall to the other side of a half.
                assert np.mean(ours.image != theirs.image) < 1e-3
                assert ours.geometry is not None


def test_the_stack_has_a_motor(tmp_path):
    *_, stack = shipped(tmp_path)
    with DecodeChild() as child:
        positions = [child.decode(stack, index).motors["x_mm"] for index in range(3)]
    assert positions == [0.0, 0.5, 1.0]
