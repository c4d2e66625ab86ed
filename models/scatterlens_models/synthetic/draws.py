"""Random streams and the few distributions that every draw is made of."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice", str, int)


def generator(seed: int, index: int) -> np.random.Generator:
    """The counter-based stream that belongs to (seed, index)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))


def pick(rng: np.random.Generator, weights: Mapping[Choice, float]) -> Choice:
    """One of the keys, as often as its weight says."""
    values = np.array(list(weights.values()), dtype=float)
    return list(weights)[int(rng.choice(len(values), p=values / values.sum()))]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Uniform in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
