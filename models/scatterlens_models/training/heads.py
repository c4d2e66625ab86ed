"""Heads on frozen features: one binary classifier for each attribute, from a few labelled frames.

The protocol is that of Guan et al. (WACV 2020): pooled features, standardised, then one support
vector machine with a Gaussian kernel for each attribute, C and gamma by cross-validation. Where an
attribute has too few labels to cross-validate, a logistic classifier with a fixed C takes its
place, and where it has hardly any, the network keeps its own head.

Arrays `z_ND` are standardised features; labels are 1 present, 0 absent, -1 unknown.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from scatterlens_models.evaluation.calibration import fit_thresholds
from scatterlens_models.metrics import average_precision

FOLDS = 5
FEWEST_FOR_SVM = FOLDS
"""Every fold must hold out at least one frame of either kind."""
FEWEST_FOR_LOGISTIC = 2
SVM_C = tuple(2.0**power for power in range(-3, 10, 2))
GAMMA_TIMES_FEATURES = tuple(2.0**power for power in range(-4, 5, 2))
LOGISTIC_C = 0.01


@dataclass(frozen=True, eq=False)
class SvmHead:
    """A Gaussian support vector machine with a sigmoid on its decision value (Platt)."""

    calibrated: Any
    """`CalibratedClassifierCV`, as scikit-learn fitted it."""
    cv_ap: float
    """Mean over folds of the average precision on the frames held out: what chose C and gamma."""
    held_out: np.ndarray
    """Decision value of each frame with a label, by a machine that did not see it."""
    threshold: float
    """Probability from which the attribute is a tag."""

    @property
    def svc(self) -> Any:
        """The `SVC`, fitted to all labelled frames."""
        return self.calibrated.calibrated_classifiers_[0].estimator

    @property
    def slope(self) -> float:
        """Of the sigmoid: probability = sigmoid(slope x decision + offset)."""
        return -float(self.calibrated.calibrated_classifiers_[0].calibrators[0].a_)

    @property
    def offset(self) -> float:
        """See `slope`."""
        return -float(self.calibrated.calibrated_classifiers_[0].calibrators[0].b_)

    def decide(self, z_ND: np.ndarray) -> np.ndarray:
        """Decision values (N,)."""
        return self.svc.decision_function(z_ND)

    def probability(self, z_ND: np.ndarray) -> np.ndarray:
        """Probabilities (N,)."""
        return self.calibrated.predict_proba(z_ND)[:, 1]

    def gradient(self, z_ND: np.ndarray) -> np.ndarray:
        """Gradient of the decision value by the standardised features, (N, D)."""
        support_SD, weight_S = self.svc.support_vectors_, self.svc.dual_coef_[0]
        offset_NSD = z_ND[:, None] - support_SD
        kernel_NS = np.exp(-self.gamma * (offset_NSD**2).sum(axis=2))
        return -2 * self.gamma * np.einsum("ns,nsd->nd", kernel_NS * weight_S, offset_NSD)

    @property
    def gamma(self) -> float:
        """Width of the kernel, exp(-gamma d^2)."""
        return float(self.svc.gamma)


@dataclass(frozen=True, eq=False)
class LogisticHead:
    """A linear classifier with a fixed C, held back by it from the certainty of few frames."""

    model: Any
    """`LogisticRegression`, as scikit-learn fitted it."""
    held_out: np.ndarray
    """Decision value of each frame with a label, by a model that did not see it."""
    threshold: float = 0.5

    def decide(self, z_ND: np.ndarray) -> np.ndarray:
        """Decision values (N,)."""
        return self.model.decision_function(z_ND)

    def probability(self, z_ND: np.ndarray) -> np.ndarray:
        """Probabilities (N,)."""
        return self.model.predict_proba(z_ND)[:, 1]

    def gradient(self, z_ND: np.ndarray) -> np.ndarray:
        """Gradient of the decision value by the standardised features, (N, D)."""
        return np.broadcast_to(self.model.coef_[0], z_ND.shape)


@dataclass(frozen=True)
class KeptHead:
    """The network's own head stays."""

    reason: str


NewHead = SvmHead | LogisticHead
Head = NewHead | KeptHead


@dataclass(frozen=True, eq=False)
class Standard:
    """What features are standardised by."""

    mean: np.ndarray
    """(D,)."""
    spread: np.ndarray
    """(D,), 1 for a feature that never changes."""

    def apply(self, features_ND: np.ndarray) -> np.ndarray:
        """Standardised features (N, D), float64."""
        return (features_ND.astype(np.float64) - self.mean) / self.spread


