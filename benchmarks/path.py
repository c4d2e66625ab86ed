"""How long one frame takes from file to prediction, on one core, by stage.

    python benchmarks/path.py [FILE] [--bundle NAME] [--repeat N]

Without a file: a made CBF of 1679 x 1475 pixels, as a Pilatus 2M writes it. Prints the median of
each stage in milliseconds: `decode` is in the confined child, its cost included.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402 - the number of threads is read at import
from fabio.cbfimage import CbfImage  # noqa: E402

from scatterlens_models.annotate import preview  # noqa: E402
from scatterlens_models.bundle import DEFAULT_BUNDLE, bundle_folder, load_bundle  # noqa: E402
from scatterlens_models.decoding import DecodeChild  # noqa: E402
from scatterlens_models.preprocess import prepare  # noqa: E402
from scatterlens_models.session import ModelSession  # noqa: E402

TARGET_MS = 120


def make_pilatus_2m(path: Path) -> None:
    """Rings on falling scattering, with the gaps and dead pixels of the detector."""
    random = np.random.default_rng(0)
    row, col = np.indices((1679, 1475))
    radius = np.hypot(row - 800.3, col - 700.8)
    rings = sum(40 * np.exp(-(((radius - at) / 6) ** 2)) for at in (180, 360, 540))
    counts = random.poisson(2e4 / (radius + 20) ** 1.2 + rings + 0.3).astype(np.int32)
    counts[random.random(counts.shape) < 2e-4] = -2
    for start in range(195, 1679, 212):
        counts[start : start + 17] = -1
    for start in range(487, 1475, 494):
        counts[:, start : start + 7] = -1
    CbfImage(data=counts).write(str(path))


def measure(path: Path, session: ModelSession, repeat: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"decode": [], "prepare": [], "infer": [], "preview": []}
    with DecodeChild() as child:
        for turn in range(repeat + 3):
            marks = [time.perf_counter()]
            frame = child.decode(path)
            marks.append(time.perf_counter())
            prepared, _ = prepare(frame, session.bundle.preprocess)
            marks.append(time.perf_counter())
            session.predict(prepared[None])
            marks.append(time.perf_counter())
            preview(frame)
            marks.append(time.perf_counter())
            if turn >= 3:  # the first ones warm caches
                for name, start, end in zip(times, marks, marks[1:], strict=False):
                    times[name].append(1e3 * (end - start))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--repeat", type=int, default=50)
    given = parser.parse_args()
    bundle = load_bundle(bundle_folder(given.bundle))
    with tempfile.TemporaryDirectory() as folder:
        file = given.file or Path(folder) / "pilatus_2m.cbf"
        if given.file is None:
            make_pilatus_2m(file)
        session = ModelSession(bundle)
        times = measure(file, session, given.repeat)
    load = os.getloadavg()[0]
    print(f"{file.name}, {bundle.name} {bundle.version} at {bundle.preprocess.size}, one core")
    print(f"{'stage':<10}{'p50 ms':>9}{'min ms':>9}{'p90 ms':>9}")
    for name, values in times.items():
        p90 = statistics.quantiles(values, n=10)[-1]
        print(f"{name:<10}{statistics.median(values):>9.1f}{min(values):>9.1f}{p90:>9.1f}")
    path_times = [sum(stages) for stages in zip(*(times[n] for n in list(times)[:3]), strict=True)]
    total = statistics.median(path_times)
    print(f"decode + prepare + infer: p50 {total:.1f} ms (target {TARGET_MS} ms)")
    if load > os.cpu_count():
        print(f"The machine was busy (load {load:.1f}): the figures are too high.")


if __name__ == "__main__":
    main()
