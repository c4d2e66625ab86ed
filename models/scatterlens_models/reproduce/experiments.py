"""All experiments by name."""

from scatterlens_models.reproduce.aam_fashion import AAM_FASHION
from scatterlens_models.reproduce.aam_table1 import AAM_TABLE1
from scatterlens_models.reproduce.aam_table2 import AAM_TABLE2
from scatterlens_models.reproduce.icasc import ICASC
from scatterlens_models.reproduce.loss_attention import LOSS_ATTENTION
from scatterlens_models.reproduce.maap import MAAP
from scatterlens_models.reproduce.rows import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (AAM_TABLE1, AAM_TABLE2, AAM_FASHION, LOSS_ATTENTION, MAAP, ICASC)
}


def find_experiment(name: str) -> Experiment:
    """An experiment by its name; `ValueError` lists those that there are."""
    if name not in EXPERIMENTS:
        raise ValueError(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
