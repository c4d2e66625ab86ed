"""Cursors of paged lists: opaque to clients, and refused where they are not ours."""

import base64
import binascii
import re

from scatterlens_service.gateway.errors import InvalidError


def write_cursor(text: str) -> str:
    """Hide a place in a list from those who would build on its form."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, pattern: str) -> re.Match[str]:
    """Read a place that `write_cursor` wrote in the form of `pattern`; raises `InvalidError`."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = re.fullmatch(pattern, text)
    if found is None:
        raise InvalidError(
            "bad_cursor",
            "The cursor is not one of ours",
            "It was not given by an earlier page of this list.",
            "Leave `cursor` out, or give back the `next_cursor` of the page before.",
        )
    return found
