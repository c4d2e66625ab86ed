"""The client of a gateway: send frames, wait for what was seen in them, search, follow events."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, overload

from scatterlens.arguments import checked
from scatterlens.arrays import GatewayArrays
from scatterlens.connection import find_connection
from scatterlens.errors import (
    ApiError,
    FrameRejected,
    ScatterlensError,
    TransportError,
)
from scatterlens.files import File, label, open_file, sha256
from scatterlens.frame_data import FrameData
from scatterlens.labels import GatewayLabels, Labels
from scatterlens.models import GatewayModels
from scatterlens.operating import Operating
from scatterlens.polling import poll
from scatterlens.result import Result
from scatterlens.schemas import (
    Annotation,
    Annotations,
    AttributeInfo,
    Event,
    ExportedLabel,
    FrameChanges,
    FrameDetail,
    FrameLabels,
    FrameMetadata,
    FramePlace,
    Health,
    ModelDetail,
    ModelInfo,
    OldFrames,
    Reannotation,
    Reason,
    ReviewItem,
    ReviewQueue,
    State,
    Submission,
    SubmittedFrame,
    Training,
    TrainingRequest,
)
from scatterlens.searching import Searching
from scatterlens.training import GatewayTraining
from scatterlens.transport import Transport, address_of, read, read_line, read_list

_UPLOADS = 8
_REFUSALS = (413, 415, 422)
"""Statuses that speak of the file itself, not of the gateway or the key ..."""
_OUR_FAULTS = ("invalid_request", "bad_metadata", "bad_selection", "bad_digest")
"""... unless the problem's type says that the request was wrong, whatever the file."""
_DAMAGED = "wrong_digest"
_SENDINGS = 3
"""How often a file is sent that arrives damaged; it may also have grown while it was sent."""


@dataclass(frozen=True)
class Outcome:
    """What became of one frame of one file: a result, or the error that came instead."""

    file: str
    frame_id: str | None
    state: State | None
    """None where nothing is known about the frame, such as with no gateway in reach."""
    result: Result | None = None
    error: Exception | None = None


