"""What is not understood is refused, on every route, and the nearest known name told."""

import json
import re

import numpy as np
import pytest

from scatterlens_models.nets import METHODS
from scatterlens_models.training.asked import METHOD_NAMES
from scatterlens_service.gateway.app import create_app
from scatterlens_service.settings import Settings
from support.gateway import assert_refused, npy, picture

FRAME = "ab" * 32
FIELDS = {
    "frame_id": FRAME,
    "version": "0123456789ab",
    "run_id": "run-1",
    "key_id": "k",
    "search_id": "1",
}


def described() -> dict:
    return create_app(Settings()).openapi()


def operations() -> list[tuple[str, str, dict]]:
    return [
        (method, path, operation)
        for path, methods in described()["paths"].items()
        for method, operation in methods.items()
    ]


def names(operation: dict) -> list[str]:
    return [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]


def misspelt(name: str) -> str:
    return f"{name[:-2]}{name[-1]}{name[-2]}" if name[-2:] != name[-2:][::-1] else f"{name}x"


def ask(service, method: str, path: str, query: str):
    address = re.sub(r"\{(\w+)\}", lambda found: FIELDS.get(found[1], "ring"), path)
    return service.http.request(method, f"{address}?{query}", json={} if method != "get" else None)


def test_every_route_refuses_a_parameter_that_it_does_not_declare(service):
    walked = 0
    for method, path, operation in operations():
        before = service.kept()
        known = names(operation)
        problem = assert_refused(ask(service, method, path, "zzzzzz=1"), 422, "unknown_parameter")
        assert problem["known"] == sorted(known), path
        for name in known:
            wrong = misspelt(name)
            if wrong in known:
                continue
            problem = assert_refused(
                ask(service, method, path, f"{wrong}=1"), 422, "unknown_parameter"
            )
            assert problem["nearest"] == name, (path, wrong)
            assert repr(name) in problem["detail"]
            walked += 1
        assert service.kept() == before
    assert walked > 100


def test_every_route_refuses_a_single_value_that_is_told_twice(service):
    walked = 0
    for method, path, operation in operations():
        for one in operation.get("parameters", ()):
            kinds = [one["schema"], *one["schema"].get("anyOf", ())]
            many = any(kind.get("type") == "array" for kind in kinds)
            if one["in"] == "query" and not many:
                query = f"{one['name']}=1&{one['name']}=2"
                assert_refused(ask(service, method, path, query), 422, "repeated_parameter")
                walked += 1
    assert walked > 100


def test_a_list_may_be_told_value_by_value(service):
    answer = service.http.get("/api/v1/frames?tag=ring&tag=halo&not=textured&not=spotted")
    assert answer.status_code == 200


def test_a_misspelled_filter_exports_nothing(service):
    service.post(picture(1), scan="7")
    for path in ("frames.csv", "annotations.ndjson", "dataset.jsonl", "frames.count"):
        problem = assert_refused(service.get(path, scna="7"), 422, "unknown_parameter")
        assert problem["nearest"] == "scan"


def bodies() -> list[tuple[str, str, dict]]:
    """Every route that takes a JSON document, with the schema of it."""
    document = described()
    found = []
    for method, path, operation in operations():
        content = operation.get("requestBody", {}).get("content", {})
        if schema := content.get("application/json", {}).get("schema"):
            name = schema["$ref"].rpartition("/")[2]
            found.append((method, path, document["components"]["schemas"][name]))
    return found


def test_every_document_refuses_a_key_that_it_does_not_know(service):
    assert len(bodies()) >= 9
    for method, path, schema in bodies():
        for name in schema["properties"]:
            wrong = misspelt(name)
            address = re.sub(r"\{(\w+)\}", lambda found: FIELDS.get(found[1], "ring"), path)
            if "{frame_id}" in path:
                frame = service.post(picture(2)).json()["items"][0]["frame_id"]
                address = address.replace(FRAME, frame)
            answer = service.http.request(method, address, json={wrong: None})
            problem = assert_refused(answer, 422, "invalid_request")
            place = next(one for one in problem["errors"] if one["where"] == f"body.{wrong}")
            assert place["message"] == f"There is no field {wrong!r}; did you mean {name!r}?"


