"""How many frames one core simulates in a second, and the share of each stage.

    python benchmarks/synth.py [--frames N] [--vocabulary NAME] [--batched]

Frames of the realistic profile at 256 x 256, everything on. Times are those of the processor, so
that other work on the machine hardly counts. `--batched` measures the path that has no loop over
frames: on a GPU where there is one, else it counts the bytes that its operations read and write,
and says what a GPU of a given memory bandwidth would make of them, which is an estimate.
"""

import argparse
import os
import time
from collections import Counter

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import torch  # noqa: E402 - after the threads
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from scatterlens_models.synthetic.batched import (  # noqa: E402
    expose_batch,
    label_batch,
    plan,
    render_batch,
)
from scatterlens_models.synthetic.detectability import judge  # noqa: E402
from scatterlens_models.synthetic.detector import detect, noise_generator, prepare  # noqa: E402
from scatterlens_models.synthetic.labels import label  # noqa: E402
from scatterlens_models.synthetic.render import render  # noqa: E402
from scatterlens_models.synthetic.sampling import sample  # noqa: E402
from scatterlens_models.vocabulary import load_vocabulary  # noqa: E402

TARGET_FRAMES_PER_SECOND = 40
SEED = 20200907
_WARM_UP = 20
_BATCH = 64
_STEP = 10
"""Distance of a batch's frames: five of each experiment."""
BANDWIDTH_TB_S = 3.35
"""Of the memory of an H100 SXM, by its data sheet."""
SUSTAINED = 0.5
"""Share of it that elementwise kernels are taken to reach."""


class Traffic(TorchDispatchMode):
    """Counts the bytes of every tensor that an operation reads or makes."""

    moved = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = tree_leaves((args, kwargs, made))
            self.moved += sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor))
        return made


def bench_batched(frames: int) -> None:
    """Print the rates of the batched path, measured or estimated."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(1)
    vocabulary = load_vocabulary("aam20")
    spent: Counter[str] = Counter()
    moved = done = 0
    for first in range(0, frames * _STEP, _BATCH * _STEP):
        scenes = [sample(SEED, index) for index in range(first, first + _BATCH * _STEP, _STEP)]
        start = time.process_time()
        plans = [plan(scene) for scene in scenes]
        planned = time.process_time()
        began = time.perf_counter()
        with Traffic() as traffic:
            batch = render_batch(plans, device)
            x = expose_batch(batch, generator)
        float(x.sum())  # waits for the device
        ended = time.perf_counter()
        label_start = time.process_time()
        label_batch(batch, vocabulary)
        spent["curves"] += planned - start
        spent["pixels"] += ended - began
        spent["labels"] += time.process_time() - label_start
        moved, done = moved + traffic.moved, done + _BATCH
    per_frame = moved / done
    cost = {stage: 1e3 * seconds / done for stage, seconds in spent.items()}
    print(f"on one core: curves {cost['curves']:.2f} ms, labels {cost['labels']:.2f} ms a frame")
    print(f"pixels on {device}: {cost['pixels']:.2f} ms a frame in batches of {_BATCH}")
    print(f"operations read and write {per_frame / 1e6:.0f} MB a frame")
    rate = SUSTAINED * BANDWIDTH_TB_S * 1e12 / per_frame
    print(
        f"estimate by operations, not measured: {rate:.0f} frames/s for the pixels at"
        f" {100 * SUSTAINED:.0f} % of {BANDWIDTH_TB_S} TB/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--vocabulary", default="aam20")
    parser.add_argument("--batched", action="store_true")
    given = parser.parse_args()
    if given.batched:
        bench_batched(given.frames)
        return
    vocabulary = load_vocabulary(given.vocabulary)
    spent: Counter[str] = Counter()
    for index in range(given.frames + _WARM_UP):
        if index == _WARM_UP:
            spent.clear()
        marks = [time.process_time()]
        scene = sample(SEED, index)
        marks.append(time.process_time())
        rendered = render(scene)
        marks.append(time.process_time())
        visibility = judge(scene, rendered)
        marks.append(time.process_time())
        label(scene, visibility, rendered, vocabulary)
        marks.append(time.process_time())
        rng = noise_generator(SEED, index)
        maps = rendered.maps
        prepare(*detect(scene, visibility.expected, maps.coverage, maps.grid, rng))
        marks.append(time.process_time())
        for stage, start, end in zip(
            ("sample", "render", "judge", "label", "detect"), marks, marks[1:], strict=False
        ):
            spent[stage] += end - start
    total = sum(spent.values())
    for stage, seconds in spent.items():
        print(f"{stage:8} {1e3 * seconds / given.frames:6.2f} ms  {100 * seconds / total:4.1f} %")
    rate = given.frames / total
    print(f"{rate:.1f} frames/s on one core (target {TARGET_FRAMES_PER_SECOND})")


if __name__ == "__main__":
    main()
