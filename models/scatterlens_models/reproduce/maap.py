"""Tables 1 and 3 of He & Peng: what the low level adds, and the six operations of the high level.

The paper tries the operations without the low level; ours have both, as its Algorithm 1. Its
figure of the whole method is that with A-RoI.
"""

from scatterlens_models.reproduce.rows import Experiment, Row
from scatterlens_models.training.propagation import OPERATIONS

_ALONE = {
    "roi": 0.622,
    "uncorrelated": 0.582,
    "enhance": 0.526,
    "reduce": 0.595,
    "allsoft": 0.553,
    "allsoft_plus_one": 0.553,
}
"""Accuracy of the paper's AlexNet by operation, the high level alone."""

MAAP = Experiment(
    name="maap",
    title="Attention of the first and of the last convolution",
    source="He & Peng 2018, Tables 1 and 3, AlexNet",
    paper_data="accuracy on CUB-200-2011, birds of 200 kinds, from weights trained on ImageNet",
    paper_figures=("with the low level", "high level alone"),
    rows=(
        Row("plain", "VGG-11", "vgg11", (0.590, 0.590)),
        Row("more", "VGG-11, gone on", "vgg11", (), start="plain"),
        Row("low", "low level alone", "maap_vgg11", (0.597, None), passes=0.5, start="plain"),
        *(
            Row(
                operation,
                f"both levels, {operation.replace('_', ' ')}",
                "maap_vgg11",
                (0.630 if operation == "roi" else None, _ALONE[operation]),
                passes=0.5,
                start="plain",
                operation=operation,
            )
            for operation in OPERATIONS
        ),
    ),
    notes=(
        "All rows but the first start from its weights. Both levels have half a budget each on top"
        " of it; `more` is what a whole one brings to the plain network.",
    ),
)
