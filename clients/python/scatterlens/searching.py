"""What a client finds: frames by what is seen in them, like ones, scans, all of it as a file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack, get_type_hints
from urllib.parse import parse_qs, quote, urlencode

from scatterlens.arguments import check_filters, checked
from scatterlens.errors import BadArgument
from scatterlens.files import path_of
from scatterlens.schemas import (
    FrameCount,
    FramePage,
    FrameSummary,
    SavedSearch,
    SavedSearches,
    ScanPage,
    ScanSummary,
    SearchIn,
    SimilarFrames,
    Timeline,
)
from scatterlens.schemas.filters import Filters, OrderedFilters, PagedFilters
from scatterlens.transport import Transport, read

Conditions = str | Sequence[str]
"""Ids such as `"ring"`, or conditions such as `"ring>0.8"`; all must hold."""


class Searching:
    """Part of `Client`: finding frames.

    `tags` must all hold and of `without` none may; `filters` are the query parameters of
    `GET /frames`, such as `query`, `scan`, `since`, `labelled` and `model`. An unknown one is a
    `BadArgument` that names the nearest; one that cannot be read is an `ApiError` whose text says
    what is wrong.
    """

    _transport: Transport

    def search(
        self, tags: Conditions = (), *, without: Conditions = (), **filters: Unpack[PagedFilters]
    ) -> Iterator[FrameSummary]:
        """Yield frames, newest first; pages are fetched as they are needed.

        `tags` and `without` are ids such as `"ring"`, or conditions such as `"ring>0.8"`; all must
        hold. `filters` are the query parameters of `GET /frames`, such as `scan` and `since`.
        """
        return self._pages(_asked(tags, without, filters, PagedFilters))

    def count(
        self, tags: Conditions = (), *, without: Conditions = (), **filters: Unpack[Filters]
    ) -> FrameCount:
        """Count what `search` finds; `exact` is False where there are at least so many."""
        asked = _asked(tags, without, filters, Filters)
        return self._transport.get(FrameCount, "frames.count", **asked)

    def similar(self, frame_id: str, *, limit: int = 24, model: str | None = None) -> SimilarFrames:
        """Return the frames that a model's network sees most like this one, the likest first.

        Raises:
            ApiError: the model has said nothing about the frame yet.

        """
        path = f"frames/{frame_id}/similar"
        return self._transport.get(SimilarFrames, path, limit=limit, model=model)

    # Searches that the caller keeps

    def saved_searches(self) -> list[SavedSearch]:
        """Return the searches that are kept, by name."""
        return self._transport.get(SavedSearches, "searches").items

    def save_search(
        self,
        name: str,
        tags: Conditions = (),
        *,
        without: Conditions = (),
        **filters: Unpack[PagedFilters],
    ) -> SavedSearch:
        """Keep a search under a name of its own; the browser lists it, too.

        Raises:
            ApiError: the name is taken.

        """
        asked = _asked(tags, without, filters, PagedFilters)
        given = {key: _as_text(said) for key, said in asked.items() if said not in (None, [])}
        query = urlencode(given, doseq=True, quote_via=quote)
        said = checked(SearchIn, {"name": name, "query": query})
        return read(SavedSearch, self._transport.send("POST", "searches", said, once=True))

    def search_saved(self, saved: SavedSearch) -> Iterator[FrameSummary]:
        """Yield what a search that was kept finds now."""
        return self._pages(parse_qs(saved.query))

    def forget_search(self, saved: SavedSearch) -> None:
        """Keep a search no longer; raises `NotFound` where it was forgotten before."""
        self._transport.request("DELETE", f"searches/{saved.id}")

    # Scans

    def scans(
        self, *, proposal: str | None = None, beamline: str | None = None
    ) -> Iterator[ScanSummary]:
        """Yield scans, the one with the newest frame first."""
        cursor = None
        while True:
            page = self._transport.get(
                ScanPage, "scans", proposal=proposal, beamline=beamline, cursor=cursor
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def timeline(
        self,
        scan: str | int,
        attributes: Sequence[str],
        *,
        against: str = "frame_number",
        proposal: str | None = None,
        beamline: str | None = None,
        model: str | None = None,
    ) -> Timeline:
        """Return how probabilities go along a scan, against the frame number or a motor.

        Of more than 2,000 frames each so-manieth is there (`every`), and the last.

        Raises:
            ApiError: several proposals or beamlines have a scan of that name: say which is meant,
                by `""` that of none.

        """
        return self._transport.get(
            Timeline,
            "scans/timeline",
            scan=scan,
            attributes=",".join(map(str, _listed(attributes) or ())),
            against=against,
            proposal=proposal,
            beamline=beamline,
            model=model,
        )

    # All that a search finds as a file, which appears when it is complete

    def export_table(
        self,
        file: str | Path,
        tags: Conditions = (),
        *,
        without: Conditions = (),
        **filters: Unpack[OrderedFilters],
    ) -> None:
        """Write a CSV file: a line for each frame, with tags and all probabilities."""
        self._transport.save(
            "frames.csv", _asked(tags, without, filters, OrderedFilters), path_of(file)
        )

    def export_annotations(
        self,
        file: str | Path,
        tags: Conditions = (),
        *,
        without: Conditions = (),
        **filters: Unpack[OrderedFilters],
    ) -> None:
        """Write JSON lines: an `Annotation` for each frame that is decided."""
        self._transport.save(
            "annotations.ndjson", _asked(tags, without, filters, OrderedFilters), path_of(file)
        )

    def export_dataset(
        self,
        file: str | Path,
        tags: Conditions = (),
        *,
        without: Conditions = (),
        split: Literal["train", "validation", "test"] | None = None,
        **filters: Unpack[OrderedFilters],
    ) -> None:
        """Write a dataset with the labels of people, which `scatterlens train` takes as it is.

        Frames are divided by experiment, or all go to `split`.

        Raises:
            ApiError: too many frames, or none; the text says what helps.

        """
        asked = {**_asked(tags, without, filters, OrderedFilters), "split": split}
        self._transport.save("dataset.jsonl", asked, path_of(file))

    def _pages(self, asked: Mapping[str, Any]) -> Iterator[FrameSummary]:
        cursor = None
        while True:
            page = self._transport.get(FramePage, "frames", **asked, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return


def _asked(
    tags: Conditions, without: Conditions, filters: Mapping[str, object], known: type
) -> dict[str, Any]:
    # Told before it is sent: a filter that nobody applied would find too much.
    check_filters(filters, (*get_type_hints(known), "tags", "without"))
    return {"tag": _listed(tags), "not": _listed(without), **filters}


def _as_text(said: object) -> object:
    """A value as an address has it: `true`, not `True`."""
    return str(said).lower() if isinstance(said, bool) else said


def _listed(conditions: Conditions) -> list[str] | None:
    if isinstance(conditions, str):
        return [conditions]
    try:
        listed = list(conditions)
    except TypeError as error:
        raise BadArgument(f"Conditions are texts, not {conditions!r}") from error
    return listed or None
