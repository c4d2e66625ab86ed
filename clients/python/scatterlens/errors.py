"""Everything that the SDK raises on purpose.

ScatterlensError
├── TransportError            the gateway was not reached                (also a ConnectionError)
├── StillPending              no verdict within the time given           (also a TimeoutError)
├── FrameRejected             the file or its annotation was refused     (also a ValueError)
├── StillTraining             a run has not ended within the time given  (also a TimeoutError)
├── TrainingFailed            a run ended without a bundle               (also a RuntimeError)
├── BadArgument              a method was called with what cannot be     (also a ValueError)
├── CannotRead               a file cannot be read                       (also an OSError)
│   └── MissingFile          it is not there                             (also a FileNotFoundError)
├── CannotWrite              a file cannot be written                    (also an OSError)
├── UnknownAttribute          the model does not know this attribute     (also a LookupError)
├── AmbiguousService          several services run here, none is named   (also a LookupError)
├── NotAvailable              a part that is not installed is needed     (also a RuntimeError)
└── ApiError                  any other answer that is an error
    ├── NotFound              404                                        (also a LookupError)
    ├── Unauthorized          401                                        (also a PermissionError)
    ├── Forbidden             403                                        (also a PermissionError)
    └── Busy                  try again after `retry_after` seconds
        ├── RateLimited       429
        └── Unavailable       408, 502, 503, 504, 507

The text of each says what happened and what to do about it.
"""

# ruff: noqa: N818  (`except NotFound` reads better than `except NotFoundError`)

from scatterlens.schemas import Problem, Reason, State


class ScatterlensError(Exception):
    """Base of all errors of the SDK."""


class TransportError(ScatterlensError, ConnectionError):
    """The gateway was not reached, or the connection broke and stayed broken."""


class StillPending(ScatterlensError, TimeoutError):
    """The frame is safe with the gateway but has no verdict yet; ask again with its id."""

    def __init__(self, frame_id: str, wait: float):
        super().__init__(
            f"No verdict on frame {frame_id} within {wait:g} s. It stays queued: ask again with "
            f"client.result({frame_id!r}), and look at client.health() for a worker that runs."
        )
        self.frame_id = frame_id


class FrameRejected(ScatterlensError, ValueError):
    """The gateway or a worker refused the frame; `reason` says why and what helps."""

    def __init__(self, reason: Reason, frame_id: str | None = None, state: State = State.FAILED):
        super().__init__(_sentence(reason.title, reason.detail, reason.remedy))
        self.reason = reason
        self.frame_id = frame_id
        """None where the file was refused before it had an identity."""
        self.state = state
        """`failed`: a verdict on the file. `quarantined`: work on it kept dying."""


class StillTraining(ScatterlensError, TimeoutError):
    """The run goes on; ask again with its id."""

    def __init__(self, run_id: str, wait: float):
        super().__init__(
            f"The run {run_id} has not ended within {wait:g} s. It goes on: look with "
            f"client.training({run_id!r}), or end it with client.cancel_training({run_id!r})."
        )
        self.run_id = run_id


class TrainingFailed(ScatterlensError, RuntimeError):
    """The run ended without a bundle; `reason` says why, where it was not cancelled."""

    def __init__(self, run_id: str, state: State, reason: Reason | None):
        told = (reason.title, reason.detail, reason.remedy) if reason else ("Start another run",)
        super().__init__(_sentence(f"The run {run_id} is {state.value}", *told))
        self.run_id = run_id
        self.state = state
        self.reason = reason


class BadArgument(ScatterlensError, ValueError):
    """A method was called with something that cannot be; nothing was sent."""


class CannotRead(ScatterlensError, OSError):
    """A file cannot be read; `errno` is that of the system."""

    def __str__(self) -> str:
        return _sentence(f"{self.filename or 'The file'} cannot be read: {self.strerror}")


class MissingFile(CannotRead, FileNotFoundError):
    """There is no such file."""


class CannotWrite(ScatterlensError, OSError):
    """A file cannot be written; `errno` is that of the system."""

    def __str__(self) -> str:
        return _sentence(f"{self.filename or 'The file'} cannot be written: {self.strerror}")


class UnknownAttribute(ScatterlensError, LookupError):
    """The model that made the result does not know this attribute."""

    def __init__(self, attribute: str, known: list[str]):
        super().__init__(f"No attribute {attribute!r} in this result. Known: {', '.join(known)}")
        self.attribute = attribute
        self.known = known


class AmbiguousService(ScatterlensError, LookupError):
    """Several services run on this machine and nothing says which one is meant."""

    def __init__(self, services: list[str]):
        super().__init__(
            f"Several services run here: {'; '.join(services)}. Say which is meant by --url, or by "
            "its home in SCATTERLENS_HOME."
        )


class NotAvailable(ScatterlensError, RuntimeError):
    """Something that is not installed is needed; the text names the extra that brings it."""


class ApiError(ScatterlensError):
    """The gateway answered with an error (RFC 9457): its `problem` carries all that it said."""

    def __init__(self, problem: Problem, retry_after: float | None = None):
        super().__init__(_sentence(problem.title, problem.detail, problem.remedy))
        self.problem = problem
        self.status = problem.status
        self.retry_after = retry_after
        """Seconds after which the gateway wants to be asked again, where it said so."""

    @property
    def reason(self) -> Reason:
        """The problem without its HTTP side, as frames carry it."""
        said = self.problem
        remedy = said.remedy or "See the detail"
        return Reason(type=said.type, title=said.title, detail=said.detail, remedy=remedy)


class NotFound(ApiError, LookupError):
    """There is no such thing, or the key may not see it."""


class Unauthorized(ApiError, PermissionError):
    """The key is missing, wrong, expired or revoked."""


class Forbidden(ApiError, PermissionError):
    """The key is valid but lacks the scope for this."""


class Busy(ApiError):
    """The gateway takes nothing just now; the same request is safe to send again."""


class RateLimited(Busy):
    """Too many requests with this key."""


class Unavailable(Busy):
    """The gateway, its ledger or its disk cannot take work just now."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: Unavailable,
}


def api_error(problem: Problem, retry_after: float | None = None) -> ApiError:
    """Return the error class that fits the problem's status."""
    return _BY_STATUS.get(problem.status, ApiError)(problem, retry_after)


def _sentence(*parts: str | None) -> str:
    return " ".join(part.rstrip(".") + "." for part in parts if part)
