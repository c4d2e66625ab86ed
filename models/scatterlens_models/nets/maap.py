"""Multi-attention guided activation propagation: the low level, which stays at test time.

He & Peng, "Multi-attention Guided Activation Propagation in CNNs" (2018), section 3.1. After the
first convolution's ReLU the mean over channels, through a logistic, weighs every place: no
parameters, so a plain network's weights fit. The high level makes training frames and lies in
`training.propagation`.

After a ReLU the mean is >= 0, so the gain 1 + A lies in [1.5, 2): nothing is ever switched off,
and a picture of A needs its own contrast.
"""

import torch

from scatterlens_models.nets.backbones import PlainNet
from scatterlens_models.nets.layers import (
    Explanation,
    check_side,
    class_activation,
    on_grid,
    pooled_head,
)


def activation_attention(f_BCHW: torch.Tensor) -> torch.Tensor:
    """A = logistic(mean over channels), (B, 1, H, W)."""
    return torch.sigmoid(f_BCHW.mean(dim=1, keepdim=True))


def propagate(f_BCHW: torch.Tensor, detach_attention: bool = False) -> torch.Tensor:
    """(1 + A) F; gradients flow through A unless told otherwise (the paper does not say)."""
    attention = activation_attention(f_BCHW)
    return f_BCHW * (1 + (attention.detach() if detach_attention else attention))


class MAAPNet(PlainNet):
    """A plain network that propagates the activation of its first convolution."""

    attention_names = ("first_convolution",)

    def inner(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features at the end of the last block but one, (B, C, H, W)."""
        check_side(x_BCHW, self.backbone.halvings)
        return self.backbone.inner(propagate(self.backbone.first(self.stem(x_BCHW))))

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell and A on the last grid."""
        check_side(x_BCHW, self.backbone.halvings)
        first = self.backbone.first(self.stem(x_BCHW))
        h_BCHW = self.last(self.backbone.inner(propagate(first)))
        logits, features = pooled_head(h_BCHW, self.head)
        return Explanation(
            logits,
            class_activation(h_BCHW, self.head),
            on_grid(activation_attention(first), h_BCHW.shape[-1]),
            features,
        )
