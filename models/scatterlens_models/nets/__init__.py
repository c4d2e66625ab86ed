"""Networks: one paper per file or folder, what they share in `layers` and `backbones`."""

from collections.abc import Callable
from functools import partial

from scatterlens_models.nets.aam import AAMVGG, ABLATIONS, FashionNet
from scatterlens_models.nets.aam.fashion import STAGES
from scatterlens_models.nets.backbones import BACKBONES, PlainNet
from scatterlens_models.nets.layers import Net
from scatterlens_models.nets.loss_attention import PATCH_BACKBONES, build_patch_net
from scatterlens_models.nets.maap import MAAPNet
from scatterlens_models.vocabulary import Vocabulary

Builder = Callable[[Vocabulary, float, int, int], Net]
"""(vocabulary, width, in_channels, poolings) to a network."""


def _plain(
    backbone: str, vocabulary: Vocabulary, width: float, channels: int, poolings: int
) -> Net:
    return PlainNet(backbone, len(vocabulary.ids), width, channels, poolings)


def _maap(backbone: str, vocabulary: Vocabulary, width: float, channels: int, poolings: int) -> Net:
    return MAAPNet(backbone, len(vocabulary.ids), width, channels, poolings)


def _aam(
    ablation: str | None, vocabulary: Vocabulary, width: float, channels: int, poolings: int
) -> Net:
    slim = width < 0.5
    return AAMVGG(
        len(vocabulary.ids),
        tuple(vocabulary.groups.values()),
        tuple(vocabulary.groups),
        width,
        channels,
        poolings,
        reduction=4 if slim else 16,
        words=32 if slim else 64,
        first_side=1 if slim else 0,
        ablation=ablation,
    )


def _patches(
    pooling: str,
    capsules: bool,
    backbone: str,
    vocabulary: Vocabulary,
    width: float,
    channels: int,
    poolings: int,
) -> Net:
    attributes = len(vocabulary.ids)
    return build_patch_net(pooling, backbone, attributes, width, channels, poolings, capsules)


def _fashion(
    layers: int, attention: bool, vocabulary: Vocabulary, width: float, channels: int, poolings: int
) -> Net:
    # The paper's two poolings, whatever other networks take.
    return FashionNet(layers, len(vocabulary.ids), attention, width, channels)  # pyright: ignore[reportArgumentType]


_PATCH_METHODS = {
    "loss_attention": ("loss", False),
    "mean": ("mean", False),
    "attention": ("attention", False),
    "gated": ("gated", False),
    "loss_attention_capsule": ("loss", True),
    "routing": ("routing", True),
}
"""How patches decide, and whether they are capsules."""

METHODS: dict[str, Builder] = {
    "aam": partial(_aam, None),
    **{f"aam_{name}": partial(_aam, name) for name in ABLATIONS},
    **{name: partial(_plain, name) for name in BACKBONES},
    **{f"maap_{name}": partial(_maap, name) for name in BACKBONES},
    # Discriminative attention is a loss: the network is the plain one.
    **{f"icasc_{name}": partial(_plain, name) for name in BACKBONES},
    **{
        f"{name}_{backbone}": partial(_patches, pooling, capsules, backbone)
        for name, (pooling, capsules) in _PATCH_METHODS.items()
        for backbone in PATCH_BACKBONES
    },
    **{f"fashion{layers}": partial(_fashion, layers, False) for layers in STAGES},
    **{f"fashion{layers}_aam": partial(_fashion, layers, True) for layers in STAGES},
}
"""Every network by its name."""


def build(
    method: str,
    vocabulary: Vocabulary,
    width: float = 1.0,
    in_channels: int = 2,
    poolings: int = 4,
) -> Net:
    """Build a network by the name of its method.

    Args:
        method: a name in `METHODS`.
        vocabulary: what it shall see.
        width: factor on the channels of the published network.
        in_channels: channels of the prepared frame.
        poolings: how often the grid is halved, where the method leaves the choice.

    Raises:
        ValueError: an unknown method (the message lists those that exist), or a width or number
            of poolings that the method cannot have.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[method](vocabulary, width, in_channels, poolings)
