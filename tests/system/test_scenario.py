"""Nothing lost, nothing twice, and the same answers as without a service: in every mode.

Real files where there are some, in each mode; and always files of every format that are made here.
Fails where PostgreSQL or Redis is installed and does not start; skips where a program is absent.
"""

import pytest

from support import made_frames, scenario, servers
from support.poison import make_poison

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_frames.make_items(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def items(real_or_none, made):
    return made if real_or_none is None else scenario.read_items(real_or_none)


@pytest.fixture(scope="module")
def poison():
    return make_poison()


@pytest.fixture(scope="module")
def local(items, made, tmp_path_factory):
    with pytest.MonkeyPatch.context() as environment:
        home = tmp_path_factory.mktemp("local")
        environment.setenv("SCATTERLENS_HOME", str(home))
        every = list(dict.fromkeys([*made, *items]))
        return scenario.annotate_locally(every, home)


def require_all_once(outcome: scenario.Outcome, files: int) -> None:
    print(outcome)
    assert outcome.sent == files + -(-files // 10) + 1
    assert outcome.frames == files + 1
    assert outcome.jobs == {"done": files, "quarantined": 1}
    assert outcome.annotations == outcome.distinct_annotations == files
    assert outcome.refused == {"poison.h5": "quarantined: decode_crashed"}
    assert outcome.worst_difference <= 1e-5
    assert outcome.leased_again >= 2  # the poison, and what the killed worker held


def test_embedded_with_files_of_every_format(made, poison, local, tmp_path):
    require_all_once(scenario.run_embedded(made, poison, local, tmp_path), len(made))


def test_embedded_with_real_files(items, made, poison, local, tmp_path):
    if items is made:
        pytest.skip("no real frames: see SCATTERLENS_TEST_DATA")
    require_all_once(scenario.run_embedded(items, poison, local, tmp_path), len(items))


def test_deployed_with_redis_gone_for_twenty_seconds(items, poison, local, tmp_path):
    try:
        outcome = scenario.run_deployed(items, poison, local, tmp_path)
    except servers.ProgramMissingError as missing:
        pytest.skip(str(missing))
    require_all_once(outcome, len(items))
    assert outcome.submits_in_outage >= 20
