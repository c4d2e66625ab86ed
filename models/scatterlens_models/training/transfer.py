"""Transfer: a bundle that has learned the attributes of a beamline from a few labelled frames.

The network stays as it is; new heads follow its pooled features (`heads`), in one ONNX graph that
keeps the bundle contract (`head_graph`). So it takes no GPU, no torch at the beamline and about a
minute.
"""

import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import sklearn
from sklearn.preprocessing import StandardScaler

from scatterlens_models.bundle import Bundle, load_bundle, seal_bundle
from scatterlens_models.session import ModelSession
from scatterlens_models.training.export import TOLERANCE, map_scale
from scatterlens_models.training.export_error import ExportError
from scatterlens_models.training.head_graph import (
    decision_output,
    head_order,
    last_map,
    with_heads,
    without_decisions,
)
from scatterlens_models.training.heads import (
    LOGISTIC_C,
    Head,
    KeptHead,
    NewHead,
    SvmHead,
    fit_head,
    standardiser,
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
) -> Bundle:
    """Fit a head to every attribute that has labels enough, and write the new bundle.

    Novelty stays that of the base: it says how unlike the frames a body has learned from is.

    Args:
        base: bundle whose body is kept.
        frames_NCSS: frames as the base prepares them, float32.
        labels_NA: 1 present, 0 absent, -1 unknown, in the order of the base's vocabulary.
        frame_ids: of the frames, for the provenance.
        folder: where the bundle comes to lie; replaced as a whole.
        name: name of the line of models.
        seed: of the folds.

    Raises:
        TransferError: no attribute has labels enough, or arrays that do not belong together.
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
    session = ModelSession(base)
    features_ND = np.concatenate(
        [
            [p.features for p in session.predict(frames_NCSS[i : i + _BATCH])]
            for i in range(0, len(frames_NCSS), _BATCH)
        ]
    )
    scaler = standardiser(features_ND)
    z_ND = scaler.transform(features_ND.astype(np.float64))
    fitted = [fit_head(z_ND, labels_NA[:, a], seed) for a in range(len(attributes))]
    heads = {a: head for a, head in enumerate(fitted) if not isinstance(head, KeptHead)}
    if not heads:
        reasons = "; ".join(
            f"{attribute}: {head.reason}"
            for attribute, head in zip(attributes, fitted, strict=True)
            if isinstance(head, KeptHead)
        )
        raise TransferError(f"no attribute can be learned from these labels ({reasons})")
    prefix = f"heads_on_{base.version}/"
    grown = with_heads(model, heads, scaler.mean_, scaler.scale_, prefix)
    # Mirrored frames: no head was fitted to them.
    _check(grown, prefix, model, heads, scaler, np.ascontiguousarray(frames_NCSS[..., ::-1]))
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
            **_described(base, fitted, labels_NA, scaler, _maps(grown, frames_NCSS)),
            "provenance": _provenance(base, frame_ids, seed),
        },
    )
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return load_bundle(folder)


def _described(
    base: Bundle,
    fitted: Sequence[Head],
    labels_NA: np.ndarray,
    scaler: StandardScaler,
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
            pull = head.model.coef_[0] / scaler.scale_
            bias[a] = float(head.model.intercept_[0] - pull @ scaler.mean_)
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


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def _maps(model: onnx.ModelProto, frames_NCSS: np.ndarray) -> np.ndarray:
    session = _session(model)
    return np.concatenate(
        [
            np.asarray(session.run(["attribute_maps"], {"frames": frames_NCSS[i : i + _BATCH]})[0])
            for i in range(0, len(frames_NCSS), _BATCH)
        ]
    )


def _check(
    grown: onnx.ModelProto,
    prefix: str,
    base: onnx.ModelProto,
    heads: Mapping[int, NewHead],
    scaler: StandardScaler,
    frames_NCSS: np.ndarray,
) -> None:
    """Compare a graph with scikit-learn, and what it keeps with the base graph.

    Raises:
        ExportError: an output differs beyond the tolerance.
    """
    with_map = onnx.ModelProto()
    with_map.CopyFrom(base)
    with_map.graph.output.append(onnx.ValueInfoProto(name=last_map(base)))
    before, after = _session(with_map), _session(grown)
    kept = [output.name for output in base.graph.output]
    columns = {a: column for column, a in enumerate(head_order(heads))}
    for batch in (1, 5):
        feeds = {"frames": frames_NCSS[:batch]}
        *expected, cells_BDhw = map(np.asarray, before.run([*kept, last_map(base)], feeds))
        found = dict(zip(kept, map(np.asarray, after.run(kept, feeds)), strict=True))
        (decisions_BK,) = map(np.asarray, after.run([decision_output(prefix)], feeds))
        wanted = dict(zip(kept, (array.copy() for array in expected), strict=True))
        z_BD = scaler.transform(wanted["features"].astype(np.float64))
        for a, head in heads.items():
            wanted["probabilities"][:, a] = head.probability(z_BD)
            pull_BD = head.gradient(z_BD) / scaler.scale_
            cells = cells_BDhw.shape[2] * cells_BDhw.shape[3]
            wanted["attribute_maps"][:, a] = np.einsum("bd,bdhw->bhw", pull_BD, cells_BDhw) / cells
            _compare(f"the decision value of attribute {a}", decisions_BK[:, columns[a]],
                     head.decide(z_BD), batch)  # fmt: skip
        for name in kept:
            _compare(name, found[name], wanted[name], batch)


def _compare(name: str, found: np.ndarray, wanted: np.ndarray, batch: int) -> None:
    difference = float(np.abs(found - wanted).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
        raise ExportError(f"{name} differs by {difference:.2e} at batch {batch}")
