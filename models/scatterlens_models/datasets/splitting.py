"""Who learns and who judges: splits by experiment or by source, never by frame."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scatterlens_models.datasets.checks import Apart, keys_of
from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.members import SPLITS, FrameMember, Member, Split
from scatterlens_models.datasets.units import units


def split_members(
    members: Sequence[Member],
    apart: Apart,
    shares: Mapping[Split, float],
    seed: int,
    within: Split | None = None,
) -> list[Member]:
    """Divide frames, in units that share nothing; everything else stays where it is.

    A unit is what hangs together by a file, an experiment or, where sources are kept apart, a
    source. A unit of which a part stands in another split already goes there as a whole.

    Args:
        members: all of the dataset.
        apart: what the splits may not share.
        shares: of the frames, by split; their sum is 1. Units are whole, so they are aims.
        seed: decides which unit goes where.
        within: divide the frames of this split anew; those without a split where None.

    Raises:
        DatasetError: the shares do not add up, or there are too few units to divide.
    """
    aims: dict[Split, float] = {split: shares[split] for split in SPLITS if shares.get(split)}
    if any(share < 0 for share in shares.values()) or abs(sum(aims.values()) - 1) > 1e-6:
        raise DatasetError(f"shares {dict(shares)} are to be positive and to add up to 1")
    frames = [member for member in members if isinstance(member, FrameMember)]
    number = units([set(keys_of(frame, apart)) for frame in frames])
    settled = {
        unit: frame.split
        for frame, unit in zip(frames, number, strict=True)
        if frame.split not in (None, within)
    }
    sizes = Counter(u for u in number if u not in settled)
    if len(sizes) < len(aims):
        what = f"the split {within}" if within else "what has no split yet"
        raise DatasetError(
            f"{what} falls into {len(sizes)} parts that share no {apart}, too few for"
            f" {' and '.join(aims)}: add frames of other experiments"
            + (", or keep apart experiments alone" if apart == "source" else "")
        )
    chosen = {**settled, **_assign(sizes, aims, seed)}
    unit_of = {frame.frame_id: u for frame, u in zip(frames, number, strict=True)}
    return [
        replace(member, split=chosen[unit_of[member.frame_id]])
        if isinstance(member, FrameMember) and member.split == within
        else member
        for member in members
    ]


def _assign(sizes: Mapping[int, int], aims: Mapping[Split, float], seed: int) -> dict[int, Split]:
    """Give each unit, in drawn order, to the split that lacks the largest part of its aim."""
    total = sum(sizes.values())
    filled: dict[Split, int] = dict.fromkeys(aims, 0)
    order = np.random.default_rng(seed).permutation(sorted(sizes)).tolist()
    chosen: dict[int, Split] = {}
    for place, unit in enumerate(order):
        empty: list[Split] = [split for split in aims if not filled[split]]
        # The last units are for splits that would stay empty otherwise.
        open_to: list[Split] = empty if len(order) - place <= len(empty) else list(aims)
        split = max(open_to, key=lambda s: 1 - filled[s] / (aims[s] * total))
        chosen[unit] = split
        filled[split] += sizes[unit]
    return chosen
