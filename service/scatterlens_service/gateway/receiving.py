"""Request bodies on their way to the disk: hashed, compared with their digest."""

import base64
import binascii
import errno
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message as MailMessage

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from scatterlens_service.gateway.errors import (
    InvalidError,
    ProblemError,
    StorageError,
    UnsupportedError,
)
from scatterlens_service.keeping.blobs import Spool

_WRITE_BYTES = 2**20
_MAX_FILENAME = 255


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


@contextmanager
def storing() -> Iterator[None]:
    """Within it, what the disk refuses becomes a `StorageError`; other refusals stay themselves."""
    try:
        yield
    except ProblemError:
        # Some are of the kind OSError, too: a client that falls silent says nothing of the disk.
        raise
    except OSError as error:
        raise storage_problem(error) from error


def storage_problem(error: OSError) -> StorageError:
    """What a failed write means for the client."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StorageError(
        "disk_full" if full else "storage_failed",
        "The disk is full" if full else "The file could not be stored",
        "The frame was not kept.",
        "Send it again later; the operator has to look at the disk of the service.",
        headers={"Retry-After": "30"},
    )
