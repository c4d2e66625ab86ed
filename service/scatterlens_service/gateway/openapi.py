"""The description of the API, as it is served and as it is committed in `docs/reference`."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from scatterlens.schemas import Annotation, Event, ExportedLabel, FrameMetadata, Problem
from scatterlens_service.gateway.bodies import MAX_DOCUMENT_BYTES
from scatterlens_service.gateway.errors import problem_responses

_TOO_LARGE = (
    f"Content Too Large: a body that brings no files has at most {MAX_DOCUMENT_BYTES:,} bytes"
)


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe the API (OpenAPI 3.1), with the models that only streams, headers and errors use."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for model in (Annotation, Event, ExportedLabel, FrameMetadata, Problem):
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= described.pop("$defs", {})
            schemas[model.__name__] = described
        for operation in _operations(document):
            # Of parameters that it does not know, and of bodies that nobody can read, that are too
            # large or never end.
            has_body = "requestBody" in operation
            refusals = problem_responses(*([400, 408, 413, 422] if has_body else [422]))
            if has_body:
                refusals[413]["description"] = _TOO_LARGE
            told = {f"{status}": said for status, said in refusals.items()}
            operation["responses"] = dict(sorted({**told, **operation["responses"]}.items()))
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = document
    return app.openapi_schema


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def to_text(document: dict[str, Any]) -> str:
    """Write a description as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
