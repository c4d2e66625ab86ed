"""Examples and recipes so small that a training takes seconds."""

import torch

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.training.recipe import Recipe


def tiny_examples() -> Examples:
    """48 small frames; a bright top half means attribute 0, the rest is chance."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((48, 2, 64, 64), generator=generator)
    labels = torch.randint(-1, 2, (48, 20), generator=generator).to(torch.int8)
    labels[:, 0] = torch.arange(48) % 2
    x[labels[:, 0] == 1, 0, :32] += 0.6
    evidence = torch.zeros((48, 20, 16, 16), dtype=torch.uint8)
    evidence[labels[:, 0] == 1, 0, :8] = 255
    return Examples(x.half(), labels, evidence=evidence)


def tiny_recipe(method: str = "aam", passes: int = 96) -> Recipe:
    """A network of a sixteenth of the width, batches of 8."""
    specialised = "sampled" if method == "aam" else "none"
    return Recipe(
        method,
        width=0.0625,
        input_size=64,
        poolings=2,
        specialised=specialised,
        passes=passes,
        batch=8,
    )
