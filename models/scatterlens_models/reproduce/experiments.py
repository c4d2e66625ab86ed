"""All experiments by name."""

from scatterlens_models.reproduce.aam_table1 import AAM_TABLE1
from scatterlens_models.reproduce.rows import Experiment

EXPERIMENTS: dict[str, Experiment] = {e.name: e for e in (AAM_TABLE1,)}


def find_experiment(name: str) -> Experiment:
    """An experiment by its name; `ValueError` lists those that there are."""
    if name not in EXPERIMENTS:
        raise ValueError(f"no experiment {name!r}; there are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
