"""Which things belong together because they share a key, directly or through others."""

from collections.abc import Hashable, Iterable, Sequence


def units(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """Number of the unit of each thing, given its keys; units count from 0 as they appear.

    Two things are in one unit where they share a key, or where a chain of others joins them.
    """
    parent = list(range(len(keys)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[Hashable, int] = {}
    for i, own in enumerate(keys):
        for key in own:
            parent[root(i)] = root(first.setdefault(key, i))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(i), len(numbers)) for i in range(len(keys))]
