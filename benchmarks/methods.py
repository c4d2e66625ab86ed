"""What every network costs, and whether its exported graph says what torch says.

    python benchmarks/methods.py [METHOD ...] [--out TABLE.md] [--gradients]

Slim width at 128 x 128 pixels, one core. Each network gets a process of its own, so that its peak
memory is its own. Columns: parameters (slim, and at full width), GFLOP of a frame (two for a
multiply-add), milliseconds of a frame in onnxruntime at batch 1, frames a second and peak memory
of a training step of 16 frames beyond what torch itself takes, and the largest deviation of
onnxruntime from torch on any output at batch 1 and 5, as a share of that output's largest value.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WIDTH, SIZE, POOLINGS, BATCH = 0.25, 128, 3, 16


def measure(method: str, gradients: bool) -> dict:
    """All figures of one network; runs in a process of its own."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import numpy as np
    import onnxruntime
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from scatterlens_models.nets import build
    from scatterlens_models.training.export import ServedNet, write_onnx
    from scatterlens_models.training.gradient_export import write_gradient_onnx
    from scatterlens_models.training.objective import backward
    from scatterlens_models.training.optimiser import optimisers
    from scatterlens_models.training.recipe import slim
    from scatterlens_models.vocabulary import load_vocabulary

    torch.set_num_threads(1)
    torch.manual_seed(1)
    vocabulary = load_vocabulary("aam20")
    recipe = slim(method)
    net = build(method, vocabulary, WIDTH, poolings=POOLINGS)
    with torch.device("meta"):
        full = build(method, vocabulary, 1.0)
    x = torch.rand(BATCH, 2, SIZE, SIZE)
    labels = torch.randint(0, 2, (BATCH, len(vocabulary.ids))).to(torch.int8)
    optimizers = optimisers(net, recipe)
    before = resident_mb()
    seconds = []
    for step in range(3):
        started = time.perf_counter()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        backward(net, recipe, x, net(x), labels, step)
        for optimizer in optimizers:
            optimizer.step()
        seconds.append(time.perf_counter() - started)
    peak = peak_mb() - before
    net.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.explain(x[:1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        served = ServedNet(net, np.ones(len(vocabulary.ids), np.float32))
        write_onnx(served, x[:5], path, bool(net.attention_names))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options)
        deviation = 0.0
        for batch in (1, 5):
            with torch.inference_mode():
                expected = served(x[:batch])
            for ours, theirs in zip(
                expected, session.run(None, {"frames": x[:batch].numpy()}), strict=True
            ):
                scale = float(ours.abs().max())
                deviation = max(deviation, float(np.abs(theirs - ours.numpy()).max()) / scale)
        times = []
        for _ in range(15):
            started = time.perf_counter()
            session.run(None, {"frames": x[:1].numpy()})
            times.append(time.perf_counter() - started)
        if gradients:
            write_gradient_onnx(net, x[:5], Path(folder) / "model_gradcam.onnx")
    return {
        "method": method,
        "parameters": sum(p.numel() for p in net.parameters()),
        "full": sum(p.numel() for p in full.parameters()),
        "gflop": counter.get_total_flops() / 1e9,
        "ms": 1e3 * sorted(times)[len(times) // 2],
        "train": BATCH / min(seconds),
        "peak": peak,
        "deviation": deviation,
    }


def resident_mb() -> float:
    """Memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mb() -> float:
    """The most that this process has held (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def row(found: dict) -> str:
    """One line of the table."""
    return (
        f"| {found['method']} | {found['parameters'] / 1e6:.2f} | {found['full'] / 1e6:.2f} |"
        f" {found['gflop']:.2f} | {found['ms']:.1f} | {found['train']:.0f} |"
        f" {found['peak']:.0f} | {found['deviation']:.0e} |"
    )


HEAD = (
    "| method | parameters, 10^6 | at full width | GFLOP | ms | training, frames/s |"
    " peak memory, MB | onnxruntime - torch |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> None:
    """Measure each network in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--gradients", action="store_true", help="Check the second graph, too.")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(measure(asked.alone, asked.gradients)))
        return
    from scatterlens_models.nets import METHODS

    lines = [HEAD]
    print(HEAD, flush=True)
    failed = []
    for method in asked.methods or METHODS:
        command = [sys.executable, __file__, "--alone", method]
        command += ["--gradients"] if asked.gradients else []
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            failed.append(method)
            print(f"| {method} | failed: {ended.stderr.strip().splitlines()[-1]} |", flush=True)
            continue
        lines.append(row(json.loads(ended.stdout.splitlines()[-1])))
        print(lines[-1], flush=True)
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
