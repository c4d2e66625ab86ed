"""Why a dataset is refused; every message ends in what to do about it."""


class DatasetError(ValueError):
    """A dataset that cannot be made or used as asked."""


class BrokenManifestError(DatasetError):
    """A manifest that was edited, cut short or written by another version."""


class LeakageError(DatasetError):
    """Splits that share a frame, an experiment or a source: their figures would be too good."""


class ForeignLabelError(DatasetError):
    """A label that the vocabulary does not have, or a value that is no label."""


class MixedVocabulariesError(DatasetError):
    """Labels of two vocabularies in one dataset."""


class NoPositivesError(DatasetError):
    """A split in which nothing shows an attribute: it can neither be learned nor measured."""


class RowError(DatasetError):
    """An entry of a file of labels that cannot become a member; the message names the entry."""


class FrameVanishedError(DatasetError, FileNotFoundError):
    """A frame whose file is gone or is no longer the file that was labelled."""
