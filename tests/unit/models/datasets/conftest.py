"""Folders of small frames that differ, and members made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.vocabulary import Vocabulary, load_vocabulary
from support.detector_files import edf, npy


@pytest.fixture(scope="session")
def aam20() -> Vocabulary:
    return load_vocabulary("aam20")


@pytest.fixture
def frames(tmp_path) -> Path:
    """Folder with `a.edf` to `f.edf`, each another picture, and the stack `stack.npy` of three."""
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name in "abcdef":
        (folder / f"{name}.edf").write_bytes(edf(rng.poisson(9, (40, 60)).astype(np.int32)))
    (folder / "stack.npy").write_bytes(npy(rng.poisson(9, (3, 40, 60)).astype(np.int32)))
    return folder


@pytest.fixture
def member() -> Callable[..., FrameMember]:
    """Makes a member by a number; its file need not exist."""

    def make(number: int, split=None, experiment="e", source="s", labels=None, **more):
        return FrameMember(
            more.pop("frame_id", f"{number:064x}"),
            more.pop("path", Path(f"/frames/{number}.edf")),
            labels or (1, 0) + (-1,) * 18,
            source,
            experiment,
            "ada",
            split,
            **more,
        )

    return make
