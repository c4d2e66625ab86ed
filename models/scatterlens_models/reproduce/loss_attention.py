"""Table V of Shi et al.: how patches decide, and whether those that count are the right ones.

The paper's figures are those on COCO with VGG-11, since COCO has several labels for an image
as our frames have.
"""

from scatterlens_models.reproduce.rows import Experiment, Row

LOSS_ATTENTION = Experiment(
    name="loss-attention",
    title="How patches decide",
    source="Shi et al., IEEE TIP 2021, Table V, VGG-11",
    paper_data="COCO, images of 64 pixels, true patches by boxes of objects",
    paper_figures=("mAP", "precision", "recall", "F"),
    rows=(
        Row("plain", "no patches: VGG-11", "vgg11", (0.4058, None, None, None)),
        Row("mean", "mean of patches", "mean_vgg11", (0.5016, 0.2363, 0.6939, 0.3525)),
        Row("attention", "attention", "attention_vgg11", (0.3670, 0.2075, 0.4888, 0.2913)),
        Row("gated", "gated attention", "gated_vgg11", (0.3606, 0.2073, 0.4883, 0.2910)),
        Row("loss", "Loss-Attention", "loss_attention_vgg11", (0.5786, 0.2488, 0.7173, 0.3695)),
        Row("routing", "capsules: routing", "routing_vgg11", (0.4465, 0.2293, 0.9991, 0.3730)),
        Row(
            "capsules",
            "capsules: Loss-Attention",
            "loss_attention_capsule_vgg11",
            (0.5560, 0.2372, 0.8011, 0.3660),
        ),
    ),
    other_data="coco2014",
    notes=(
        "A patch is true where more than half of it lies on what its frame shows: evidence, or on"
        " photographs boxes. Evidence is thin where a box is full, so their figures do not compare."
        " Our routing weighs capsules, not patches, and has no such figures.",
    ),
)
