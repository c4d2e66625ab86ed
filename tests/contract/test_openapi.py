"""The committed description of the API is that of the code, and tells of every refusal."""

import json
import os
from pathlib import Path
from typing import get_type_hints

import pytest

from scatterlens.schemas.filters import Filters, OrderedFilters, PagedFilters
from scatterlens_service.gateway.app import create_app
from scatterlens_service.gateway.openapi import to_text
from scatterlens_service.settings import Settings

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
PROBES = {("/health/live", "get"), ("/health/ready", "get")}
LOG_IN = ("/api/v1/session", "post")


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    return create_app(Settings(home=tmp_path_factory.mktemp("home"))).openapi()


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_committed_description_is_that_of_the_code(document):
    text = to_text(document)
    if os.environ.get("UPDATE_OPENAPI"):
        COMMITTED.parent.mkdir(parents=True, exist_ok=True)
        COMMITTED.write_text(text, encoding="utf-8")
    assert COMMITTED.read_text(encoding="utf-8") == text, (
        "the API changed: run this test once with UPDATE_OPENAPI=1 and commit docs/reference"
    )


def test_every_route_declares_its_refusals_as_problem_documents(document):
    for path, method, operation in operations(document):
        errors = {s: r for s, r in operation["responses"].items() if int(s) >= 400}
        wanted = {"500"} if (path, method) in PROBES else {"401", "403", "422", "500", "503"}
        wanted -= {"403"} if (path, method) == LOG_IN else set()
        assert wanted <= set(errors), path
        for response in errors.values():
            assert list(response["content"]) == ["application/problem+json"], path


def test_every_route_but_the_probes_and_the_login_wants_a_key_or_a_session(document):
    wants = {
        (path, method): operation.get("security")
        for path, method, operation in operations(document)
    }
    assert {place for place, security in wants.items() if not security} == {*PROBES, LOG_IN}
    for place, security in wants.items():
        if security:
            assert {name for either in security for name in either} == {"key", "session"}, place


def test_every_reference_leads_somewhere(document):
    names = set(document["components"]["schemas"])
    text = json.dumps(document)
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= names
    assert names - used == set(), "described but used nowhere"


def test_the_sdk_knows_the_filters_of_each_route(document):
    def parameters(path):
        return {one["name"] for one in document["paths"][path]["get"]["parameters"]}

    by_arguments = {"tag", "not"}
    listed = {*get_type_hints(PagedFilters), "cursor", *by_arguments}
    assert parameters("/api/v1/frames") == listed
    assert parameters("/api/v1/frames.count") == {*get_type_hints(Filters), *by_arguments}
    ordered = {*get_type_hints(OrderedFilters), *by_arguments}
    for path in ("frames.csv", "annotations.ndjson"):
        assert parameters(f"/api/v1/{path}") == ordered
    assert parameters("/api/v1/dataset.jsonl") == {*ordered, "split"}
