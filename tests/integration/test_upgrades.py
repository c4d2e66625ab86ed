"""Homes that earlier releases wrote, as this version serves them; what an upgrade never does."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from scatterlens import Client
from scatterlens_models import bundle as bundles
from scatterlens_service import ledger
from scatterlens_service.gateway.app import create_app
from scatterlens_service.settings import Settings
from support.bundles import make_bundle
from support.gateway import Service, make_key, picture
from support.serving import serving
from support.waiting import wait_until

HOMES = Path(__file__).parents[1] / "data" / "homes"
RELEASES = sorted(path.name.removesuffix(".tar.gz") for path in HOMES.glob("*.tar.gz"))
"""Each release adds one: a home with frames, labels and searches, and `expected.json` in it."""


@pytest.fixture(params=RELEASES)
def earlier(request, tmp_path) -> Path:
    home = tmp_path / "home"
    with tarfile.open(HOMES / f"{request.param}.tar.gz") as archive:
        archive.extractall(home, filter="data")
    return home


@pytest.mark.timeout(180)
def test_a_home_of_each_release_is_served_as_it_was(earlier):
    expected = json.loads((earlier / "expected.json").read_text())
    with serving(earlier) as served, Client(served.url, served.key) as client:
        wait_until(lambda: client.health().workers)
        health = client.health()
        assert (health.status, health.problems) == ("ok", [])
        (production,) = [one.version for one in client.models() if one.production]
        assert production == expected["production"]
        for number, (frame_id, said) in enumerate(expected["frames"].items()):
            assert client.result(frame_id).probabilities == pytest.approx(
                said["probabilities"], abs=1e-9
            )
            # Those of the first were blanked then, as it was sent again without them.
            assert client.frame(frame_id).motors == {"th": float(number)}
            assert client.result(frame_id).overlay("ring").shape == (96, 128)
        first, second, *_ = expected["frames"]
        assert len(list(client.search(scan="7"))) == len(expected["frames"])
        assert {(one.scan, one.frames) for one in client.scans()} == {("7", 3)}
        assert client.frame(first).sample == "again"
        (label,) = client.labels(first).labels
        assert (label.attribute, label.value, label.note) == ("ring", "present", "clear")
        # Two keys named `ada` were one person then, whose last word counted.
        assert [one.value for one in client.labels(second).labels] == ["present"]
        assert [one.name for one in client.saved_searches()] == ["mine"]
        assert client.annotate(picture(77)).model.version == production


@pytest.fixture
def shipping(tmp_path, monkeypatch):
    """The package as it ships one bundle, and as an upgrade of it ships another."""
    shipped = tmp_path / "package"
    monkeypatch.setattr(bundles, "_SHIPPED", shipped)
    for module in ("scatterlens_models.bundle", "scatterlens_service.registry.bundles"):
        monkeypatch.setattr(f"{module}.DEFAULT_BUNDLE", "linear")

    def ship(seed: int) -> str:
        shutil.rmtree(shipped, ignore_errors=True)
        return make_bundle(shipped, seed=seed).version

    return ship


@pytest.fixture
def started(tmp_path):
    """The gateway over one home, started anew."""

    def start(**options):
        settings = Settings(home=tmp_path / "home", min_free_share=0.0, **options)
        client = TestClient(create_app(settings), raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        client.headers["Authorization"] = f"Bearer {make_key(settings, role='admin')}"
        return Service(client, settings)

    opened: list[TestClient] = []
    yield start
    for client in opened:
        client.__exit__(None, None, None)


def production(service: Service) -> str:
    return next(one["version"] for one in service.get("models").json() if one["production"])


def test_the_default_stays_what_it_was_until_another_is_promoted(shipping, started):
    first = shipping(1)
    service = started()
    assert service.post(picture(1)).status_code == 202
    second = shipping(2)
    service = started()
    assert production(service) == first
    (problem,) = service.get("health").json()["problems"]
    assert problem.startswith("No worker")
    models = {one["version"]: one for one in service.get("models").json()}
    assert models[second]["state"] == "candidate"
    answer = service.http.post(
        f"/api/v1/models/{second}/promote", json={"reason": "newer", "override": True}
    )
    assert answer.status_code == 200, answer.text
    # What was promoted stays, whatever is shipped next; and what went with an upgrade is no fault.
    shipping(3)
    service = started()
    assert production(service) == second
    problems = service.get("health").json()["problems"]
    assert not any("gone or damaged" in one for one in problems)


def test_what_a_ledger_was_first_served_with_stays_though_no_frame_came(shipping, started):
    first = shipping(1)
    started()
    shipping(2)
    assert production(started()) == first


def test_a_default_whose_files_are_gone_is_replaced_by_a_promotion_that_says_so(
    shipping, started, tmp_path
):
    first = shipping(1)
    service = started()
    service.post(picture(1))
    shutil.rmtree(tmp_path / "home" / "models")  # as versions before this one kept no copy
    second = shipping(2)
    service = started()
    assert production(service) == second
    (entry,) = service.get(f"models/{second}").json()["history"]
    assert (entry["from_version"], entry["to_version"], entry["by"]) == (first, second, "upgrade")
    assert "upgraded" in entry["reason"]


def test_a_name_in_the_settings_is_a_choice(shipping, started, tmp_path):
    shipping(1)
    service = started()
    service.post(picture(1))
    own = make_bundle(tmp_path / "home" / "bundles", name="ours", seed=5).version
    assert production(started(active_models=("ours",))) == own


def test_a_ledger_of_a_newer_version_is_refused_with_what_to_do(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    settings = Settings(home=home)
    engine = ledger.open_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))
    engine.dispose()
    command = [sys.executable, "-m", "scatterlens", "serve", "--home", str(home), "--port", "0"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 2, run.stderr
    assert "written by a newer version" in run.stderr
    assert "install that version again" in run.stderr
    assert "Traceback" not in run.stderr
