"""Several processes on one run, as `torchrun` starts them: each takes its share of every batch.

Gradients are averaged by hand after the backward pass: the specialised loss takes its gradients by
`torch.autograd.grad`, which the hooks of DistributedDataParallel do not see.
"""

import os

import torch
from torch import distributed, nn


def join() -> tuple[int, int]:
    """Join the processes that `torchrun` started: (rank, how many); (0, 1) for one alone."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    if not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # what `cuda` means from now on
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return distributed.get_rank(), distributed.get_world_size()


def average(tensors: list[torch.Tensor]) -> None:
    """Replace tensors by their mean over all processes, in place."""
    if not tensors:
        return
    flat = torch.cat([t.detach().float().flatten() for t in tensors])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    start = 0
    for tensor in tensors:
        part = flat[start : start + tensor.numel()]
        tensor.copy_(part.view_as(tensor))
        start += tensor.numel()


def average_gradients(net: nn.Module) -> None:
    """Mean over all processes of every gradient; where only some have one, the others count 0."""
    parameters = list(net.parameters())
    own = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32)
    own = own.to(parameters[0].device)
    distributed.all_reduce(own)
    for parameter, having in zip(parameters, own.tolist(), strict=True):
        if having and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    average([p.grad for p in parameters if p.grad is not None])


def average_statistics(net: nn.Module) -> None:
    """Mean over all processes of the running statistics of batch normalisation."""
    with torch.no_grad():
        average([b for b in net.buffers() if b.is_floating_point()])
