"""Networks: one paper per file; shared layers in `layers`."""
