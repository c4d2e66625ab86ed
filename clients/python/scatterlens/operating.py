"""What a client does for those who run the service: queues, jobs in trouble, keys."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from scatterlens.arguments import checked
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
        ids = iter([job if isinstance(job, int) else job.id for job in jobs])
        retried: list[int] = []
        while portion := list(islice(ids, _RETRIED_AT_ONCE)):
            answer = self._transport.send("POST", "jobs/retry", checked(RetryIn, {"ids": portion}))
            retried += read(Retried, answer).ids
        return retried

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
