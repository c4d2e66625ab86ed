"""Fixtures that every suite shares."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Services of these tests are found by these tests alone, and find no others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real detector frames with labels; they are not part of the repository."""
    folder = Path(os.environ.get("SCATTERLENS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "real" / "INDEX.csv").is_file():
        pytest.skip(f"no real frames: {folder}/real/INDEX.csv is absent (SCATTERLENS_TEST_DATA)")
    return folder / "real"


@pytest.fixture(scope="session")
def real_index(real_data: Path) -> list[dict[str, str]]:
    """Rows of INDEX.csv: file, source, half, frame, format, shape, ..."""
    with (real_data / "INDEX.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
