"""The papers' experiments, run anew: one file for each with its rows, the rest shared."""
