"""Labels that people give to frames: sending them, reading them, and what to look at next."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from scatterlens.arguments import checked
from scatterlens.errors import BadArgument
from scatterlens.result import Result
from scatterlens.schemas import (
    ExportedLabel,
    FrameLabels,
    FramePlace,
    LabelIn,
    LabelsIn,
    LabelValue,
    ReviewItem,
    ReviewPage,
    ReviewQueue,
    Shown,
)
from scatterlens.transport import Transport, address_of, read, read_line

Labels = Mapping[str, LabelValue | LabelIn | None]
"""By attribute id; None withdraws. A `LabelIn` carries a region or a note of its own."""


class GatewayLabels:
    """Labels that a gateway keeps."""

    def __init__(self, transport: Transport):
        self._transport = transport

    def put(
        self,
        frame_id: str,
        labels: Labels,
        note: str | None,
        shown: Result | None,
        within: FramePlace | None,
    ) -> FrameLabels:
        """As `Client.label`."""
        if not isinstance(labels, Mapping):
            raise BadArgument("Labels are told by attribute, like {'ring': 'present'}")
        said = {
            attribute: one if isinstance(one, LabelIn) else {"value": one, "note": note}
            for attribute, one in labels.items()
        }
        body = checked(
            LabelsIn, {"labels": said, "shown": None if shown is None else _shown(shown)}
        )
        path = f"frames/{frame_id}/labels"
        return read(FrameLabels, self._transport.send("PUT", path, body, params=address_of(within)))

    def get(self, frame_id: str, history: bool, within: FramePlace | None) -> FrameLabels:
        """As `Client.labels`."""
        path = f"frames/{frame_id}/labels"
        return self._transport.get(FrameLabels, path, history=history or None, **address_of(within))

    def review(
        self, by: ReviewQueue, attribute: str | None, model: str | None
    ) -> Iterator[ReviewItem]:
        """As `Client.review`."""
        cursor = None
        while True:
            page = self._transport.get(
                ReviewPage, "review", by=by, attribute=attribute, model=model, cursor=cursor
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def export(self, since: datetime | None) -> Iterator[ExportedLabel]:
        """As `Client.export_labels`."""
        params = {"since": since.isoformat() if isinstance(since, datetime) else since}
        with self._transport.lines("labels.ndjson", params) as lines:
            for line in lines:
                yield read_line(ExportedLabel, line, "labels.ndjson")


def _shown(result: Result) -> Shown:
    model = f"{result.model.name}@{result.model.version}"
    return Shown(model=model, probabilities=result.probabilities)
