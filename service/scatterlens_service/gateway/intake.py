"""From received files to frames in the ledger: vetted, kept, recorded, and only then acknowledged.

Whatever is refused on the way leaves nothing behind.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from scatterlens.schemas import FrameMetadata, SubmittedFrame
from scatterlens_models.bundle import Bundle
from scatterlens_models.decoding import DecodeCrashed, FrameRejected, Probe
from scatterlens_service import ledger
from scatterlens_service.gateway.errors import (
    BusyError,
    InvalidError,
    ProblemError,
    TooLargeError,
    UnsupportedError,
)
from scatterlens_service.gateway.metadata import check_bound
from scatterlens_service.gateway.numbering import number_frames
from scatterlens_service.gateway.receiving import storing
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.keeping.blobs import Spool
from scatterlens_service.registry.bundles import to_model_version

_REFUSALS: dict[str, type[ProblemError]] = {
    "unsupported": UnsupportedError,
    "too_large": TooLargeError,
}


class AllRefusedError(InvalidError):
    """Every file of a form was refused: `items` says why each."""

    def __init__(self, verdicts: Sequence[ProblemError], items: Sequence[SubmittedFrame]) -> None:
        first = verdicts[0].reason
        super().__init__(
            *(first.type, first.title, first.detail, first.remedy)
            if len(verdicts) == 1
            else (
                "all_refused",
                "Every file was refused",
                f"None of {len(verdicts)} files was taken. The first: {first.title}."
                f" {first.detail}",
                "Look at the `error` of each of the `items`.",
            ),
            items=[item.model_dump(mode="json") for item in items],
        )
        statuses = {verdict.status for verdict in verdicts}
        if len(statuses) == 1:
            self.status = statuses.pop()


@dataclass(frozen=True)
class ReceivedFile:
    """A file on the spool, complete but not yet kept."""

    spool: Spool
    filename: str | None
    expected_sha256: str | None


@dataclass(frozen=True)
class Intake:
    """What one request wants done with its files."""

    caller: ledger.Principal
    metadata: FrameMetadata
    selection: slice | int | None
    """Which frames of a stack; None = all."""
    asked: Bundle | None
    """A model beside the active ones; its state is answered then, else that of production."""
    idempotency_key: str | None = None


def read_selection(text: str) -> slice | int | None:
    """Read `all`, `i` or `i:j`; raises `InvalidError`."""
    if text == "all":
        return None
    found = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", text)
    if found is None or (found[2] is not None and int(found[2]) <= int(found[1])):
        raise InvalidError(
            "bad_selection",
            "The choice of frames cannot be read",
            f"`frames={text[:40]}` is neither `all`, nor `i`, nor `i:j` with i < j.",
            "Write `frames=all`, `frames=0` or `frames=0:100`; counting starts at 0.",
        )
    return int(found[1]) if found[2] is None else slice(int(found[1]), int(found[2]))


def take_in_one(gateway: Gateway, intake: Intake, file: ReceivedFile) -> list[SubmittedFrame]:
    """Vet, keep and record the only file of a request; raises what speaks against it."""
    return _record(gateway, intake, [(file, _vet(gateway, intake, file))])


def take_in(
    gateway: Gateway, intake: Intake, files: Sequence[ReceivedFile]
) -> list[SubmittedFrame]:
    """Vet, keep and record files; one that is refused is an item with its error.

    The items are in the order of the files.

    Raises:
        AllRefusedError: every one of them is.
    """
    accepted: list[tuple[ReceivedFile, list[ledger.NewFrame]]] = []
    verdicts: list[ProblemError] = []
    # Of each file: how many frames were taken of it, or why none was.
    ends: list[int | SubmittedFrame] = []
    for file in files:
        try:
            frames = _vet(gateway, intake, file)
        except ProblemError as error:
            verdicts.append(error)
            ends.append(
                SubmittedFrame(
                    filename=file.filename,
                    frame_id=None,
                    state=None,
                    duplicate=False,
                    error=error.reason,
                )
            )
        else:
            accepted.append((file, frames))
            ends.append(len(frames))
    if verdicts and not accepted:
        raise AllRefusedError(verdicts, [end for end in ends if not isinstance(end, int)])
    taken = iter(_record(gateway, intake, accepted))
    items: list[SubmittedFrame] = []
    for end in ends:
        items += islice(taken, end) if isinstance(end, int) else [end]
    return items


def _vet(gateway: Gateway, intake: Intake, file: ReceivedFile) -> list[ledger.NewFrame]:
    spool = file.spool
    if spool.size == 0:
        raise InvalidError(
            "empty", "The file is empty", "No byte was received.", "Send the file again."
        )
    if file.expected_sha256 not in (None, spool.sha256):
        raise InvalidError(
            "wrong_digest",
            "The file was damaged on its way",
            f"The client announced sha256 {file.expected_sha256}, received was {spool.sha256}.",
            "Send the file again; if it differs again, read it anew from its disk.",
        )
    probe = _probe(gateway, intake.caller.key_id, spool)
    frames = [
        ledger.NewFrame(spool.sha256, spool.size, probe.format, file.filename, index)
        for index in _indices(gateway, intake.selection, probe.frames)
    ]
    return number_frames(frames, intake.metadata.frame_number)


def _probe(gateway: Gateway, key_id: str, spool: Spool) -> Probe:
    spool.flush()
    try:
        return gateway.vetting.probe(key_id, spool.path)
    except DecodeCrashed:
        # The worker, which looks at it again, gives the verdict.
        return Probe(format="unknown", shape=(), frames=1)
    except FrameRejected as verdict:
        refusal = _REFUSALS.get(verdict.kind, InvalidError)
        raise refusal(verdict.kind, verdict.title, verdict.detail, verdict.remedy) from verdict


def _indices(gateway: Gateway, selection: slice | int | None, count: int) -> list[int | None]:
    """Chosen indices of a stack of `count` frames; [None] for a file with one."""
    match selection:
        case int() if selection < count:
            chosen = range(selection, selection + 1)
        case int():
            chosen = range(0)
        case None:
            chosen = range(count)
        case slice():
            chosen = range(count)[selection]
    if not chosen:
        raise InvalidError(
            "no_such_frame",
            "The file has no such frame",
            f"It holds {count} frame{'s' if count != 1 else ''}, counted from 0.",
            f"Choose within `frames=0:{count}`.",
        )
    limit = gateway.settings.max_frames
    if len(chosen) > limit:
        raise InvalidError(
            "too_many_frames",
            "Too many frames at once",
            f"{len(chosen):,} frames of the stack were asked for, {limit:,} are allowed.",
            f"Send it in parts: `frames=0:{limit}`, `frames={limit}:{2 * limit}`, ...",
        )
    return [None] if count == 1 else list(chosen)


def _record(
    gateway: Gateway,
    intake: Intake,
    accepted: Sequence[tuple[ReceivedFile, list[ledger.NewFrame]]],
) -> list[SubmittedFrame]:
    """Keep the files, then record all frames in one transaction, then ring."""
    sender = _sender(intake)
    if not accepted:
        return []
    frames = [frame for _, of_file in accepted for frame in of_file]
    if intake.idempotency_key is not None:
        # Sending again is safe by itself, frames are known by their bytes: this only refuses
        # one key for two different requests, and does so before anything is kept.
        with ledger.writing(gateway.engine) as session:
            ledger.remember_request(
                session, intake.caller.key_id, intake.idempotency_key, _digest(intake, frames)
            )
    with storing():
        for file, _ in accepted:
            file.spool.keep()
    with ledger.writing(gateway.engine) as session:
        ledger.share_files(session)
        _require_files(gateway, frames)
        # Read here and nowhere earlier: a frame gets one job for each model that is active when
        # it is recorded, whatever is promoted meanwhile, by whichever gateway.
        active = gateway.shelf.active(session)
        asked = [] if intake.asked is None else [to_model_version(intake.asked)]
        models = [*asked, *(model for model in active if model not in asked)]
        submitted = ledger.submit(session, frames, sender, models)
    gateway.bell.ring(ledger.LIVE)
    # Its sender will ask for the answer at once.
    gateway.shelf.catch_up(active[0].version)
    return [
        SubmittedFrame(
            filename=frame.filename,
            frame_id=answer.frame_id,
            state=answer.state,
            duplicate=answer.duplicate,
        )
        for frame, answer in zip(frames, submitted, strict=True)
    ]


def _require_files(gateway: Gateway, frames: Sequence[ledger.NewFrame]) -> None:
    """Raise where a file that was just kept was removed again, with a frame that had it before."""
    if not all(gateway.blobs.path(sha256).is_file() for sha256 in {one.sha256 for one in frames}):
        raise BusyError(
            "file_removed",
            "The file was removed at this moment",
            "A frame of the same file was deleted while it was sent.",
            "Send it again; it is taken as new.",
            headers={"Retry-After": "1"},
        )


def _sender(intake: Intake) -> ledger.Sender:
    """Who speaks for the frames; a key bound to a proposal or beamline speaks for no other."""
    said, caller = intake.metadata, intake.caller
    for name in ("proposal", "beamline"):
        if getattr(said, name) is not None:
            check_bound(caller, name, getattr(said, name))
    details = said.model_dump(
        mode="json", include={"motors", "geometry", "poni", "extra"}, exclude_defaults=True
    )
    return ledger.Sender(
        key_id=caller.key_id,
        author=caller.name,
        proposal=said.proposal or caller.proposal,
        beamline=said.beamline or caller.beamline,
        scan=said.scan,
        sample=said.sample,
        technique=said.technique,
        details=details,
    )


def _digest(intake: Intake, frames: Sequence[ledger.NewFrame]) -> str:
    said = [
        intake.metadata.model_dump_json(),
        *(f"{frame.id} {frame.filename}" for frame in frames),
        # Not the active models: they may change between a request and its repetition.
        *([] if intake.asked is None else [intake.asked.name]),
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
