"""What networks are trained to make small; one paper's idea per file."""
