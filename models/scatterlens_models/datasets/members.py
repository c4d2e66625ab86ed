"""What a dataset consists of: real frames with labels, and recipes of simulated frames."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from scatterlens_models.datasets.errors import FrameVanishedError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class FrameMember:
    """One frame of a detector with the labels that people agree on."""

    frame_id: str
    """sha256 of the file, with `.index` inside a stack."""
    path: Path | None
    """The file; None where it is a blob, found by its sha256."""
    labels: tuple[int, ...]
    """1 present, 0 absent, -1 unknown, in the order of the vocabulary."""
    source: str
    """Where it was measured: a beamline, a laboratory, a published collection."""
    experiment: str
    """What its near-duplicates share: a proposal and scan, a sample series. Equal names are one
    experiment, whatever their sources."""
    author: str
    """Who judged it; several names are joined by ` + `."""
    split: Split | None = None
    """None until the dataset is split."""
    weight: float = 1.0
    """How often it is drawn in training, beside a frame of weight 1."""

    @property
    def sha256(self) -> str:
        """Digest of the file."""
        return self.frame_id.partition(".")[0]

    @property
    def index(self) -> int | None:
        """Place inside a stack; None for a file of one image."""
        index = self.frame_id.partition(".")[2]
        return int(index) if index else None


@dataclass(frozen=True)
class RecipeMember:
    """A range of simulated frames, made when they are needed; their labels follow from them."""

    profile: str
    """Of the simulator: `realistic` or `paper`."""
    seed: int
    start: int
    """First frame index of the seed."""
    count: int
    split: Split
    weight: float = 1.0
    """How often each of its frames is drawn in training, beside a frame of weight 1."""


Member = FrameMember | RecipeMember

_AnyMember = TypeVar("_AnyMember", FrameMember, RecipeMember)


def of_split(members: Iterable[_AnyMember], split: Split | None) -> list[_AnyMember]:
    """Members of one split; None stands for those that have none yet."""
    return [member for member in members if member.split == split]


def experiment_of(proposal: str | None, scan: str | None) -> str:
    """Experiment of a frame that a service took: one scan of a proposal."""
    return f"{proposal or 'no proposal'}/{scan or 'no scan'}"


def blob_path(blobs: Path, sha256: str) -> Path:
    """Where a folder of blobs keeps the file of a digest."""
    return blobs / sha256[:2] / sha256


def locate(member: FrameMember, blobs: Path | None) -> Path:
    """Path of a member's file.

    Raises:
        FrameVanishedError: it is not there, or is a blob and no folder of blobs was given.
    """
    if member.path is None and blobs is None:
        raise FrameVanishedError(
            f"{member.frame_id} is kept as a blob: name the folder of blobs of its service"
        )
    path = member.path or blob_path(blobs or Path(), member.sha256)
    if not path.is_file():
        raise FrameVanishedError(
            f"{path} is gone, and with it the labelled frame {member.frame_id}: put the file back,"
            " or import the labels that still have their frames"
        )
    return path