class Client(FrameData, Searching, Operating):
    """A gateway as Python sees it; safe to share between threads, and a context manager.

    Address and key come from the arguments, else from SCATTERLENS_URL and SCATTERLENS_KEY, else
    from what `scatterlens serve` wrote on this machine. A gateway that is busy or away is asked
    again for `retry_s` seconds: the same bytes are the same frame, so nothing is stored twice.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retry_s: float = 30.0,
        timeout_s: float = 60.0,
    ):
        connection = find_connection(url, key)
        self.url = connection.url
        self._transport = Transport(connection, retry_s, timeout_s)
        self._arrays = GatewayArrays(self._transport)
        self._labels = GatewayLabels(self._transport)
        self._training = GatewayTraining(self._transport)
        self._models = GatewayModels(self._transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    # Annotate

    @overload
    def annotate(
        self,
        file: File,
        frames: int = 0,
        *,
        wait: float = 60.0,
        model: str | None = None,
        **metadata: object,
    ) -> Result: ...

    @overload
    def annotate(
        self,
        file: File,
        frames: str,
        *,
        wait: float = 60.0,
        model: str | None = None,
        **metadata: object,
    ) -> list[Result]: ...

    def annotate(
        self,
        file: File,
        frames: int | str = 0,
        *,
        wait: float = 60.0,
        model: str | None = None,
        **metadata: object,
    ) -> Result | list[Result]:
        """Send a file, wait up to `wait` seconds, and return what was seen in it.

        `frames` as a number picks one frame of a stack and returns its result; `"all"` or `"i:j"`
        returns a list. `metadata` are the fields of `FrameMetadata` (sample, scan, geometry, ...).

        Raises:
            FrameRejected: the file is refused or cannot be annotated; the text says what helps.
            StillPending: no verdict yet; the frame stays queued.
            TransportError, ApiError: the gateway was not reached, or said no.

        """
        results = []
        outcomes = self._outcomes(
            file, str(frames), wait, model, metadata, abandoned=threading.Event()
        )
        for outcome in outcomes:
            if outcome.error:
                raise outcome.error
            results.append(outcome.result)
        return results[0] if isinstance(frames, int) else results

    def annotate_many(
        self,
        files: Iterable[File],
        frames: int | str = 0,
        *,
        wait: float = 600.0,
        model: str | None = None,
        about: Callable[[File], Mapping[str, object]] | None = None,
        **metadata: object,
    ) -> Iterator[Outcome]:
        """Annotate many files at once; yield one outcome for each frame, in the files' order.

        `metadata` speaks of all files, and what `about` returns of one of them: its motors, its
        frame number. A file that is missing or refused is an outcome with its error; the others go
        on.
        """

        abandoned = threading.Event()

        def outcomes(file: File) -> list[Outcome]:
            try:
                own = {**metadata, **(about(file) if about else {})}
                return self._outcomes(file, str(frames), wait, model, own, abandoned)
            except ScatterlensError as error:
                return [_unsent(file, error)]

        pool = ThreadPoolExecutor(_UPLOADS, thread_name_prefix="scatterlens-upload")
        try:
            for of_one_file in pool.map(outcomes, files):
                yield from of_one_file
        finally:
            abandoned.set()  # on Ctrl-C the threads shall not wait for verdicts any more
            pool.shutdown(cancel_futures=True)

    def submit(
        self, file: File, frames: int | str = 0, *, model: str | None = None, **metadata: object
    ) -> list[SubmittedFrame]:
        """Send a file and return at once; each item has the frame's id, or the error instead.

        Returning means kept: the gateway answers after the frame is on its disk.

        Raises:
            FrameRejected: the gateway refuses the file.
            TransportError, ApiError: the gateway was not reached, or said no.

        """
        about = checked(FrameMetadata, metadata)
        params = {
            "frames": str(frames),
            "model": model,
            "filename": Path(label(file)).name or None,
            **_as_parameters(about),
        }
        for sending in range(1, _SENDINGS + 1):
            try:
                return self._send(file, params)
            except FrameRejected as error:
                if error.reason.type != _DAMAGED or sending == _SENDINGS:
                    raise
        raise AssertionError("the last sending returns or raises")

    def result(self, frame_id: str, *, wait: float = 60.0, model: str | None = None) -> Result:
        """Return what was seen in a frame sent before; raises as `annotate` does."""
        return self._wait_for(frame_id, wait, model, threading.Event())

    def annotations(self, frame_id: str, *, wait: float = 60.0) -> Annotations:
        """Return what every model says that was asked about a frame, and how far they agree.

        A model that failed over the frame is part of the answer, with its reason.

        Raises:
            StillPending: a model has not decided within `wait` seconds; the frame stays queued.
            TransportError, ApiError: the gateway was not reached, or said no.

        """

        def ask(seconds: float) -> Annotations | None:
            answer = self._transport.get(
                Annotations, f"frames/{frame_id}/annotations", wait=seconds
            )
            return answer if all(one.state.is_final for one in answer.annotations) else None

        return poll(ask, frame_id, wait)

    def _wait_for(
        self, frame_id: str, wait: float, model: str | None, abandoned: threading.Event
    ) -> Result:
        def ask(seconds: float) -> Result | None:
            answer = self._transport.get(
                Annotation, f"frames/{frame_id}/annotation", wait=seconds, model=model
            )
            if answer.state is State.DONE:
                return Result(answer, self._arrays)
            if answer.state.is_final:
                reason = answer.reason or _unexplained(answer.state)
                raise FrameRejected(reason, frame_id, answer.state)
            return None

        return poll(ask, frame_id, wait, abandoned)

    # Follow

    def frame(
        self,
        frame_id: str,
        *,
        history: bool = False,
        proposal: str | None = None,
        beamline: str | None = None,
    ) -> FrameDetail:
        """Return everything known about a frame: header, geometry, motors, where it stands.

        With `history`, how its metadata changed, too. `proposal` and `beamline` name the one that
        is meant where the same bytes are known within several (`places`); else it is the newest.
        """
        asked = {"history": history or None, "proposal": proposal, "beamline": beamline}
        return self._transport.get(FrameDetail, f"frames/{frame_id}", **asked)

    def describe(
        self,
        frame_id: str,
        *,
        within: FramePlace | None = None,
        **changes: object,
    ) -> FrameDetail:
        """Correct what is told of a frame; returns it with the history of such changes.

        `changes` are the fields of `FrameMetadata`: what is not named stays, None forgets. Motors
        and keys of `extra` are corrected one by one. `within` is one of the frame's `places`, where
        it has several.

        Raises:
            BadArgument: a field is unknown or wrong.
            ApiError: the frame is known within that proposal already, or in several `places` and
                none was named.
            NotFound, Forbidden, TransportError: no such frame; the key may not; no gateway.

        """
        body = checked(FrameChanges, changes)
        content = body.model_dump_json(exclude_unset=True).encode()
        answer = self._transport.request(
            "PATCH",
            f"frames/{frame_id}",
            params=address_of(within),
            headers={"Content-Type": "application/json"},
            body=lambda: io.BytesIO(content),
        )
        return read(FrameDetail, answer)

    def events(self, after: int | None = None) -> Iterator[Event]:
        """Yield state changes as they happen, for ever; those after event `after` come first.

        A stream that breaks after an event is taken up again there: nothing is missed or doubled.
        """
        tries_left = 5
        while True:
            headers = {} if after is None else {"Last-Event-ID": str(after)}
            try:
                with self._transport.event_source("events", headers) as stream:
                    for message in stream:
                        if message.data:
                            event = read_line(Event, message.data, f"{self.url}/api/v1/events")
                            after, tries_left = event.id, 5
                            yield event
            except TransportError:
                tries_left -= 1
                if not tries_left:
                    raise
            time.sleep(1.0)

    # Correct

    def label(
        self,
        frame_id: str,
        labels: Labels,
        *,
        note: str | None = None,
        shown: Result | None = None,
        within: FramePlace | None = None,
    ) -> FrameLabels:
        """Say which attributes a frame has: `{"ring": "present", "halo": "absent"}`.

        A value is `"present"`, `"absent"`, `"unsure"` or None, which withdraws; attributes that
        are not named keep what was said. A `LabelIn` instead carries a region or a note of its
        own. `shown` is the result that was looked at. `within` is one of the frame's `places`,
        where it has several; else the newest is meant.

        Raises:
            Forbidden: the key lacks `labels:write`.
            ApiError: no active model knows the attribute; the text lists those there are.
            NotFound, TransportError: no such frame; no gateway.

        """
        return self._labels.put(frame_id, labels, note, shown, within)

    def labels(
        self, frame_id: str, *, history: bool = False, within: FramePlace | None = None
    ) -> FrameLabels:
        """Return what each author says about a frame now, and with `history` all that was said.

        `within` is one of the frame's `places`, where it has several; else the newest is meant.
        """
        return self._labels.get(frame_id, history, within)

    def review(
        self,
        by: ReviewQueue = "uncertain",
        *,
        attribute: str | None = None,
        model: str | None = None,
    ) -> Iterator[ReviewItem]:
        """Yield frames that a person should look at, the greatest doubt first.

        `by` is `"uncertain"`, `"disagreement"`, `"model_vs_human"` or `"novel"`. Pages are fetched
        as they are needed, so frames may be labelled on the way.
        """
        return self._labels.review(by, attribute, model)

    def export_labels(self, since: datetime | None = None) -> Iterator[ExportedLabel]:
        """Yield what every author says now; with `since` what changed, withdrawals (None) too."""
        return self._labels.export(since)

    # Train

    def train(self, **wanted: object) -> Training:
        """Have a model trained on all labels of the service; returns at once.

        `wanted` are the fields of `TrainingRequest` (recipe, passes, start, simulated, ...).

        Raises:
            Forbidden: the key lacks `train:run`, or sees only a part of the frames.
            ApiError: nobody can train, or a field is wrong; the text says what helps.
            TransportError: the gateway was not reached.

        """
        return self._training.start(checked(TrainingRequest, wanted))

    def training(self, run_id: str) -> Training:
        """Return where a training run stands."""
        return self._training.get(run_id)

    def trainings(self) -> list[Training]:
        """Return the newest training runs, newest first."""
        return self._training.newest()

    def cancel_training(self, run_id: str) -> Training:
        """End a training run; one that has ended stays as it is."""
        return self._training.cancel(run_id)

    def training_metrics(self, run_id: str) -> list[Mapping[str, Any]]:
        """Return the points of a run's curve: step, passes, loss, mean_ap."""
        return self._training.metrics(run_id)

    def wait_for_training(
        self,
        run_id: str,
        *,
        wait: float | None = None,
        report: Callable[[Training], None] | None = None,
    ) -> Training:
        """Wait for the end of a run, up to `wait` seconds; `report` hears where it stands.

        Raises:
            TrainingFailed: it ended without a bundle; the text says why.
            StillTraining: it goes on.
            TransportError, ApiError: the gateway was not reached, or said no.

        """
        return self._training.wait(run_id, wait, report)

    # Models: each is named by `name`, `version` or `name@version`

    def model(self, model: str) -> ModelDetail:
        """Return all that is known of a model: card, figures, gate, history; raises `NotFound`."""
        return self._models.show(model)

    def register_model(
        self, bundle: Path, *, run_id: str | None = None, other_vocabulary: bool = False
    ) -> ModelDetail:
        """Send a bundle (its folder, or a zip file of it); nothing else changes.

        Raises:
            ApiError: it is damaged, or has other attributes than production.

        """
        return self._models.register(bundle, run_id, other_vocabulary)

    def promote_model(
        self,
        model: str,
        reason: str,
        *,
        override: bool = False,
        reannotate: OldFrames | None = None,
    ) -> ModelDetail:
        """Make a model production; frames that wait are answered by the one before.

        Raises:
            ApiError: the gate did not pass it: `problem.checks` says where it is worse.

        """
        return self._models.promote(model, reason, override, reannotate)

    def roll_back_model(self, reason: str) -> ModelDetail:
        """Return to the model that was production before; raises `ApiError` if there is none."""
        return self._models.roll_back(reason)

    def set_candidate(self, model: str | None) -> None:
        """Say which model is to be production next; None: none."""
        self._models.set_candidate(model)

    def annotate_old_frames(self, model: str, frames: OldFrames) -> Reannotation:
        """Have a model look at frames of the past, after all new ones; none is looked at twice."""
        return self._models.annotate(model, frames)

    # About the service

    def attributes(self) -> list[AttributeInfo]:
        """Return the vocabulary in use."""
        return read_list(AttributeInfo, self._transport.request("GET", "attributes"))

    def models(self) -> list[ModelInfo]:
        """Return the bundles that the service knows."""
        return self._models.list()

    def health(self) -> Health:
        """Return whether frames are taken and answered, and by which workers."""
        return self._transport.get(Health, "health")

    def _send(self, file: File, params: dict[str, str | None]) -> list[SubmittedFrame]:
        digest = base64.b64encode(sha256(file)).decode()
        try:
            response = self._transport.request(
                "POST",
                "frames",
                params=params,
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Digest": f"sha-256=:{digest}:",
                },
                body=lambda: open_file(file),
            )
        except ApiError as error:
            if error.status not in _REFUSALS or error.problem.type in _OUR_FAULTS:
                raise
            raise FrameRejected(error.reason, error.problem.frame_id) from error
        return read(Submission, response).items

    def _outcomes(
        self,
        file: File,
        frames: str,
        wait: float,
        model: str | None,
        metadata: dict[str, object],
        abandoned: threading.Event,
    ) -> list[Outcome]:
        """Send one file and wait for all its frames; an error of one frame stays with it."""
        items = self.submit(file, frames, model=model, **metadata)
        return [self._outcome(label(file), item, wait, model, abandoned) for item in items]

    def _outcome(
        self,
        name: str,
        item: SubmittedFrame,
        wait: float,
        model: str | None,
        abandoned: threading.Event,
    ) -> Outcome:
        if item.frame_id is None:
            reason = item.error or _unexplained(State.FAILED)
            return Outcome(name, None, State.FAILED, error=FrameRejected(reason))
        try:
            result = self._wait_for(item.frame_id, wait, model, abandoned)
        except FrameRejected as error:
            return Outcome(name, item.frame_id, error.state, error=error)
        except ScatterlensError as error:
            return Outcome(name, item.frame_id, item.state, error=error)
        return Outcome(name, item.frame_id, State.DONE, result)


def _unsent(file: File, error: ScatterlensError) -> Outcome:
    if isinstance(error, FrameRejected):
        return Outcome(label(file), error.frame_id, error.state, error=error)
    return Outcome(label(file), None, None, error=error)


def _as_parameters(metadata: FrameMetadata) -> dict[str, str]:
    """Flatten metadata into query parameters; parts with parts of their own travel as JSON."""
    given = metadata.model_dump(mode="json", exclude_defaults=True)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def _unexplained(state: State) -> Reason:
    return Reason(
        type=state.value,
        title=f"The frame is {state.value}",
        detail="The gateway gave no reason",
        remedy="Ask its operator, naming the frame",
    )