def test_keys_inside_a_document_are_checked_too(service):
    frame = service.post(picture(2)).json()["items"][0]["frame_id"]
    said = {"labels": {"ring": {"value": "present", "regoin": [[1, 1], [2, 2]]}}}
    answer = service.http.put(f"/api/v1/frames/{frame}/labels", json=said)
    problem = assert_refused(answer, 422, "invalid_request")
    assert "did you mean 'region'?" in problem["detail"]


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"scna": "7"}, "scan"),
        ({"motor": {"th": 1}}, "motors"),
        ({"geometry": {"distance_mm": 1}}, "distance_m"),
    ],
)
def test_metadata_that_is_misspelled_is_refused_however_it_comes(service, told, meant):
    text = json.dumps(told)
    sent = [
        service.post(picture(1), {"X-Scatterlens-Metadata": text}),
        service.http.post(
            "/api/v1/frames", files={"file": ("a.npy", picture(1))}, data={"metadata": text}
        ),
    ]
    for answer in sent:
        problem = assert_refused(answer, 422, "bad_metadata")
        assert f"did you mean {meant!r}?" in problem["detail"]
    assert service.kept()["frames"] == 0


def test_motors_have_the_names_that_the_beamline_gives_them(service):
    motors = json.dumps({"anything at all": 1.5, "scna": 2})
    assert service.post(picture(1), motors=motors).status_code == 202


@pytest.mark.parametrize(
    ("field", "meant"), [("metdata", "metadata"), ("sha265", "sha256"), ("fiel", "file")]
)
def test_a_form_refuses_fields_that_it_does_not_know(service, field, meant):
    files = {"file": ("a.npy", picture(1))}
    answers = [service.http.post("/api/v1/frames", files=files, data={field: "{}"})]
    more = {**files, field: ("b.npy", picture(2))}
    answers.append(service.http.post("/api/v1/frames", files=more))
    for answer in answers:
        assert assert_refused(answer, 422, "unknown_field")["nearest"] == meant
    assert service.kept()["frames"] == 0


def test_a_form_with_its_metadata_twice_is_refused(service):
    files = {"file": ("a.npy", picture(1))}
    told = {"metadata": ['{"scan": "1"}', '{"scan": "2"}']}
    answer = service.http.post("/api/v1/frames", files=files, data=told)
    assert_refused(answer, 422, "repeated_field")


def test_a_search_that_would_be_refused_is_not_kept(service):
    for query, type_ in (
        ("scna=7", "unknown_parameter"),
        ("scan=7&scan=8", "repeated_parameter"),
        ("scan=7&scna=", "unknown_parameter"),
    ):
        said = {"name": "rings", "query": query}
        assert_refused(service.http.post("/api/v1/searches", json=said), 422, type_)
    assert service.get("searches").json()["items"] == []
    said = {"name": "rings", "query": "tag=ring&tag=halo&scan=7"}
    assert service.http.post("/api/v1/searches", json=said).status_code == 201


def test_the_names_of_methods_are_those_of_the_networks():
    assert tuple(METHODS) == METHOD_NAMES


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"recipe": "slim-resnet81"}, "'slim-resnet18'"),
        ({"recipe": "resnet18"}, "'slim-resnet18'"),
        ({"overrides": {"bacth": 8}}, "'batch'"),
        ({"overrides": {"method": "aam"}}, "'method'"),
        ({"overrides": {"batch": "many"}}, "batch"),
        ({"overrides": {"ema": 1.5}}, "ema"),
        ({"vocabulary": "aam02"}, "aam20"),
        ({"attributes": ["rign"]}, "'ring'"),
    ],
)
def test_a_training_that_is_not_understood_is_not_queued(service, wanted, said):
    answer = service.http.post("/api/v1/training", json=wanted)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]
    assert service.get("training").json()["items"] == []


def test_a_training_that_is_understood_is_queued(service):
    wanted = {"recipe": "slim-resnet18", "overrides": {"batch": 8, "ema": 0.9, "amp": True}}
    assert service.http.post("/api/v1/training", json=wanted).status_code == 202


def test_a_stack_has_frames_and_no_frame(service):
    stack = npy(np.ones((3, 32, 32), dtype=np.int32))
    problem = assert_refused(service.post(stack, frame="0"), 422, "unknown_parameter")
    assert problem["nearest"] == "frames"
