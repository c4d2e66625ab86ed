"""Evaluation: the figures that every model line carries."""
