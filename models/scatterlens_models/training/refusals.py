"""What a training refuses, as it is said to whoever asked for it."""

from scatterlens.schemas import Reason
from scatterlens_models.bundle import BundleError
from scatterlens_models.datasets.errors import (
    BrokenManifestError,
    DatasetError,
    FrameVanishedError,
    LeakageError,
    MixedVocabulariesError,
    NoPositivesError,
)
from scatterlens_models.training.checkpoint import CheckpointError
from scatterlens_models.training.job_file import JobFileError
from scatterlens_models.vocabulary import UnknownVocabularyError

_REFUSALS: dict[type[Exception], tuple[str, str, str]] = {
    NoPositivesError: (
        "no_positives",
        "Nothing shows an attribute",
        "Label frames that show it, add simulated frames, or name the `attributes` to be learned.",
    ),
    FrameVanishedError: (
        "frame_vanished",
        "A labelled frame is gone",
        "Put the file back, or send the frame again, and start another run.",
    ),
    LeakageError: (
        "leakage",
        "Splits share what they must not",
        "Split the dataset anew; `scatterlens datasets split` does it.",
    ),
    MixedVocabulariesError: (
        "other_vocabulary",
        "Labels of two vocabularies",
        "Import the frames again by one vocabulary.",
    ),
    BrokenManifestError: (
        "broken_manifest",
        "The dataset is not what was written",
        "Take the original; a dataset is never edited.",
    ),
    DatasetError: (
        "bad_dataset",
        "The dataset cannot be learned from",
        "Do as the detail says, and start another run.",
    ),
    CheckpointError: (
        "bad_checkpoint",
        "Weights cannot be used",
        "Start from other weights, or from nothing.",
    ),
    BundleError: (
        "bad_bundle",
        "The bundle to start from cannot be used",
        "Install it again, or start from other weights.",
    ),
    UnknownVocabularyError: (
        "unknown_vocabulary",
        "No such vocabulary",
        "Choose one that the detail names.",
    ),
    JobFileError: (
        "bad_job",
        "The job asks for what there is not",
        "Correct it as the detail says, and start another run.",
    ),
}
"""Type, title and remedy of what is told apart; the nearest class counts."""


def refusal_of(error: Exception) -> Reason | None:
    """What a typed error says to whoever asked for the run; None for a fault of ours."""
    for kind in type(error).__mro__:
        if kind in _REFUSALS:
            type_, title, remedy = _REFUSALS[kind]
            return Reason(type=type_, title=title, detail=f"{error}", remedy=remedy)
    return None
