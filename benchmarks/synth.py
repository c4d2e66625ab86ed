"""How many frames one core simulates in a second, and the share of each stage.

    python benchmarks/synth.py [--frames N] [--vocabulary NAME]

Frames of the realistic profile at 256 x 256, everything on. Times are those of the processor, so
that other work on the machine hardly counts.
"""

import argparse
import os
import time
from collections import Counter

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

from scatterlens_models.synthetic.detectability import judge  # noqa: E402 - after the threads
from scatterlens_models.synthetic.detector import detect, noise_generator, prepare  # noqa: E402
from scatterlens_models.synthetic.labels import label  # noqa: E402
from scatterlens_models.synthetic.render import render  # noqa: E402
from scatterlens_models.synthetic.sampling import sample  # noqa: E402
from scatterlens_models.vocabulary import load_vocabulary  # noqa: E402

TARGET_FRAMES_PER_SECOND = 40
SEED = 20200907
_WARM_UP = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--vocabulary", default="aam20")
    given = parser.parse_args()
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
