"""Attentional aggregation: the module, the networks that carry it, the rows of its ablation.

Guan, Yu, Yager, Qin: "Multi-Label Visual Feature Learning with Attentional Aggregation",
WACV 2020. Equation and table numbers are the paper's.

Legend: B frames, C channels, H W grid, P branches, K visual words, A attributes.
"""

from scatterlens_models.nets.aam.attention import Aggregation, Attended, Attention
from scatterlens_models.nets.aam.fashion import FashionNet
from scatterlens_models.nets.aam.vgg import AAMVGG, ABLATIONS

__all__ = ["AAMVGG", "ABLATIONS", "Aggregation", "Attended", "Attention", "FashionNet"]
