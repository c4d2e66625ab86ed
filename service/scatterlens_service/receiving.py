"""Request bodies on their way to the disk: counted, timed, hashed, compared with their digest."""

import asyncio
import base64
import binascii
import errno
import re
from collections.abc import AsyncIterator, Mapping
from email.message import Message as MailMessage

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Message

from scatterlens_service.blobs import Spool
from scatterlens_service.errors import (
    InvalidError,
    ProblemError,
    StalledError,
    StorageError,
    TooLargeError,
    UnsupportedError,
)

_SILENCE_SECONDS = 60.0
"""A client that sends nothing for so long is gone."""
_WRITE_BYTES = 2**20
_MAX_FILENAME = 255


def limit_body(request: Request, max_bytes: int) -> Request:
    """Refuse a body that is too large, at once where its length is told, else while it comes.

    Raises:
        TooLargeError: now, or when the returned request is read.
        StalledError: when it is read and the client falls silent.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > max_bytes:
        raise _too_large(max_bytes)
    received = 0

    async def receive() -> Message:
        nonlocal received
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                message = await request.receive()
        except TimeoutError:
            raise StalledError(
                "body_timeout",
                "The body stopped coming",
                f"Nothing was received for {_SILENCE_SECONDS:g} s.",
                "Send the file again.",
            ) from None
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return Request(request.scope, receive)


def _too_large(max_bytes: int) -> TooLargeError:
    return TooLargeError(
        "too_large",
        "The body is too large",
        f"The service takes at most {max_bytes:,} bytes in one request.",
        "Compress the frame losslessly, split the stack, or raise SCATTERLENS_MAX_BODY_BYTES.",
    )


def refuse_url_encoded(request: Request, right: str) -> None:
    """Refuse what `curl -d @FILE` sends: it has left out bytes of the file, without a word."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise UnsupportedError(
            "url_encoded",
            "The file came as the fields of a web form",
            "`curl -d @FILE` and `--data` leave line ends and NUL bytes out: what arrived need not"
            " be the file.",
            f"Send the file as it is: `{right}`.",
        )


async def receive_into(spool: Spool, chunks: AsyncIterator[bytes]) -> None:
    """Write a body to the spool off the event loop, in pieces of about a megabyte."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _WRITE_BYTES:
            await run_in_threadpool(spool.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(spool.write, bytes(waiting))


def expected_sha256(headers: Mapping[str, str]) -> str | None:
    """Digest that the client sent along, in hex: `Content-Digest` (RFC 9530) or `X-Content-SHA256`.

    Other algorithms than sha-256 are passed over, as RFC 9530 wants it.

    Raises:
        InvalidError: it cannot be read.
    """
    if "x-content-sha256" in headers:
        return read_sha256(headers["x-content-sha256"])
    for part in headers.get("content-digest", "").split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm.lower() != "sha-256":
            continue
        found = re.fullmatch(r":([A-Za-z0-9+/=]*):", value)
        try:
            digest = base64.b64decode(found[1], validate=True) if found else b""
        except binascii.Error:
            digest = b""
        if len(digest) != 32:
            raise _bad_digest()
        return digest.hex()
    return None


def read_sha256(text: str) -> str:
    """Check a sha256 in hex, as multipart fields carry it; raises `InvalidError`."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise _bad_digest()
    return text.strip().lower()


def _bad_digest() -> InvalidError:
    return InvalidError(
        "bad_digest",
        "The digest cannot be read",
        "The sha256 sent with the file is not 32 bytes.",
        "Send `Content-Digest: sha-256=:<base64>:`, or the sha256 as 64 hexadecimal digits.",
    )


def clean_filename(text: str | None) -> str | None:
    """Last part of a file's name, without control characters; a label only, never a path."""
    if text is None:
        return None
    name = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", re.split(r"[/\\]", text)[-1]).strip()
    return name[-_MAX_FILENAME:] or None


def filename_in(content_disposition: str | None) -> str | None:
    """File name of a Content-Disposition header, RFC 8187's `filename*` included."""
    if content_disposition is None:
        return None
    header = MailMessage()
    header["content-disposition"] = content_disposition
    return header.get_filename()


def storage_problem(error: OSError) -> ProblemError:
    """What a failed write means for the client."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageError(
        "disk_full" if full else "storage_failed",
        "The disk is full" if full else "The file could not be stored",
        "The frame was not kept.",
        "Send it again later; the operator has to look at the disk of the service.",
        headers={"Retry-After": "30"},
    )
