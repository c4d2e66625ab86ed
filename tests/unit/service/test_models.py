"""The registry over HTTP, with real bundles, a real ledger and a real worker."""

import io
import shutil
import time
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from scatterlens_models.bundle import Bundle, seal_bundle, shipped_bundles
from scatterlens_service import ledger, registry
from scatterlens_service.gateway.app import create_app
from scatterlens_service.tending.bell import NoBell
from scatterlens_service.tending.sweeping import sweep_once
from scatterlens_worker.drain import drain
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle
from support.gateway import Service, follow, picture
from support.waiting import wait_until


def pack(folder: Path, prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"{prefix}{path.name}")
    return stream.getvalue()


def archive(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return stream.getvalue()


def send(service: Service, content: bytes, **params: object):
    return service.http.post("/api/v1/models", content=content, params=params)


def post(service: Service, path: str, **said: object):
    return service.http.post(f"/api/v1/models/{path}", json=said)


def production(service: Service) -> str:
    (version,) = [one["version"] for one in service.get("models").json() if one["production"]]
    return version


def send_frame(service: Service, seed: int) -> str:
    return service.post(picture(seed)).json()["items"][0]["frame_id"]


def jobs(service: Service) -> list[tuple[str, str, str, str]]:
    """Frame, version, queue and state of every job."""
    engine = ledger.open_engine(service.settings.database)
    with ledger.reading(engine) as session:
        query = text("SELECT frame_id, model_version, queue, state FROM jobs ORDER BY id")
        rows = [tuple(row) for row in session.execute(query)]
    engine.dispose()
    return rows


def gate_says(service: Service, version: str, against: str, passed: bool) -> None:
    """What a gate elsewhere found, recorded as a trainer does it."""
    check = {
        "frames": "bench/test",
        "figure": "ap",
        "attribute": "ring",
        "candidate": 0.5,
        "production": 0.9,
        "loss": 0.4,
        "interval": [0.3, 0.5],
        "tolerance": 0.03,
        "passed": passed,
    }
    report = {
        "candidate": version,
        "against": against,
        "passed": passed,
        "frames": [{"name": "bench/test", "frames": 9, "experiments": 3}],
        "checks": [check, {**check, "attribute": "halo", "passed": True}],
    }
    engine = ledger.open_engine(service.settings.database)
    registry.record_gate(engine, version, report)
    engine.dispose()


@pytest.fixture
def better(tmp_path) -> Bundle:
    """Another version of the model that is production."""
    return make_bundle(tmp_path / "elsewhere", "linear", seed=1)


@pytest.fixture
def registered(service, better) -> str:
    assert send(service, pack(better.path)).status_code == 201
    return better.version


def arrived(service: Service) -> list[str]:
    folder = service.settings.model_folder
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- taking in


def test_a_report_that_a_bundle_was_sealed_with_is_shown_and_can_do_nothing(service, better):
    page = b"<!doctype html><p>found"
    (better.path / "report.html").write_bytes(page)
    seal_bundle(
        better.path, {k: v for k, v in better.content.items() if k not in ("format", "files")}
    )
    version = send(service, pack(better.path)).json()["version"]
    assert service.get(f"models/{version}").json()["report"] is True
    response = service.get(f"models/{version}/report")
    assert (response.status_code, response.content) == (200, page)
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    without = production(service)
    assert service.get(f"models/{without}").json()["report"] is False
    assert service.get(f"models/{without}/report").json()["type"] == "no_report"


def test_two_models_are_compared_on_the_frames_that_both_annotated(service, registered):
    ids = [send_frame(service, seed) for seed in range(3)]
    for seed in range(2):
        service.post(picture(seed), model=registered)
    with Runtime(service.settings) as runtime:
        while drain(runtime):
            pass
    old = production(service)
    answers = [
        [
            {
                one["id"]: one
                for one in service.get(f"frames/{frame}/annotation", model=model).json()[
                    "attributes"
                ]
            }
            for model in (registered, old)
        ]
        for frame in ids[:2]
    ]
    found = service.get(f"models/{registered}/comparison").json()
    assert (found["version"], found["against"], found["frames"]) == (registered, old, 2)
    assert [one["id"] for one in found["attributes"]] == list(answers[0][0])
    for one in found["attributes"]:
        pairs = [(this[one["id"]], other[one["id"]]) for this, other in answers]
        tags = [(a["tag"], b["tag"]) for a, b in pairs]
        differences = [a["probability"] - b["probability"] for a, b in pairs]
        assert (one["both"], one["only_this"], one["only_other"]) == (
            tags.count((True, True)),
            tags.count((True, False)),
            tags.count((False, True)),
        )
        assert one["difference"] == pytest.approx(sum(differences) / 2)
        assert one["distance"] == pytest.approx(sum(map(abs, differences)) / 2)
    assert service.get("models/0123456789ab/comparison").status_code == 404


def test_what_is_there_at_the_start_is_registered_without_an_event(service):
    known, *shipped = service.get("models").json()
    assert {one["state"] for one in shipped} == {"registered"}
    assert (known["state"], known["aliases"], known["gate"]) == ("production", [], None)
    detail = service.get(f"models/{known['version']}").json()
    assert detail["registered_by"] == "installation"
    assert service.kept()["events"] == 0


@pytest.mark.parametrize("prefix", ["", "linear/"])
def test_a_bundle_is_registered_beside_others_of_its_name(service, better, prefix):
    before = production(service)
    answer = send(service, pack(better.path, prefix), run_id="run-7")
    assert answer.status_code == 201, answer.text
    detail = answer.json()
    assert (detail["version"], detail["run_id"]) == (better.version, "run-7")
    assert (detail["state"], detail["registered_by"]) == ("registered", "test")
    assert production(service) == before
    assert arrived(service) == [better.version]
    assert send(service, pack(better.path, prefix)).status_code == 200
    assert service.kept()["events"] == 1
    frame = service.post(picture(1), model=better.version)
    assert frame.status_code == 202
    assert {version for _, version, _, _ in jobs(service)} == {before, better.version}


def test_bundles_of_one_name_are_found_by_it_the_active_one_first(service, registered):
    service.post(picture(1), model="linear")
    assert {version for _, version, _, _ in jobs(service)} == {production(service)}


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def hostile(folder: Path) -> dict[str, bytes]:
    """Archives that must be refused, made of a bundle that is sound."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    link = zipfile.ZipInfo("card.md")
    link.external_attr = 0o120777 << 16
    with_link = io.BytesIO()
    with zipfile.ZipFile(with_link, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
        packed.writestr(link, "/etc/passwd")
    return {
        "no zip": b"no zip file at all",
        "empty": archive(),
        "cut off": pack(folder)[:-50],
        "traversal": archive(**files, **{"../../evil": b"x"}),
        "absolute": archive(**{f"/tmp/{name}": content for name, content in files.items()}),
        "backslash": archive(**files, **{"..\\evil": b"x"}),
        "link": with_link.getvalue(),
        "two folders": archive(**files, **{"more/x": b"x"}),
        "bomb": archive(**files, bomb=bytes(2**22)),
        "many": archive(**files, **{f"n{number}": b"" for number in range(100)}),
        "damaged": archive(**{**files, "model.onnx": flip(files["model.onnx"])}),
        "incomplete": archive(**{"bundle.json": files["bundle.json"]}),
        "not json": archive(**{**files, "bundle.json": b"{"}),
        "other json": archive(**{**files, "bundle.json": b'{"format": 1, "files": []}'}),
        "a list": archive(**{**files, "bundle.json": b"[]"}),
    }


def test_what_is_no_sound_bundle_is_refused_and_leaves_nothing(open_service, better, subtests):
    service = open_service(max_bundle_bytes=2**21)
    before = production(service)
    outside = set(service.settings.home.parent.iterdir())
    for name, content in hostile(better.path).items():
        with subtests.test(what=name):
            answer = send(service, content)
            assert answer.status_code == 422, answer.text
            problem = answer.json()
            assert problem["type"] in ("bad_archive", "bad_bundle")
            assert problem["remedy"]
            assert str(service.settings.home) not in answer.text
            assert arrived(service) == []
    assert send(service, bytes(2**21 + 1)).status_code == 413
    assert set(service.settings.home.parent.iterdir()) == outside
    assert production(service) == before
    assert {one["name"] for one in service.get("models").json()} == {"linear", *shipped_bundles()}


def test_other_attributes_than_productions_are_refused_unless_meant(service, tmp_path):
    other = make_bundle(tmp_path / "elsewhere", "other", vocabulary_name="experimental20")
    answer = send(service, pack(other.path))
    assert (answer.status_code, answer.json()["type"]) == (409, "model_refused")
    assert arrived(service) == []
    assert send(service, pack(other.path), other_vocabulary=True).status_code == 201


# --- the gate and promotion


def test_without_a_gate_nothing_is_promoted_but_by_an_admin_with_a_reason(service, registered):
    before = production(service)
    refused = post(service, f"{registered}/promote", reason="it looks good")
    assert (refused.status_code, refused.json()["type"]) == (409, "not_promoted")
    assert f"scatterlens gate {registered}" in refused.json()["detail"]
    assert post(service, f"{registered}/promote", override=True).status_code == 422
    assert production(service) == before
    done = post(service, f"{registered}/promote", reason="no test frames here", override=True)
    assert done.status_code == 200
    assert production(service) == registered
    (entry,) = done.json()["history"]
    assert (entry["kind"], entry["from_version"], entry["gate"]) == ("promote", before, "none")
    assert (entry["reason"], entry["by"]) == ("no test frames here", "test")
    aliases = {one["version"]: one["aliases"] for one in service.get("models").json()}
    assert (aliases[registered], aliases[before]) == (["production"], [])


def test_what_the_gate_refuses_is_told_check_by_check(service, registered):
    gate_says(service, registered, production(service), passed=False)
    refused = post(service, f"{registered}/promote", reason="it looks good")
    assert refused.status_code == 409
    (check,) = refused.json()["checks"]
    assert (check["figure"], check["attribute"], check["loss"]) == ("ap", "ring", 0.4)
    by_version = {one["version"]: one["gate"] for one in service.get("models").json()}
    assert by_version[registered] == "failed"


def test_what_the_gate_passed_is_promoted_once(service, registered):
    gate_says(service, registered, production(service), passed=True)
    assert post(service, f"{registered}/promote", reason="better").status_code == 200
    again = post(service, f"{registered}/promote", reason="better")
    assert again.status_code == 200
    (entry,) = again.json()["history"]
    assert entry["gate"] == "passed"


def test_a_gate_against_another_version_does_not_count(service, registered, tmp_path):
    third = make_bundle(tmp_path / "elsewhere", "third", seed=2)
    send(service, pack(third.path))
    gate_says(service, registered, production(service), passed=True)
    post(service, f"{third.version}/promote", reason="because", override=True)
    refused = post(service, f"{registered}/promote", reason="it passed")
    assert refused.status_code == 409
    assert "against another version" in refused.json()["detail"]


def test_going_back_undoes_one_promotion_at_a_time(service, registered, tmp_path):
    first = production(service)
    third = make_bundle(tmp_path / "elsewhere", "third", seed=2)
    send(service, pack(third.path))
    assert post(service, "rollback", reason="nothing to undo").status_code == 409
    for version in (registered, third.version):
        post(service, f"{version}/promote", reason="because", override=True)
    said = {"reason": "wrong rings", "leaving": third.version}
    for _ in range(2):  # the same request, sent twice
        back = post(service, "rollback", **said)
        assert (back.status_code, back.json()["version"]) == (200, registered)
    assert post(service, "rollback", reason="?", leaving="0" * 12).status_code == 409
    assert post(service, "rollback", reason="further back").json()["version"] == first
    assert production(service) == first
    assert post(service, "rollback", reason="further back").status_code == 409
    history = service.get(f"models/{registered}").json()["history"]
    assert [entry["kind"] for entry in history] == ["promote", "promote", "rollback", "rollback"]


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_a_model_whose_files_are_not_what_they_were_is_refused(service, registered, better, harm):
    before = production(service)
    folder = service.settings.model_folder / registered
    if harm == "gone":
        shutil.rmtree(folder)
    else:
        (folder / "model.onnx").write_bytes(b"other weights")
    refused = post(service, f"{registered}/promote", reason="because", override=True)
    assert refused.status_code == 409
    assert "production stays" in refused.json()["detail"]
    assert str(service.settings.home) not in refused.text
    assert production(service) == before
    send_frame(service, 1)
    assert {version for _, version, _, _ in jobs(service)} == {before}
    # Registering it again mends it.
    assert send(service, pack(better.path)).status_code == 200
    mended = post(service, f"{registered}/promote", reason="because", override=True)
    assert mended.status_code == 200


def test_only_those_who_may_change_models_do_and_only_admins_override(service, registered):
    paths = [
        ("POST", "models"),
        ("POST", f"models/{registered}/promote"),
        ("POST", f"models/{registered}/annotate"),
        ("POST", "models/rollback"),
        ("PUT", "models/aliases/candidate"),
    ]
    trainer = service.new_key(role="trainer")
    for method, path in paths:
        answer = service.http.request(method, f"/api/v1/{path}", headers=trainer, json={})
        assert (path, answer.status_code) == (path, 403)
    keeper = service.new_key(role="admin", scopes=["models:write", "results:read"])
    path = f"/api/v1/models/{registered}/promote"
    said = {"reason": "because", "override": True}
    assert service.http.post(path, headers=keeper, json=said).status_code == 403
    gate_says(service, registered, production(service), passed=True)
    plain = {"reason": "better"}
    assert service.http.post(path, headers=keeper, json=plain).status_code == 200


def test_a_candidate_is_named_and_is_one_no_longer_once_promoted(service, registered):
    path = "/api/v1/models/aliases/candidate"
    assert service.http.put(path, json={"version": registered}).status_code == 204
    assert service.http.put(path, json={"version": "0" * 12}).status_code == 404
    states = {one["version"]: one["state"] for one in service.get("models").json()}
    assert states[registered] == "candidate"
    post(service, f"{registered}/promote", reason="because", override=True)
    detail = service.get(f"models/{registered}").json()
    assert (detail["state"], detail["aliases"]) == ("production", ["production"])


def test_changes_of_models_are_events_that_every_key_sees(service, registered, live):
    gate_says(service, registered, production(service), passed=True)
    post(service, f"{registered}/promote", reason="because")
    post(service, "rollback", reason="because")
    mine = service.new_key(role="viewer", proposal="P1")
    with follow(live, mine, after=0) as events:
        told = [next(events) for _ in range(4)]
    assert [one["change"] for one in told] == ["registered", "gated", "promoted", "rolled_back"]
    assert {(one["kind"], one["frame_id"]) for one in told} == {("model", None)}


# --- frames


def test_a_frame_is_answered_by_what_was_active_when_it_was_sent(service, registered):
    first = production(service)
    with Runtime(service.settings) as runtime:
        old = send_frame(service, 1)
        post(service, f"{registered}/promote", reason="because", override=True)
        new = send_frame(service, 2)
        assert [(frame, version) for frame, version, _, _ in jobs(service)] == [
            (old, first),
            (new, registered),
        ]
        end = time.monotonic() + 60
        while any(state != "done" for *_, state in jobs(service)) and time.monotonic() < end:
            drain(runtime)
        # Without a name, the model is meant that was production when the frame was sent.
        for frame, version in ((old, first), (new, registered)):
            answer = service.get(f"frames/{frame}/annotation")
            assert (answer.status_code, answer.json()["model"]["version"]) == (200, version)
            assert service.get(f"frames/{frame}/overlays/ring.png").status_code == 200
        # Nothing asks for the old one any more: its memory is given back.
        while first in runtime.sessions and time.monotonic() < end:
            drain(runtime)
        assert set(runtime.sessions) == {registered}


def test_a_worker_that_cannot_load_the_new_model_goes_on_with_the_old_and_says_so(
    service, registered
):
    first = production(service)
    settings = service.settings.model_copy(update={"heartbeat_seconds": 0.1})
    with Runtime(settings) as runtime:
        old = send_frame(service, 1)
        post(service, f"{registered}/promote", reason="because", override=True)
        new = send_frame(service, 2)
        folder = service.settings.model_folder / registered
        whole = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").write_bytes(b"other weights")
        end = time.monotonic() + 60
        while not runtime.models.refused and time.monotonic() < end:
            drain(runtime)

        def told() -> dict | None:
            health = service.get("health").json()
            said = any(f"cannot load model {registered}" in line for line in health["problems"])
            return health if said else None

        health = wait_until(told)  # the next heartbeat tells
        assert health["status"] == "degraded"
        assert [one["models"] for one in health["workers"]] == [[first]]
        states = {frame: state for frame, _, _, state in jobs(service)}
        assert states == {old: "done", new: "queued"}
        (folder / "model.onnx").write_bytes(whole)

        def is_done() -> bool:
            drain(runtime)
            return jobs(service)[-1][-1] == "done"

        wait_until(is_done, every=0.1)
        assert runtime.models.refused == {}


def test_gateways_learn_of_a_promotion_from_one_another(service, registered):
    key = {"Authorization": service.http.headers["Authorization"]}
    with TestClient(create_app(service.settings), headers=key) as http:
        other = Service(http, service.settings)
        first = production(other)
        send_frame(other, 1)
        post(service, f"{registered}/promote", reason="because", override=True)
        # At once, whatever the other one has heard yet.
        frame = send_frame(other, 2)
        assert jobs(service)[-1][:2] == (frame, registered)
        assert other.get(f"frames/{frame}/annotation").status_code == 202
        post(service, "rollback", reason="because")
        end = time.monotonic() + 60
        while production(other) != first and time.monotonic() < end:
            time.sleep(0.02)
        assert production(other) == first


def test_a_promoted_model_is_production_after_a_restart_though_the_first_is_gone(
    service, registered
):
    post(service, f"{registered}/promote", reason="because", override=True)
    shutil.rmtree(service.settings.bundle_folder / "linear")
    key = {"Authorization": service.http.headers["Authorization"]}
    with TestClient(create_app(service.settings), headers=key) as http:
        assert production(Service(http, service.settings)) == registered
    with Runtime(service.settings) as runtime:
        assert set(runtime.sessions) == {registered}


def test_frames_are_taken_though_the_files_of_production_are_gone(service, registered):
    post(service, f"{registered}/promote", reason="because", override=True)
    shutil.rmtree(service.settings.model_folder / registered)
    key = {"Authorization": service.http.headers["Authorization"]}
    with TestClient(create_app(service.settings), headers=key) as http:
        other = Service(http, service.settings)
        frame = send_frame(other, 1)
        assert jobs(service) == [(frame, registered, "annotate.live", "queued")]
        health = other.get("health").json()
        assert any(
            registered in line and "register it again" in line for line in health["problems"]
        )


# --- looking again


def test_old_frames_are_looked_at_again_once_and_never_beyond_the_queue(open_service, better):
    # The gateway's own sweep is kept away: the test sweeps when it wants to.
    service = open_service(max_queue=8, sweep_seconds=600)
    send(service, pack(better.path))
    engine = ledger.open_engine(service.settings.database)
    with Runtime(service.settings) as runtime:
        old = [send_frame(service, seed) for seed in range(6)]
        drain(runtime)
        more = [send_frame(service, seed) for seed in range(6, 11)]
        drain(runtime)
        waiting = [send_frame(service, seed) for seed in range(20, 25)]
        said = {"reason": "because", "override": True, "reannotate": {}}
        post(service, f"{better.version}/promote", **said)
        assert post(service, f"{better.version}/annotate").status_code == 202
        counts = []
        for _ in range(12):
            sweep_once(engine, NoBell(), service.settings)
            rows = jobs(service)
            counts.append(sum(state in ("queued", "leased") for *_, state in rows))
            drain(runtime)
        assert max(counts) == 8
        rows = jobs(service)
        again = [frame for frame, version, _, _ in rows if version == better.version]
        assert sorted(again) == sorted(old + more + waiting)
        assert {queue for _, version, queue, _ in rows if version == better.version} == {
            "annotate.batch"
        }
        assert {state for *_, state in rows} == {"done"}
        requests = service.get(f"models/{better.version}").json()["reannotations"]
        assert [request["queued"] for request in requests] == [16, 0]
        assert all(request["finished"] for request in requests)
        assert service.get(f"frames/{old[0]}/annotation").json()["model"]["version"] == (
            better.version
        )
    engine.dispose()


def test_only_the_old_frames_that_are_meant_are_looked_at_again(open_service, better):
    service = open_service(sweep_seconds=600)
    send(service, pack(better.path))
    meant = service.post(picture(1), scan="a").json()["items"][0]["frame_id"]
    service.post(picture(2), scan="b")
    engine = ledger.open_engine(service.settings.database)
    post(service, f"{better.version}/annotate", scan="a", since="2020-01-01T00:00:00")
    post(service, f"{better.version}/annotate", since="2099-01-01T00:00:00Z")
    for _ in range(4):
        sweep_once(engine, NoBell(), service.settings)
    again = [frame for frame, version, _, _ in jobs(service) if version == better.version]
    assert again == [meant]
    engine.dispose()
