"""What goes wrong when a network becomes a graph."""


class ExportError(RuntimeError):
    """The exported graph does not compute what the network computes."""
