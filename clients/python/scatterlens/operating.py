"""What a client does for those who run the service: queues, jobs in trouble, keys."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from scatterlens.arguments import checked
from scatterlens.errors import BadArgument
from scatterlens.schemas import (
    JobInfo,
    JobPage,
    KeyIn,
    KeyInfo,
    KeyList,
    NewKey,
    Operations,
    Retried,
    RetryIn,
    Role,
    Tombstone,
    TombstonePage,
)
from scatterlens.transport import Transport, read

_RETRIED_AT_ONCE = 1000


class Operating:
    """Part of `Client`: running the service.

    Each method needs a key with the scope `admin` that is bound to no proposal and no beamline,
    and raises `Forbidden` for others.
    """

    _transport: Transport

    def operations(self) -> Operations:
        """Return what waits and what ended in each queue, who works, how full the disk is."""
        return self._transport.get(Operations, "operations")

    def troubled_jobs(
        self, state: Literal["failed", "quarantined"] = "failed"
    ) -> Iterator[JobInfo]:
        """Yield jobs on frames that failed or were quarantined, with reasons, newest first."""
        cursor = None
        while True:
            page = self._transport.get(JobPage, "jobs", state=state, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def retry_jobs(self, jobs: Iterable[int | JobInfo]) -> list[int]:
        """Queue failed and quarantined jobs anew; returns the ids of those that wait again."""
        try:
            ids = iter([job.id if isinstance(job, JobInfo) else job for job in jobs])
        except TypeError as error:
            raise BadArgument(f"Jobs are told as a list, not as {jobs!r}") from error
        retried: list[int] = []
        while portion := list(islice(ids, _RETRIED_AT_ONCE)):
            answer = self._transport.send("POST", "jobs/retry", checked(RetryIn, {"ids": portion}))
            retried += read(Retried, answer).ids
        return retried

    def delete_frame(self, frame_id: str, reason: str, *, delete_labels: bool = False) -> Tombstone:
        """Delete a frame and all that is said about it for ever; who and why is kept.

        Raises:
            ApiError: people labelled it (`problem.type` is `labelled`), and `delete_labels` does
                not say that their labels may go with it.
            NotFound: there is no such frame, or not any more.

        """
        params = {"reason": reason, "delete_labels": str(delete_labels).lower()}
        answer = self._transport.request("DELETE", f"frames/{frame_id}", params=params)
        return read(Tombstone, answer)

    def deletions(self) -> Iterator[Tombstone]:
        """Yield frames that were deleted, newest first."""
        cursor = None
        while True:
            page = self._transport.get(TombstonePage, "deletions", cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def keys(self) -> list[KeyInfo]:
        """Return all keys without their secrets, oldest first, revoked ones too."""
        return self._transport.get(KeyList, "keys").items

    def create_key(self, name: str, role: Role, **options: object) -> NewKey:
        """Make a key; its `key` can be read from this answer alone.

        `options` are the other fields of `KeyIn`: scopes, expires_days (90; None = never),
        proposal, beamline, continues (id of an earlier key of the same person).
        """
        wanted = checked(KeyIn, {"name": name, "role": role, **options})
        return read(NewKey, self._transport.send("POST", "keys", wanted, once=True))

    def revoke_key(self, key: str | KeyInfo) -> KeyInfo:
        """End a key, by its id, and its sessions now; one that was revoked before stays so."""
        key_id = key if isinstance(key, str) else key.id
        return read(KeyInfo, self._transport.request("POST", f"keys/{key_id}/revoke"))
