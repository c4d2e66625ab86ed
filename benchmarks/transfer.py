"""What labels of a new beamline are worth: an adapted bundle beside the one it started from.

    python benchmarks/transfer.py [--bundle NAME] [--real DIR] [--simulated] [--scratch PASSES]

With --real: 8, 16 and 24 labelled real frames of half A, judged on half B, whose sources nothing
here has seen. With --simulated: 10 to 300 frames of one beamline that no split of the simulator
holds, since its detector is defined here alone; judged on other frames of it. Rows: `own` is
the base bundle as it is, `better` takes a new head where it is surely better on the
labels, `all new` takes every one. A network trained on the same labels from nothing is added with
--scratch. Spreads are standard deviations over draws of the labelled frames.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.bundle import DEFAULT_BUNDLE, Bundle, bundle_folder, load_bundle
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.datasets.real_frames import decode_all, read_real
from scatterlens_models.evaluation.real import real_difference, real_figure
from scatterlens_models.frame import Frame
from scatterlens_models.metrics import average_precisions
from scatterlens_models.preprocess import PreprocessSpec, prepare
from scatterlens_models.session import ModelSession
from scatterlens_models.synthetic.detectors import DETECTORS, Detector
from scatterlens_models.synthetic.frames import expose
from scatterlens_models.synthetic.sampling import sample_at
from scatterlens_models.synthetic.scene import Instrument, Shadow
from scatterlens_models.training.loop import predict, train
from scatterlens_models.training.recipe import slim
from scatterlens_models.training.transfer import TransferError, transfer
from scatterlens_models.vocabulary import load_vocabulary

REAL_LABELS, SIMULATED_LABELS = (8, 16, 24), (10, 25, 50, 100, 300)
POOL, JUDGED = 600, 600
"""Frames of the simulated beamline that labels are drawn from, and that figures come from."""
SEED = 77_001
OWN = Detector("held_out", (960, 1200), 120e-6, (300, 380), (30, 30))
"""Modules, gaps and pixels of no detector that the simulator draws."""
_STOP = (0.3667, 0.7042)
BEAMLINE = Instrument(
    detector=OWN.name,
    technique="saxs",
    transposed=False,
    crop=(0, 0, *OWN.shape),
    energy_kev=13.7,
    distance_m=2.35,
    beam_yx=(310.0, 845.0),
    stop="circular",
    shadows=(
        Shadow("disk", 1e-6, (_STOP,), 0.021),
        Shadow("bar", 1e-6, (_STOP, (0.15, 1.3)), 0.007),
        Shadow("polygon", 3e-3, ((0.8, -0.1), (1.1, -0.1), (1.1, 0.33))),
    ),
    polarization=0.97,
    tilt=(0.011, -0.02),
)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Prepared frames with their labels."""

    x: np.ndarray
    """(N, 2, S, S) float32."""
    labels: np.ndarray
    """(N, A) int8."""

    def drawn(self, count: int, seed: int) -> "Labelled":
        """Some of the frames; more labels of one seed contain the fewer."""
        chosen = np.random.default_rng(seed).permutation(len(self.x))[:count]
        return Labelled(self.x[chosen], self.labels[chosen])


def probabilities(bundle: Bundle, x: np.ndarray) -> np.ndarray:
    """(N, A)."""
    session = ModelSession(bundle)
    found = []
    for start in range(0, len(x), session.batch):
        found += [p.probabilities for p in session.predict(x[start : start + session.batch])]
    return np.stack(found)


def adapt(base: Bundle, learned: Labelled, always: bool, x: np.ndarray) -> tuple[np.ndarray, int]:
    """Probabilities of an adapted bundle, and how many of its heads are new."""
    with tempfile.TemporaryDirectory() as folder:
        ids = [f"frame {i}" for i in range(len(learned.x))]
        try:
            made = transfer(
                base, learned.x, learned.labels, ids, Path(folder) / "new", "new", always=always
            )
        except TransferError:
            return probabilities(base, x), 0  # nothing better was found: the base stays
        return probabilities(made, x), sum(h["head"] != "base" for h in made.content["heads"])


def scratch(learned: Labelled, x: np.ndarray, passes: int, method: str) -> np.ndarray:
    """Logits (N, A) of a slim network trained on the labelled frames and nothing else."""
    examples = Examples(
        torch.from_numpy(learned.x).half(), torch.from_numpy(learned.labels.astype(np.int8))
    )
    with tempfile.TemporaryDirectory() as folder:
        recipe = slim(method, passes)
        # Fewer labels than a batch: all of them are one.
        recipe = replace(recipe, batch=min(recipe.batch, len(examples.x)))
        net = train(recipe, examples, examples, Path(folder), evaluations=1)
    return predict(net, torch.from_numpy(x).half())


