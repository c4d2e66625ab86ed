"""The loop: survives a kill, a full memory and many processes, and gives what its recipe asks."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.evaluation.curve import read_curve
from scatterlens_models.metrics import mean_average_precision
from scatterlens_models.nets import build
from scatterlens_models.training.checkpoint import CheckpointError, load_checkpoint
from scatterlens_models.training.loop import gradients, predict, train
from scatterlens_models.training.objective import backward
from scatterlens_models.training.recipe import Recipe
from scatterlens_models.vocabulary import load_vocabulary
from support.tiny_training import tiny_examples, tiny_recipe


class KilledError(Exception):
    """Stands for the power switch."""


@pytest.fixture(scope="module")
def examples() -> Examples:
    return tiny_examples()


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"specialised": "none", "evidence_weight": 0.1, "ema": 0.9, "amp": True},
        {"specialised": "none", "patience": 2},
    ],
    ids=["specialised", "evidence, mean weights, bfloat16", "patience"],
)
def test_a_run_that_was_killed_ends_with_the_same_weights(other, examples, tmp_path, monkeypatch):
    monkeypatch.setattr("scatterlens_models.training.loop.CHECKPOINT_SECONDS", 0.0)
    asked = replace(tiny_recipe(), **other)
    whole = train(asked, examples, examples, tmp_path / "whole", evaluations=3)

    def kill(progress):
        raise KilledError

    monkeypatch.setattr("time.monotonic", iter(np.arange(0, 1e6, 2.0)).__next__)
    for _ in range(3):
        with pytest.raises(KilledError):
            train(asked, examples, examples, tmp_path / "cut", evaluations=3, report=kill)
    resumed = train(asked, examples, examples, tmp_path / "cut", evaluations=3)
    for name, value in whole.state_dict().items():
        # A step that is left out or taken twice moves weights by far more than these last digits.
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    curves = [read_curve(tmp_path / folder) for folder in ("whole", "cut")]
    assert len(curves[0]) == 12
    for one, other in zip(*curves, strict=True):
        assert (one.step, one.passes) == (other.step, other.passes)
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
        assert one.mean_ap == pytest.approx(other.mean_ap, abs=1e-3)


def test_points_that_a_kill_undid_are_not_in_the_curve(examples, tmp_path):
    asked = tiny_recipe("vgg16", passes=40)
    with pytest.raises(KilledError):
        # No checkpoint is due before the end, so all that this run did is undone.
        train(asked, examples, examples, tmp_path, 1, report=_kill_at(40, before_end=True))
    net = train(asked, examples, examples, tmp_path, evaluations=1)
    assert [point.step for point in read_curve(tmp_path)] == [1, 2, 3, 4, 5]
    assert not net.training


def _kill_at(passes: int, before_end: bool = False):
    def report(progress):
        if progress.passes >= passes or before_end:
            raise KilledError

    return report


def test_a_damaged_checkpoint_is_refused_and_says_the_remedy(examples, tmp_path):
    train(tiny_recipe(passes=8), examples, examples, tmp_path, evaluations=1)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="remove it, and the run starts anew"):
        train(tiny_recipe(passes=8), examples, examples, tmp_path, evaluations=1)


def test_mean_weights_are_what_a_run_gives(examples, tmp_path):
    asked = replace(tiny_recipe("vgg16", passes=40), ema=0.5)
    net = train(asked, examples, examples, tmp_path / "mean", evaluations=1)
    expected = {name: p.detach().clone() for name, p in _start_of(asked).named_parameters()}
    stood = _start_of(asked)
    for step in range(5):
        folder = tmp_path / f"cut{step}"
        with pytest.raises(KilledError):
            train(asked, examples, examples, folder, 5, report=_kill_at(8 * (step + 1)))
        load_checkpoint(folder / "checkpoint.safetensors", stood)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, weights in stood.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * weights.detach()
    for name, value in net.named_parameters():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


def _start_of(asked: Recipe):
    torch.manual_seed(asked.seed)
    return build(asked.method, load_vocabulary("aam20"), asked.width, poolings=asked.poolings)


def test_patience_ends_a_run_with_its_best_weights(examples, tmp_path):
    noise = replace(examples, labels=torch.roll(examples.labels, 1, 0))
    patient = replace(tiny_recipe("vgg16", passes=1920), patience=2)
    net = train(patient, examples, noise, tmp_path, evaluations=40)
    reached = [p.mean_ap for p in read_curve(tmp_path) if p.mean_ap is not None]
    best = int(np.argmax(reached))
    assert len(reached) == best + 3 < 40
    measured = mean_average_precision(predict(net, noise.x), noise.labels.numpy())
    assert measured == pytest.approx(reached[best], abs=1e-12)


@pytest.mark.parametrize("specialised", ["none", "sampled"])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(specialised, examples):
    asked = replace(tiny_recipe(), specialised=specialised)
    # In evaluation mode: the statistics of a batch differ from those of its parts.
    net = _start_of(asked).eval()
    known = examples.labels[:8].clamp_min(0)
    batch = Examples(examples.x[:8].float(), known)
    whole = gradients(net, net, asked, batch, 3, 1)
    expected = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    assert gradients(net, net, asked, batch, 3, 4) == pytest.approx(whole, rel=1e-5)
    assert expected
    for name, value in expected.items():
        torch.testing.assert_close(net.get_parameter(name).grad, value, rtol=1e-3, atol=1e-6)


def test_a_batch_that_does_not_fit_into_memory_is_taken_in_parts(examples, tmp_path, monkeypatch):
    sizes = []

    def scarce(net, recipe, x, *rest):
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backward(net, recipe, x, *rest)

    monkeypatch.setattr("scatterlens_models.training.loop.backward", scarce)
    train(tiny_recipe(passes=16), examples, examples, tmp_path / "scarce", evaluations=1)
    assert sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]

    def never(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("scatterlens_models.training.loop.backward", never)
    with pytest.raises(torch.OutOfMemoryError):
        train(tiny_recipe(passes=8), examples, examples, tmp_path / "none", evaluations=1)


def test_bfloat16_gives_nearly_the_gradient_of_single_precision(examples):
    asked = replace(tiny_recipe(), width=0.25, specialised="none")
    net = _start_of(asked).train()
    batch = Examples(examples.x.float(), examples.labels)
    found = []
    for amp in (False, True):
        gradients(net, net, replace(asked, amp=amp), batch, 0, 1)
        found.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert not torch.equal(*found)
    assert torch.cosine_similarity(*found, dim=0) > 0.98


_TWO = """
import sys
from dataclasses import replace
from pathlib import Path

import torch
from support.tiny_training import tiny_examples, tiny_recipe
from scatterlens_models.training.loop import train

torch.set_num_threads(1)
folder, examples = Path(sys.argv[1]), tiny_examples()
net = train(replace(tiny_recipe(), ema=0.9), examples, examples, folder, evaluations=2)
rank = torch.distributed.get_rank()
torch.save(dict(net.named_parameters()), folder / f"rank{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_train_one_network(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(_TWO)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    for _ in range(2):  # the second time the run has ended, and is read from its checkpoint
        command = [*launch, str(script), str(tmp_path / "run")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        first, second = (torch.load(tmp_path / "run" / f"rank{rank}.pt") for rank in (0, 1))
        for name, value in first.items():
            torch.testing.assert_close(second[name], value, rtol=0, atol=0)
        points = read_curve(tmp_path / "run")
        assert [point.step for point in points] == list(range(1, 13))
        assert points[-1].loss < points[0].loss
