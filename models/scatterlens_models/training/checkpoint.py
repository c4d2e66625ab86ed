"""Checkpoints: the whole state of a run as one safetensors file, replaced in one step."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn


class CheckpointError(ValueError):
    """A checkpoint that does not belong to this network or run; remove it to start anew."""


def save_checkpoint(
    path: Path, net: nn.Module, optimizers: Sequence[torch.optim.Optimizer], step: int
) -> None:
    """Write weights, buffers and optimiser moments; a killed write leaves the old file."""
    tensors = {f"net.{k}": v.contiguous() for k, v in net.state_dict().items()}
    for number, optimizer in enumerate(optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                tensors[f"optimizer{number}.{index}.{name}"] = value.clone().contiguous()
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"step": json.dumps(step)})
    partial.replace(path)


def load_checkpoint(
    path: Path, net: nn.Module, optimizers: Sequence[torch.optim.Optimizer] = ()
) -> int:
    """Fill a network and its optimisers from a file; returns the step it stands at.

    Raises:
        CheckpointError: names or shapes do not fit.
    """
    with safe_open(path, framework="pt") as stream:
        step = json.loads((stream.metadata() or {}).get("step", "0"))
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}
    try:
        net.load_state_dict(
            {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
        )
    except RuntimeError as error:
        raise CheckpointError(
            f"{path.name} holds another network than the recipe asks for; use a new folder"
        ) from error
    for number, optimizer in enumerate(optimizers):
        prefix = f"optimizer{number}."
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(prefix):
                index, moment = name.removeprefix(prefix).split(".", 1)
                state.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return step
