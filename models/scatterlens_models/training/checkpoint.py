"""Checkpoints: the whole state of a run as one safetensors file, replaced in one step."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn


class CheckpointError(ValueError):
    """A checkpoint that does not belong to this network or run; remove it to start anew."""


def save_checkpoint(
    path: Path,
    net: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    step: int,
    loss: float,
    mean: Sequence[torch.Tensor] = (),
) -> None:
    """Write weights, buffers, moments and mean weights; a killed write leaves the old file."""
    tensors = {f"net.{k}": v.contiguous() for k, v in net.state_dict().items()}
    tensors |= {f"mean.{i}": v.contiguous() for i, v in enumerate(mean)}
    for number, optimizer in enumerate(optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                tensors[f"optimizer{number}.{index}.{name}"] = value.clone().contiguous()
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"step": json.dumps(step), "loss": json.dumps(loss)})
    partial.replace(path)


def load_checkpoint(
    path: Path,
    net: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer] = (),
    mean: Sequence[torch.Tensor] = (),
) -> tuple[int, float]:
    """Fill a network, its optimisers and its mean weights; returns the step and its running loss.

    Raises:
        CheckpointError: the file is damaged, or names or shapes do not fit.
    """
    metadata, tensors = _read(path)
    net.load_state_dict(_fitting(path, net, _under("net.", tensors)))
    kept = _under("mean.", tensors)
    if len(mean) != len(kept) and mean:
        raise CheckpointError(f"{path} holds no mean of the weights; start the run in a new folder")
    with torch.no_grad():
        for index, weights in enumerate(mean):
            weights.copy_(kept[str(index)])
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _under(f"optimizer{number}.", tensors).items():
            index, moment = name.split(".", 1)
            state.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return json.loads(metadata.get("step", "0")), json.loads(metadata.get("loss", "NaN"))


def save_weights(path: Path, net: nn.Module) -> None:
    """Write the weights and buffers of a network alone, as a bundle keeps them."""
    partial = path.with_suffix(".partial")
    save_file({f"net.{k}": v.contiguous() for k, v in net.state_dict().items()}, partial)
    partial.chmod(0o644)  # the library writes for its user alone; a bundle is read by others, too
    partial.replace(path)


def load_weights(path: Path, net: nn.Module) -> None:
    """Fill a network from a checkpoint (its mean weights where it has them) or a bundle's weights.

    Raises:
        CheckpointError: the file is absent or damaged, or holds another network.
    """
    _, tensors = _read(path)
    net.load_state_dict(_fitting(path, net, _under("net.", tensors)))
    kept = _under("mean.", tensors)
    with torch.no_grad():
        for index, weights in enumerate(net.parameters() if kept else ()):
            weights.copy_(kept[str(index)])


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}
            return stream.metadata() or {}, tensors
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); remove it, and the run starts anew"
        ) from error


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _fitting(
    path: Path, net: nn.Module, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The tensors, where they are those of the network."""
    own = {name: value.shape for name, value in net.state_dict().items()}
    if own != {name: value.shape for name, value in tensors.items()}:
        raise CheckpointError(
            f"{path.name} holds another network than the recipe asks for; use a new folder"
        )
    return tensors
