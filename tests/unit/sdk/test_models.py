"""Models through the client and the command line: what is sent, and what is made of the answers."""

import io
import json
import zipfile

import pytest

from scatterlens import Client
from scatterlens.errors import ApiError
from scatterlens.schemas import OldFrames

OLD, NEW = "0123456789ab", "ba9876543210"
CHECK = {
    "frames": "bench-v1/test",
    "figure": "ap",
    "attribute": "ring",
    "candidate": 0.5,
    "production": 0.9,
    "loss": 0.4,
    "interval": [0.3, 0.5],
    "tolerance": 0.03,
    "passed": False,
}


def info(version: str, production: bool = False) -> dict:
    return {
        "name": "slim",
        "version": version,
        "method": "aam",
        "vocabulary": "aam20",
        "input_size": 128,
        "active": production,
        "production": production,
        "attention_names": [],
        "state": "production" if production else "registered",
    }


def detail(version: str, **changes) -> dict:
    return {
        "name": "slim",
        "version": version,
        "method": "aam",
        "vocabulary": "aam20",
        "state": "registered",
        "aliases": [],
        "metrics": {},
        "card": None,
        "run_id": None,
        "registered": "2026-01-01T00:00:00Z",
        "registered_by": "ada",
        "gate": None,
        "history": [],
        "reannotations": [],
        **changes,
    }


@pytest.fixture
def client(gateway):
    with Client(retry_s=5) as client:
        yield client


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "better"
    folder.mkdir()
    (folder / "bundle.json").write_text("{}")
    (folder / "model.onnx").write_bytes(b"weights")
    return folder


def test_a_folder_is_sent_as_a_zip_file_again_where_the_gateway_is_busy(gateway, client, bundle):
    gateway.refuse(503, Retry_After="0.1")
    gateway.say(201, detail(NEW))
    assert client.register_model(bundle, run_id="run-7").version == NEW
    first, second = gateway.requests
    assert second.path == "/api/v1/models?run_id=run-7"
    assert first.body == second.body
    with zipfile.ZipFile(io.BytesIO(second.body)) as packed:
        assert packed.read("model.onnx") == b"weights"


def test_a_folder_that_is_no_bundle_is_not_sent(gateway, client, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"bundle\.json"):
        client.register_model(tmp_path)
    assert gateway.requests == []


def test_a_model_is_named_as_it_is_listed(gateway, client):
    for name, version in (("slim", OLD), (f"slim@{NEW}", NEW), (NEW, NEW), ("f" * 12, "f" * 12)):
        gateway.say(200, [info(OLD, production=True), info(NEW)])
        gateway.say(200, detail(version))
        gateway.answers.popleft() if gateway.requests else None
        client.promote_model(name, "better", reannotate=OldFrames(scan="7"))
        assert gateway.requests[-1].path == f"/api/v1/models/{version}/promote"
    assert json.loads(gateway.requests[-1].body)["reannotate"]["scan"] == "7"


def test_going_back_names_what_is_left_so_that_it_may_be_sent_twice(gateway, client):
    gateway.say(200, [info(NEW, production=True), info(OLD)])
    gateway.refuse(503, Retry_After="0.1")
    gateway.say(200, detail(OLD))
    client.roll_back_model("takes slits for rings")
    bodies = [json.loads(request.body) for request in gateway.requests[1:]]
    assert bodies == [{"reason": "takes slits for rings", "leaving": NEW}] * 2


def test_a_refusal_carries_the_checks_that_failed(gateway, client):
    gateway.say(200, [info(NEW)])
    gateway.say(409, gateway.problem(409, "not_promoted") | {"checks": [CHECK]})
    with pytest.raises(ApiError) as caught:
        client.promote_model(NEW, "better")
    assert caught.value.problem.model_extra == {"checks": [CHECK]}


def test_the_command_line_shows_where_a_model_is_worse_and_what_happened(gateway, run_cli):
    report = {"candidate": NEW, "against": OLD, "passed": False, "frames": [], "checks": [CHECK]}
    entry = {
        "kind": "promote",
        "from_version": OLD,
        "to_version": NEW,
        "reason": "no test frames [here]",
        "gate": "none",
        "by": "ada",
        "time": "2026-01-02T00:00:00Z",
    }
    gateway.say(200, [info(NEW)])
    gateway.say(200, detail(NEW, gate=report, history=[entry], card="# slim"))
    code, out, _ = run_cli("models", "show", "slim")
    assert code == 0
    assert f"gate: refused against {OLD}" in out
    assert "ap ring 0.5 against 0.9" in out
    assert f"promote {OLD} -> {NEW} by ada, gate none: no test frames [here]" in out
    assert "# slim" in out


def test_commands_on_bundles_of_this_machine_are_there_too(run_cli):
    code, out, _ = run_cli("models", "shipped")
    assert code == 0
    assert "slim-aam" in out
