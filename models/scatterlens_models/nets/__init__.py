"""Networks: one paper per file, shared layers in `layers`, one registry here."""

from collections.abc import Callable

from scatterlens_models.nets.aam import build_aam
from scatterlens_models.nets.layers import Net
from scatterlens_models.nets.vgg import build_vgg
from scatterlens_models.vocabulary import Vocabulary

METHODS: dict[str, Callable[[Vocabulary, float, int, int], Net]] = {
    "aam": build_aam,
    "vgg": build_vgg,
}


def build(
    method: str,
    vocabulary: Vocabulary,
    width: float = 1.0,
    in_channels: int = 2,
    poolings: int = 4,
) -> Net:
    """Build a network by the name of its method.

    Every network has `forward(x) -> TrainingOutput`, `explain(x) -> Explanation` and
    `attention_names`; x is a prepared batch (B, in_channels, S, S).

    Raises:
        ValueError: an unknown method; the message lists those that exist.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[method](vocabulary, width, in_channels, poolings)
