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


DATA = Path(os.environ.get("SCATTERLENS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_or_none() -> Path | None:
    """Folder of real detector frames; None where there are none and made ones will do."""
    return DATA / "real" if (DATA / "real" / "INDEX.csv").is_file() else None


@pytest.fixture(scope="session")
def real_data(real_or_none: Path | None) -> Path:
    """Folder of real detector frames with labels; they are not part of the repository."""
    if real_or_none is None:
        pytest.skip(f"no real frames: {DATA}/real/INDEX.csv is absent (SCATTERLENS_TEST_DATA)")
    return real_or_none


@pytest.fixture(scope="session")
def real_index(real_data: Path) -> list[dict[str, str]]:
    """Rows of INDEX.csv: file, source, half, frame, format, shape, ..."""
    with (real_data / "INDEX.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
