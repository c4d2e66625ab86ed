"""Table 2 of Guan et al.: what features learned from simulated frames are worth on others.

The network stays as it learned; support vector machines on its pooled features are fitted anew for
each attribute. The paper's DVFB-CNN is another paper's network, which it does not define.
"""

from scatterlens_models.reproduce.rows import Experiment, Row

AAM_TABLE2 = Experiment(
    name="aam-table2",
    title="Features of simulated frames under new heads",
    source="Guan, Yu, Yager, Qin, WACV 2020, Table 2",
    paper_data="2,429 and 2,718 real frames of several beamlines, which are not public",
    paper_figures=("single", "mixed"),
    rows=(
        Row("vgg16", "VGG-16", "vgg16", (0.8312, 0.7997)),
        Row("resnet50", "ResNet-50", "resnet50", (0.8231, 0.7084)),
        Row("se", "squeeze and excitation", "aam_se", (0.8723, 0.8071)),
        Row("residual", "residual attention", "aam_residual", (0.8837, 0.8183)),
        Row("aam", "AAM", "aam", (0.8739, 0.8225)),
    ),
    other_data="real",
    heads=True,
    notes=(
        "An attribute with fewer than five labels of a kind has a logistic head, one with fewer"
        " than two the network's own.",
    ),
)
