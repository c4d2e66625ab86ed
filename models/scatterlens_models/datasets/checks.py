"""What no dataset may have: leakage between splits, duplicates, foreign or missing labels."""

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from scatterlens_models.datasets.errors import (
    DatasetError,
    ForeignLabelError,
    FrameVanishedError,
    LeakageError,
    NoPositivesError,
)
from scatterlens_models.datasets.members import FrameMember, Member, RecipeMember, Split, locate
from scatterlens_models.synthetic.sampling import GROUP_SIZE
from scatterlens_models.vocabulary import Vocabulary

Apart = Literal["source", "experiment"]
"""What two splits never share, besides frames and experiments. `source` is the stricter."""


def refuse_faults(members: Sequence[Member], vocabulary: Vocabulary, apart: Apart) -> None:
    """Check everything that can be told without opening a frame.

    Raises:
        ForeignLabelError: labels that do not fit the vocabulary.
        LeakageError: two splits share what they must not.
        DatasetError: nothing in it, or the same frame twice.
    """
    if not members:
        raise DatasetError("a dataset of no frames is of no use: add members")
    frames = [member for member in members if isinstance(member, FrameMember)]
    recipes = [member for member in members if isinstance(member, RecipeMember)]
    _refuse_foreign_labels(frames, vocabulary)
    for member in members:
        if not (member.weight > 0 and np.isfinite(member.weight)):
            raise DatasetError(f"weight {member.weight}: give a number above 0, or leave it out")
    # Leakage first: a frame that two splits share is told as what it is.
    _refuse_shared_keys(frames, apart)
    _refuse_shared_simulation(recipes)
    seen: set[str] = set()
    for frame in frames:
        if frame.frame_id in seen:
            raise DatasetError(f"{frame.frame_id} is in the dataset twice: keep one of the two")
        seen.add(frame.frame_id)


def _refuse_foreign_labels(frames: Iterable[FrameMember], vocabulary: Vocabulary) -> None:
    for frame in frames:
        if len(frame.labels) != len(vocabulary.ids):
            raise ForeignLabelError(
                f"{frame.frame_id} has {len(frame.labels)} labels, {vocabulary.name} has"
                f" {len(vocabulary.ids)} attributes: import it again with its own vocabulary"
            )
        if not set(frame.labels) <= {1, 0, -1}:
            raise ForeignLabelError(
                f"{frame.frame_id} has labels other than 1, 0 and -1: import it again"
            )


def keys_of(frame: FrameMember, apart: Apart) -> Iterator[tuple[str, Hashable]]:
    """What a frame may not share with a frame of another split, the narrowest first."""
    yield "frame file", frame.sha256
    yield "experiment", frame.experiment
    if apart == "source":
        yield "source", frame.source


def _refuse_shared_keys(frames: Iterable[FrameMember], apart: Apart) -> None:
    found: dict[tuple[str, Hashable], FrameMember] = {}
    for frame in frames:
        if frame.split is None:
            continue
        for kind, value in keys_of(frame, apart):
            other = found.setdefault((kind, value), frame)
            if other.split != frame.split:
                raise LeakageError(
                    f"{other.split} and {frame.split} share the {kind} {value!r}"
                    f" ({other.frame_id} and {frame.frame_id}): split the dataset anew"
                    + (
                        ", or keep apart experiments alone where those of a source are independent"
                        if kind == "source"
                        else ""
                    )
                )


def _refuse_shared_simulation(recipes: Sequence[RecipeMember]) -> None:
    for one, other in combinations(recipes, 2):
        if (one.profile, one.seed) != (other.profile, other.seed):
            continue
        what = f"{one.profile} frames of seed {one.seed} from {one.start} and from {other.start}"
        if one.split != other.split and _overlap(one, other, GROUP_SIZE):
            raise LeakageError(
                f"{what} are in {one.split} and {other.split} and share an experiment: leave"
                f" {GROUP_SIZE} indices between them, or take another seed"
            )
        if _overlap(one, other, 1):
            raise DatasetError(f"{what} overlap: let each begin where the other ends")


def _overlap(one: RecipeMember, other: RecipeMember, size: int) -> bool:
    (a, b), (c, d) = (
        (recipe.start // size, (recipe.start + recipe.count - 1) // size) for recipe in (one, other)
    )
    return a <= d and c <= b


def verified_path(member: FrameMember, blobs: Path | None, digests: dict[Path, str]) -> Path:
    """Path of a member's file, after hashing it: damage may decode without an error.

    Args:
        member: whose file.
        blobs: folder of the blobs of a service, where the member is one.
        digests: of the files seen so far, so that a stack is hashed once for all its frames.

    Raises:
        FrameVanishedError: it is gone, or its content is another.
    """
    path = locate(member, blobs)
    if path not in digests:
        with path.open("rb") as stream:
            digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()
    if digests[path] != member.sha256:
        raise FrameVanishedError(
            f"{path} is no longer the file that was labelled, {member.sha256} (it hashes to"
            f" {digests[path]}): put that file back, or import the labels again"
        )
    return path


def refuse_missing_positives(
    labels_NA: np.ndarray,
    vocabulary: Vocabulary,
    split: Split,
    attributes: Sequence[str] | None = None,
) -> None:
    """Refuse a split that shows some attribute nowhere.

    Args:
        labels_NA: labels of all its frames.
        vocabulary: their order.
        split: for the message.
        attributes: ids that must be shown; all where None.

    Raises:
        NoPositivesError: names every attribute without a positive.
    """
    wanted = vocabulary.ids if attributes is None else attributes
    lacking = [a for a in wanted if not (labels_NA[:, vocabulary.index(a)] == 1).any()]
    if lacking:
        raise NoPositivesError(
            f"no frame of {split} shows {', '.join(lacking)}: add frames that do, or leave"
            f" {'it' if len(lacking) == 1 else 'them'} out of what is asked of this split"
        )
