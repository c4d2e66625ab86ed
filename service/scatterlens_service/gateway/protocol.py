"""What the server says by itself: a request that is no HTTP gets a problem document, too."""

import json

from uvicorn.protocols.http.h11_impl import H11Protocol

from scatterlens.schemas import Problem
from scatterlens_service.gateway.errors import MEDIA_TYPE

_PROBLEM = Problem(
    type="invalid_http",
    title="The request is no HTTP",
    status=400,
    detail="Its first line, its headers or its framing break the rules of HTTP/1.1.",
    remedy="Send it by an HTTP client; names and values of addresses and headers are ASCII there.",
)


class ProblemProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, whose own refusal is a problem document."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, and close the connection."""
        # In the middle of an answer nothing else can be said.
        if self.cycle is None or self.cycle.response_complete:
            body = json.dumps(_PROBLEM.model_dump(mode="json", exclude_none=True)).encode()
            head = (
                "HTTP/1.1 400 Bad Request\r\n"
                f"content-type: {MEDIA_TYPE}\r\n"
                f"content-length: {len(body)}\r\n"
                "cache-control: no-store\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
