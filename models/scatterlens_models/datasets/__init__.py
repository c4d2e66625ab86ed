"""Datasets: labelled frames by manifest, split without leakage, imported, exported and loaded."""
