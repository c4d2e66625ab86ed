"""Bytes of a detector file to a `Frame`."""
