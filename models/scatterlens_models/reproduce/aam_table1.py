"""Table 1 of Guan et al.: what each part of the attentional aggregation module adds."""

from scatterlens_models.reproduce.rows import Experiment, Row

AAM_TABLE1 = Experiment(
    name="aam-table1",
    title="What each part of the attentional aggregation module adds",
    source="Guan, Yu, Yager, Qin, WACV 2020, Table 1",
    paper_data="45,000 frames of its own generator",
    paper_figures=("mAP",),
    rows=(
        Row("a", "(a) VGG-16", "vgg16", (0.6760,)),
        Row("b", "(b) + aggregation", "aam_aggregation", (0.7224,)),
        Row("c", "(c) + normalised CBAM", "aam_cbam", (0.7398,)),
        Row("d", "(d) + residual attention", "aam_residual", (0.7248,)),
        Row("e", "(e) + squeeze and excitation", "aam_se", (0.7304,)),
        Row("f", "(f) + AAM, plain gradients", "aam", (0.7407,), {"specialised": "none"}),
        Row("g", "(g) + AAM", "aam", (0.7433,)),
    ),
)
