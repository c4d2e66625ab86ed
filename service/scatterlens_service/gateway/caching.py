"""Validators for what never changes under its parameters: pictures, arrays, files."""

import hashlib

from fastapi import Request, Response

_EDITION = "2"
"""Raise it when pictures are drawn in another way."""


def make_etag(*parts: object) -> str:
    """Strong validator of whatever these parts determine."""
    text = "\n".join(str(part) for part in (_EDITION, *parts))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def private(etag: str) -> dict[str, str]:
    """Headers: only the caller's own cache may keep it, and asks before using it again."""
    return {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}


def lasting(etag: str) -> dict[str, str]:
    """Headers for what is too large to be asked about each time: kept for a day by this caller.

    Not longer, so that a corrected decoder is not answered by an old cache.
    """
    return {
        "ETag": etag,
        "Cache-Control": "private, max-age=86400, immutable",
        "Vary": "Authorization, Cookie, Accept-Encoding",
    }


def answer_unchanged(request: Request, etag: str) -> Response | None:
    """304 where the caller holds this very answer."""
    held = request.headers.get("if-none-match", "")
    if held.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in held.split(",")):
        return Response(status_code=304, headers=private(etag))
    return None
