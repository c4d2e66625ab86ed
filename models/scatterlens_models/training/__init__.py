"""Training: a plain loop, checkpoints, and the export to a bundle."""