def both(values: list[float]) -> str:
    """Mean and spread."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def on_real(base: Bundle, folder: Path, draws: int) -> list[str]:
    """Table of half B against labels of half A."""
    with (folder / "INDEX.csv").open(newline="", encoding="utf-8") as stream:
        half = {row["file"]: row["half"] for row in csv.DictReader(stream)}
    frames = read_real(folder, base.vocabulary)
    usable = [frame for frame in frames if frame.usable and half[frame.file] == "A"]
    judged = [frame for frame in frames if half[frame.file] == "B"]

    def prepared(chosen: list) -> Labelled:
        x = [prepare(frame, base.preprocess)[0] for frame in decode_all(folder, chosen)]
        return Labelled(np.stack(x), np.stack([frame.labels for frame in chosen]))

    pool, test = prepared(usable), prepared(judged)
    own = probabilities(base, test.x)

    def figure(p: np.ndarray) -> dict:
        return real_figure(judged, p, p >= base.thresholds, base.vocabulary)

    zero = figure(own)
    names = list(zero["attributes"])
    low, high = zero["mean_ap_interval"]
    lines = [
        f"Real frames: labels from {len(usable)} usable frames of half A, figure on"
        f" {zero['frames']} usable frames of {zero['sources']} sources of half B, chance"
        f" {zero['chance']:.3f}; {draws} draws. Intervals (90 %) are over sources, their ends"
        " averaged over draws.",
        "",
        f"| heads | labels | mean AP | interval | less own heads | interval | new heads |"
        f" {' | '.join(names)} |",
        "|---|" + "---:|" * (6 + len(names)),
        f"| own | 0 | {zero['mean_ap']:.3f} | {low:.3f} to {high:.3f} | - | - | - | "
        + " | ".join(f"{zero['attributes'][name]['ap']:.3f}" for name in names)
        + " |",
    ]
    for always in (False, True):
        for count in REAL_LABELS:
            figures, gains, news = [], [], []
            for seed in range(draws):
                p, new = adapt(base, pool.drawn(count, seed), always, test.x)
                figures.append(figure(p))
                gains.append(real_difference(judged, p, own, base.vocabulary))
                news.append(new)
            ends = np.mean([f["mean_ap_interval"] for f in figures], axis=0)
            less = np.mean([interval for _, interval in gains], axis=0)
            each = [np.mean([f["attributes"][name]["ap"] for f in figures]) for name in names]
            lines.append(
                f"| {'all new' if always else 'better'} | {count} |"
                f" {both([f['mean_ap'] for f in figures])} | {ends[0]:.3f} to {ends[1]:.3f} |"
                f" {both([gain for gain, _ in gains])} | {less[0]:+.3f} to {less[1]:+.3f} |"
                f" {np.mean(news):.1f} | {' | '.join(f'{ap:.3f}' for ap in each)} |"
            )
            print(lines[-1], flush=True)
    return lines


def simulated_frames(indices: range, spec: PreprocessSpec) -> Labelled:
    """Frames of the beamline, exposed on its detector's own pixels and prepared as served."""
    DETECTORS[OWN.name] = OWN
    vocabulary, x, labels = load_vocabulary("aam20"), [], []
    for index in indices:
        native = expose(sample_at(BEAMLINE, SEED, index), vocabulary)
        mask = native.counts < 0
        image = np.where(mask, 0, native.counts).astype(np.float32)
        x.append(prepare(Frame(image, mask, native.counts >= native.ceiling), spec)[0])
        labels.append(native.labelled.labels)
    return Labelled(np.stack(x), np.stack(labels))


def on_simulated(base: Bundle, draws: int, passes: int, method: str) -> list[str]:
    """Table of a simulated beamline that nothing was trained on."""
    pool = simulated_frames(range(POOL), base.preprocess)
    test = simulated_frames(range(POOL, POOL + JUDGED), base.preprocess)
    own = average_precisions(probabilities(base, test.x), test.labels)
    lines = [
        f"Simulated beamline: labels drawn from {POOL} frames, mAP on {JUDGED} others, {draws}"
        " draws.",
        "",
        "| heads | labels | mAP | less own heads | new heads |",
        "|---|---:|---:|---:|---:|",
        f"| own | 0 | {np.mean(own):.3f} | - | - |",
    ]
    print("\n".join(lines), flush=True)
    rows: dict[str, Callable[[Labelled], tuple[np.ndarray, float]]] = {
        "better": lambda learned: adapt(base, learned, False, test.x),
        "all new": lambda learned: adapt(base, learned, True, test.x),
    }
    if passes:
        name = f"slim-{method} from nothing, {passes} passes"
        rows[name] = lambda learned: (scratch(learned, test.x, passes, method), float("nan"))
    for name, learn in rows.items():
        for count in SIMULATED_LABELS:
            found = [learn(pool.drawn(count, seed)) for seed in range(draws)]
            aps = [float(np.nanmean(average_precisions(p, test.labels))) for p, _ in found]
            new = np.mean([n for _, n in found])
            lines.append(
                f"| {name} | {count} | {both(aps)} | {both([ap - np.mean(own) for ap in aps])} |"
                f" {'-' if np.isnan(new) else f'{new:.1f}'} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE, help="folder, or a shipped name")
    parser.add_argument("--real", type=Path, help="folder of labelled real frames")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--scratch", type=int, default=0, metavar="PASSES")
    parser.add_argument("--method", default="vgg16", help="of the network from nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    base = load_bundle(bundle_folder(asked.bundle))
    tables = []
    if asked.real is not None:
        tables.append(on_real(base, asked.real, asked.draws))
    if asked.simulated:
        tables.append(on_simulated(base, asked.draws, asked.scratch, asked.method))
    print("\n".join(["", *("\n".join([*table, ""]) for table in tables)]))


if __name__ == "__main__":
    main()
