"""The description of the API, as it is served and as it is committed in `docs/reference`."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from scatterlens.schemas import Annotation, Event, ExportedLabel, FrameMetadata, Problem


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
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        app.openapi_schema = document
    return app.openapi_schema


def to_text(document: dict[str, Any]) -> str:
    """Write a description as it is committed."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
