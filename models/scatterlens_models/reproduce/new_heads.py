"""Features of a trained network under new heads: the protocol of Table 2 of Guan et al.

Pooled features are standardised and a machine is fitted for each attribute (`training.heads`), on
some frames; average precision is taken on others, of sources that no head has seen.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.datasets.counting import labels_of
from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.datasets.importing.real_halves import read_real_halves
from scatterlens_models.datasets.members import FrameMember, of_split
from scatterlens_models.datasets.preparing import prepare_members
from scatterlens_models.datasets.real_frames import RealFrame
from scatterlens_models.evaluation.real import real_figure
from scatterlens_models.metrics import base_rate, mean_average_precision
from scatterlens_models.nets.layers import Net
from scatterlens_models.preprocess import PreprocessSpec
from scatterlens_models.reproduce.material import Material, MaterialError, manifest_digest
from scatterlens_models.reproduce.measuring import Figures
from scatterlens_models.training.export import explain_all
from scatterlens_models.training.heads import KeptHead, fit_head, standard_of
from scatterlens_models.vocabulary import load_vocabulary

_VOCABULARY = "aam20"


@dataclass(frozen=True, eq=False)
class HeadFrames:
    """Frames that heads learn from and are judged on; no network has been trained on any."""

    name: str
    learned: Examples
    judged: Examples
    digest: str
    sources: tuple[str, ...] = ()
    """Of the judged frames, where they are real: each source counts the same."""


def simulated_heads(material: Material) -> HeadFrames:
    """Heads from the watched frames, judged on the test frames."""
    return HeadFrames(
        f"validation and test of {material.name}",
        material.watched,
        material.test,
        material.digest,
    )


def real_heads(folder: Path, size: int) -> HeadFrames:
    """Heads from half A of a folder of labelled real frames, judged on half B.

    Raises:
        MaterialError: the folder does not hold what it should.
    """
    try:
        members = read_real_halves(folder, load_vocabulary(_VOCABULARY))
        learned, judged = of_split(members, "train"), of_split(members, "test")
        if not learned or not judged:
            raise MaterialError(f"{folder} has no usable frames in half A, or none in half B")
        parts = _examples(learned, size), _examples(judged, size)
    except DatasetError as error:
        raise MaterialError(str(error)) from error
    manifest = {
        half: [(m.frame_id, m.labels, m.source) for m in of]
        for half, of in (("A", learned), ("B", judged))
    }
    sources = tuple(member.source for member in judged)
    name = (
        f"{len(learned)} real frames of {len({m.source for m in learned})} sources, judged on"
        f" {len(judged)} of {len(set(sources))} others"
    )
    return HeadFrames(name, *parts, digest=manifest_digest(manifest), sources=sources)


def _examples(members: list[FrameMember], size: int) -> Examples:
    x = np.stack(list(prepare_members(members, PreprocessSpec(size))))
    labels = labels_of(members, len(load_vocabulary(_VOCABULARY).ids))
    return Examples(torch.from_numpy(x).half(), torch.from_numpy(labels))


def measure_heads(net: Net, frames: HeadFrames, seed: int) -> Figures:
    """Mean AP of new heads, and of the network's own, on the judged frames.

    Where an attribute has too few labels for a head, the network's own stands in.
    """
    learned, judged = explain_all(net, frames.learned.x), explain_all(net, frames.judged.x)
    standard, labels = standard_of(learned.features), frames.learned.labels.numpy()
    z_ND, judged_z = standard.apply(learned.features), standard.apply(judged.features)
    scores, new = judged.logits.copy(), 0
    for a in range(labels.shape[1]):
        head = fit_head(z_ND, labels[:, a], seed)
        if not isinstance(head, KeptHead):
            scores[:, a], new = head.decide(judged_z), new + 1
    return {"new_heads": float(new), **_judge(scores, judged.logits, frames)}


def _judge(new_NA: np.ndarray, own_NA: np.ndarray, frames: HeadFrames) -> Figures:
    labels = frames.judged.labels.numpy()
    if not frames.sources:
        return {
            "heads_ap": mean_average_precision(new_NA, labels),
            "own_ap": mean_average_precision(own_NA, labels),
            "heads_chance": base_rate(labels),
        }
    real = [
        RealFrame("", source, 0, True, each)
        for source, each in zip(frames.sources, labels, strict=True)
    ]
    vocabulary = load_vocabulary(_VOCABULARY)
    new, own = (real_figure(real, s, s > 0, vocabulary) for s in (new_NA, own_NA))
    low, high = new["mean_ap_interval"]
    return {
        "heads_ap": new["mean_ap"],
        "heads_low": low,
        "heads_high": high,
        "own_ap": own["mean_ap"],
        "heads_chance": new["chance"],
    }
