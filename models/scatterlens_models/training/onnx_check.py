"""How far a graph may be from the network that it was exported from."""

TOLERANCE = 1e-4
"""Largest |onnxruntime - torch| allowed, relative to the size of an output."""


class ExportError(RuntimeError):
    """The exported graph does not compute what the network computes."""