def standard_of(features_ND: np.ndarray) -> Standard:
    """Mean and spread of the features of all labelled frames, whatever their labels."""
    scaler = StandardScaler().fit(features_ND.astype(np.float64))
    return Standard(np.asarray(scaler.mean_), np.asarray(scaler.scale_))


def fit_head(z_ND: np.ndarray, labels_N: np.ndarray, seed: int = 0) -> Head:
    """Fit the head that the number of an attribute's labels allows."""
    known = labels_N >= 0
    z_ND, positive = z_ND[known], labels_N[known] == 1
    fewest = min(int(positive.sum()), int((~positive).sum()))
    if fewest >= FEWEST_FOR_SVM:
        return _fit_svm(z_ND, positive, seed)
    if fewest >= FEWEST_FOR_LOGISTIC:
        model, folds = LogisticRegression(C=LOGISTIC_C), _folds(z_ND, positive, fewest, seed)
        held_out = _held_out(model, z_ND, positive, folds)
        return LogisticHead(model.fit(z_ND, positive), held_out)
    return KeptHead(
        f"{int(positive.sum())} present and {int((~positive).sum())} absent: at least"
        f" {FEWEST_FOR_LOGISTIC} of each are needed"
    )


def _fit_svm(z_ND: np.ndarray, positive: np.ndarray, seed: int) -> SvmHead | KeptHead:
    folds = _folds(z_ND, positive, FOLDS, seed)
    c, gamma, cv_ap = choose_c_and_gamma(z_ND, positive, folds)
    # scikit-learn states no types; what is inferred from its defaults is too narrow.
    machine: Any = SVC(kernel="rbf", C=c, gamma=gamma)  # pyright: ignore[reportArgumentType]
    calibrated: Any = CalibratedClassifierCV(
        machine,
        method="sigmoid",
        ensemble=False,  # pyright: ignore[reportArgumentType]
        cv=folds,
    ).fit(z_ND, positive)
    held_out = _held_out(machine, z_ND, positive, folds)
    sigmoid = calibrated.calibrated_classifiers_[0].calibrators[0]
    if sigmoid.a_ >= 0:
        return KeptHead("on frames held out, the decision value does not rise with the label")
    # Thresholds from frames that the machine was fitted to would be those of a perfect one.
    labels_N1 = positive[:, None].astype(np.int8)
    threshold = fit_thresholds(sigmoid.predict(held_out)[:, None], labels_N1)[0]
    return SvmHead(calibrated, cv_ap, held_out, float(threshold))


def _folds(
    z_ND: np.ndarray, positive: np.ndarray, count: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(z_ND, positive))


def _held_out(
    model: Any,
    z_ND: np.ndarray,
    positive: np.ndarray,
    folds: list[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Decision value (N,) of each frame by the model that did not see it."""
    return np.asarray(
        cross_val_predict(model, z_ND, positive, cv=folds, method="decision_function")
    )


def _precision(decisions: np.ndarray, positive: np.ndarray) -> float:
    return average_precision(decisions, positive.astype(np.int8))


def choose_c_and_gamma(
    z_ND: np.ndarray, positive: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float, float]:
    """C and gamma of the highest mean average precision over folds, and that precision.

    Few frames make many equals. Of these the one wins that also ranks the held-out frames of all
    folds together best: with a small C the machines of the folds differ by their offsets more
    than their frames do, and no sigmoid fits them all. Then the smallest C, then the smallest
    gamma: the smoothest machine. One kernel matrix for each gamma serves every C and fold.
    """
    features = z_ND.shape[1]
    squared_NN = euclidean_distances(z_ND, squared=True)
    scale = 1 / (features * z_ND.var())
    gammas = sorted({*(factor / features for factor in GAMMA_TIMES_FEATURES), float(scale)})
    kernels = {gamma: np.exp(-gamma * squared_NN) for gamma in gammas}
    chosen, best = (0.0, 0.0), (-1.0, -1.0)
    for c, gamma in product(SVM_C, gammas):
        kernel_NN, scores = kernels[gamma], np.empty(len(positive))
        for learned, held_out in folds:
            machine = SVC(kernel="precomputed", C=c)
            machine.fit(kernel_NN[np.ix_(learned, learned)], positive[learned])
            scores[held_out] = machine.decision_function(kernel_NN[np.ix_(held_out, learned)])
        each = [_precision(scores[held_out], positive[held_out]) for _, held_out in folds]
        # Rounded, so that equals are equal whatever the order of a sum.
        found = round(float(np.mean(each)), 9), round(_precision(scores, positive), 9)
        if found > best:
            chosen, best = (c, gamma), found
    return chosen[0], chosen[1], best[0]
