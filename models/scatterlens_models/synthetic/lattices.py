"""Which reflections a phase allows: ratios q_j / q_1 and multiplicities.

Cubic phases are enumerated from their selection rules; the two-dimensional hexagonal phase has
q^2 ~ h^2 + hk + k^2 and the lamellar phase has every order.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache

import numpy as np


def _bcc(h: int, k: int, m: int) -> bool:
    return (h + k + m) % 2 == 0


def _fcc(h: int, k: int, m: int) -> bool:
    return h % 2 == k % 2 == m % 2


def _diamond(h: int, k: int, m: int) -> bool:
    return _fcc(h, k, m) and (h % 2 == 1 or (h + k + m) % 4 == 0)


def _pn3m(h: int, k: int, m: int) -> bool:
    """Pn-3m: 0kl with k + l even, in every order of the indices."""
    return all(sum(pair) % 2 == 0 for zero, *pair in _turns(h, k, m) if zero == 0)


def _gyroid(h: int, k: int, m: int) -> bool:
    """Ia-3d: body centred, 0kl with k, l even, hhl with 2h + l a multiple of 4."""
    if not _bcc(h, k, m):
        return False
    for first, second, third in _turns(h, k, m):
        if first == 0 and (second % 2 or third % 2):
            return False
        if abs(first) == abs(second) and (2 * first + third) % 4:
            return False
    return True


def _turns(h: int, k: int, m: int) -> list[tuple[int, int, int]]:
    return [(h, k, m), (k, m, h), (m, h, k)]


_CUBIC: dict[str, Callable[[int, int, int], bool]] = {
    "sc": lambda h, k, m: True,
    "bcc": _bcc,
    "fcc": _fcc,
    "diamond": _diamond,
    "gyroid": _gyroid,
    "pn3m": _pn3m,
}
BEHENATE_Q = 2 * np.pi / 58.380
"""First order of silver behenate, 1/Å."""
LATTICES = ("lamellar", "hexagonal", *_CUBIC)


@cache
def reflections(lattice: str, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """First `count` ratios q_j / q_1 (ascending, from 1) and their multiplicities, float64."""
    if lattice == "lamellar":
        return np.arange(1.0, count + 1), np.full(count, 2.0)
    reach = range(-9, 10)
    if lattice == "hexagonal":
        squares = Counter(h * h + h * k + k * k for h in reach for k in reach)
    elif lattice in _CUBIC:
        rule = _CUBIC[lattice]
        squares = Counter(
            h * h + k * k + m * m for h in reach for k in reach for m in reach if rule(h, k, m)
        )
    else:
        raise ValueError(f"no lattice {lattice!r}; known are {', '.join(LATTICES)}")
    del squares[0]
    kept = sorted(squares)[:count]
    ratios = np.sqrt(np.array(kept) / kept[0])
    return ratios, np.array([squares[square] for square in kept], dtype=float)
