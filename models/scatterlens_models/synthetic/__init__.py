"""Seeded physical simulator: parameters to frame, labels and evidence."""
