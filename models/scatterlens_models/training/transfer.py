"""Transfer: a bundle that has learned the attributes of a beamline from a few labelled frames.

The network stays as it is; new heads follow its pooled features (`heads`), in one ONNX graph that
keeps the bundle contract (`head_graph`). So a few hundred labels take a minute on one core.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import sklearn

from scatterlens_models.bundle import Bundle, load_bundle, seal_bundle
from scatterlens_models.metrics import average_precision
from scatterlens_models.session import ModelSession
from scatterlens_models.training.export import map_scale
from scatterlens_models.training.head_check import check_heads, run_maps
from scatterlens_models.training.head_choice import better
from scatterlens_models.training.head_graph import last_map, with_heads, without_decisions
from scatterlens_models.training.heads import (
    LOGISTIC_C,
    Head,
    KeptHead,
    Standard,
    SvmHead,
    fit_head,
    standard_of,
)

_BATCH = 32


class TransferError(ValueError):
    """Labels from which nothing can be learned; the message says what is missing."""


def transfer(
    base: Bundle,
    frames_NCSS: np.ndarray,
    labels_NA: np.ndarray,
    frame_ids: Sequence[str],
    folder: Path,
    name: str,
    seed: int = 0,
    always: bool = False,
) -> Bundle:
    """Fit a head to every attribute that has labels enough, and write the new bundle.

    A new head takes the place of the base's own where it is surely better (`head_choice`).
    Novelty stays that of the base: it says how unlike the frames a body has learned from is.

    Args:
        base: bundle whose body is kept.
        frames_NCSS: frames as the base prepares them, float32.
        labels_NA: 1 present, 0 absent, -1 unknown, in the order of the base's vocabulary.
        frame_ids: of the frames, for the provenance.
        folder: where the bundle comes to lie; replaced as a whole.
        name: name of the line of models.
        seed: of the folds, and of the draws that compare heads.
        always: take every new head, whether or not the base's own is better.

    Raises:
        TransferError: no head is new, or arrays that do not belong together.
        BaseGraphError: the base is no pooled network.
        ExportError: the graph differs from what scikit-learn fitted.
    """
    attributes = base.vocabulary.ids
    if labels_NA.shape != (len(frames_NCSS), len(attributes)) or len(frame_ids) != len(labels_NA):
        raise TransferError(
            f"{len(frames_NCSS)} frames and {len(frame_ids)} ids need labels of that many rows and"
            f" {len(attributes)} columns, not {labels_NA.shape}"
        )
    model = onnx.load(base.path / "model.onnx")
    last_map(model)  # refuses before minutes are spent on folds
    seen = _seen(base, frames_NCSS)
    standard = standard_of(seen.features)
    z_ND = standard.apply(seen.features)
    fitted = [fit_head(z_ND, labels_NA[:, a], seed) for a in range(len(attributes))]
    if not always:
        rng = np.random.default_rng(seed)
        fitted = [
            better(head, seen.probabilities[:, a], labels_NA[:, a], rng)
            for a, head in enumerate(fitted)
        ]
    heads = {a: head for a, head in enumerate(fitted) if not isinstance(head, KeptHead)}
    if not heads:
        raise TransferError(_nothing_new(base, fitted, labels_NA))
    prefix = f"heads_on_{base.version}/"
    grown = with_heads(model, heads, standard, prefix)
    mirrored = np.ascontiguousarray(frames_NCSS[:5, ..., ::-1])  # no head was fitted to these
    check_heads(grown, prefix, model, heads, standard, mirrored)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    onnx.save(without_decisions(grown, prefix), partial / "model.onnx")
    shutil.copyfile(base.path / "novelty.npz", partial / "novelty.npz")
    seal_bundle(
        partial,
        {
            **{k: v for k, v in base.content.items() if k not in ("format", "files")},
            "name": name,
            "metrics": {},
            # The second graph explains the heads that the base had.
            "gradient_maps": [],
            **_described(base, fitted, labels_NA, standard, run_maps(grown, frames_NCSS)),
            "provenance": _provenance(base, frame_ids, seed),
        },
    )
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return load_bundle(folder)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the base says of the labelled frames."""

    features: np.ndarray
    """(N, D)."""
    probabilities: np.ndarray
    """(N, A)."""


def _seen(base: Bundle, frames_NCSS: np.ndarray) -> _Seen:
    session, found = ModelSession(base), []
    for start in range(0, len(frames_NCSS), _BATCH):
        found += session.predict(frames_NCSS[start : start + _BATCH])
    return _Seen(
        np.stack([prediction.features for prediction in found]),
        np.stack([prediction.probabilities for prediction in found]),
    )


def _nothing_new(base: Bundle, fitted: Sequence[Head], labels_NA: np.ndarray) -> str:
    reasons = [
        f"{base.vocabulary.ids[a]}: {head.reason}"
        for a, head in enumerate(fitted)
        if isinstance(head, KeptHead) and (labels_NA[:, a] >= 0).any()
    ]
    return (
        f"these labels make no head that is surely better than those of {base.name}: label more"
        f" frames, or stay with it ({'; '.join(reasons) or 'nothing is labelled'})"
    )


def _described(
    base: Bundle,
    fitted: Sequence[Head],
    labels_NA: np.ndarray,
    standard: Standard,
    maps_NAhw: np.ndarray,
) -> dict[str, Any]:
    """What `bundle.json` says of every head, in the order of the vocabulary."""
    temperature, thresholds = list(base.content["temperature"]), base.thresholds.copy()
    bias, scale = base.bias.copy(), base.map_scale.copy()
    scales = map_scale(maps_NAhw, labels_NA)
    described = []
    for a, head in enumerate(fitted):
        said: dict[str, Any] = {
            "attribute": base.vocabulary.ids[a],
            "present": int((labels_NA[:, a] == 1).sum()),
            "absent": int((labels_NA[:, a] == 0).sum()),
        }
        if isinstance(head, KeptHead):
            described.append({**said, "head": "base", "reason": head.reason})
            continue
        known = labels_NA[:, a] >= 0
        said["held_out_ap"] = average_precision(head.held_out, labels_NA[known, a])
        temperature[a], thresholds[a], scale[a] = 1.0, head.threshold, scales[a]
        if isinstance(head, SvmHead):
            bias[a] = 0.0
            said |= {
                "head": "svm",
                "c": float(head.svc.C),
                "gamma": head.gamma,
                "support_vectors": len(head.svc.support_vectors_),
                "slope": head.slope,
                "offset": head.offset,
                "cross_validated_ap": head.cv_ap,
            }
        else:
            pull = head.model.coef_[0] / standard.spread
            bias[a] = float(head.model.intercept_[0] - pull @ standard.mean)
            said |= {"head": "logistic", "c": LOGISTIC_C}
        described.append(said)
    return {
        "heads": described,
        "temperature": temperature,
        "thresholds": thresholds.tolist(),
        "bias": bias.tolist(),
        "map_scale": scale.tolist(),
        "additive": base.additive and not any(isinstance(head, SvmHead) for head in fitted),
    }


def _provenance(base: Bundle, frame_ids: Sequence[str], seed: int) -> dict[str, Any]:
    before = base.content["provenance"]
    body = f"body of {base.name} {base.version}"
    learned = f"{len(frame_ids)} labelled frames"
    return {
        **before,
        "training": f"{body}; heads from {learned}",
        "real_frames": f"{learned} as they were given, heads alone",
        "base": {"name": base.name, "version": base.version, "provenance": before},
        "frames": list(frame_ids),
        "seed_of_folds": seed,
        "scatterlens": version("scatterlens"),
        "scikit_learn": sklearn.__version__,
    }
