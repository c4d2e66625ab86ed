"""Table 3 of Guan et al.: three small networks with and without the module.

Where the paper trains ten exclusive classes by cross-entropy, the one training loop of this project
trains ten attributes, of which every image has one.
"""

from scatterlens_models.reproduce.rows import Experiment, Row

_PAPER = {2: (0.9050, 0.9202), 3: (0.9166, 0.9269), 5: (0.9294, 0.9393)}

AAM_FASHION = Experiment(
    name="aam-fashion",
    title="Small networks with and without the module",
    source="Guan, Yu, Yager, Qin, WACV 2020, Table 3",
    paper_data="Fashion-MNIST, accuracy",
    paper_figures=("accuracy",),
    rows=tuple(
        Row(
            f"{layers}{'-aam' if module else ''}",
            f"{layers} layers{' + AAM' if module else ''}",
            f"fashion{layers}{'_aam' if module else ''}",
            (_PAPER[layers][module],),
        )
        for layers in _PAPER
        for module in (0, 1)
    ),
    other_data="fashion-mnist",
    notes=(
        "Classes are trained as ten attributes (one against the rest), not by one cross-entropy.",
    ),
)
