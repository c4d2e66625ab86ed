"""Table of Wang et al. with several labels: what keeping attention maps apart brings."""

from scatterlens_models.reproduce.rows import Experiment, Row

ICASC = Experiment(
    name="icasc",
    title="Attention maps kept apart",
    source="Wang et al., ICCV 2019, mean AP of ResNet-18 on VOC 2012",
    paper_data="VOC 2012, photographs of 20 kinds of things",
    paper_figures=("mAP",),
    rows=(
        Row("plain", "ResNet-18", "resnet18", (0.7744,)),
        Row("a_ch", "+ A_ch", "icasc_resnet18", (0.8317,), {"objective": "a_ch"}),
        Row("a_px", "+ A_px", "icasc_resnet18", (0.8322,), {"objective": "a_px"}),
    ),
    other_data="voc2012",
    notes=(
        "On frames, maps are kept apart within the confusion sets of the vocabulary alone:"
        " attributes that go together in nature may share their place.",
    ),
)
