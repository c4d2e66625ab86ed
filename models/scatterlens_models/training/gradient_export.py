"""The second graph of a bundle: gradient maps at an inner layer, without torch where it runs.

The exporter of torch takes no module that calls autograd, so the backward pass of the last block
is traced into plain operations first. Two rules (convolution, maximum pooling) have no form that
the exporter knows; they are written here in operations that it does, and so is bilinear
upsampling.
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import fx
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from scatterlens_models.nets.gradient_maps import MAPS
from scatterlens_models.nets.layers import Net
from scatterlens_models.training.export_error import ExportError

SHARE = 1e-3
"""Deviation from double precision that is allowed, over all cells together, as a share of a map.

Not cell by cell: where an activation is all but zero, or two are all but equal, rounding decides
which way a gradient goes, and single cells stray by some percent in torch's single precision, too.
Where that strays more than this, the graph may ten times as far."""
CHECKED = 5
"""Frames that the graph is compared on."""
_ATEN = torch.ops.aten
_Sizes = Sequence[int]


def write_gradient_onnx(net: Net, example_BCSS: torch.Tensor, path: Path) -> None:
    """Export the maps of any weighted sum of logits at `net.inner`, with a dynamic batch.

    Inputs of the graph: `frames` (B, C, S, S) and `onehot` (B, A), the weight of each logit in
    the score, both float32. Outputs: `gradcam`, `a_ch`, `a_px` (see `nets.gradient_maps`), each
    (B, h, w) on the grid of `net.inner`.

    The graph is compared with torch in double precision at batch 1 and 5, see `SHARE`.

    Args:
        net: trained network; a copy is traced, so it stays as it is.
        example_BCSS: at least five prepared frames, float32.
        path: the file to write.

    Raises:
        ExportError: an operation that cannot be traced or exported, or maps that differ.
        ValueError: fewer than five frames.
    """
    if len(example_BCSS) < CHECKED:
        raise ValueError(f"the check needs {CHECKED} example frames, there are {len(example_BCSS)}")
    frozen = copy.deepcopy(net).eval().requires_grad_(False)
    batch = torch.export.Dim("batch", min=1, max=4096)
    onehot_BA = _onehot(frozen, example_BCSS)
    # Tracing takes sides of equal length for one and the same: the batch must have its own.
    fixed = {*example_BCSS.shape[1:], onehot_BA.shape[1]}
    traced = next(count for count in range(2, CHECKED + 1) if count not in fixed)
    example = example_BCSS[:traced], onehot_BA[:traced]
    try:
        graph = _trace(frozen, *example)
        with torch.no_grad(), warnings.catch_warnings():
            # Both inputs share one batch, which the exporter finds worth a warning.
            warnings.filterwarnings("ignore", "# The axis name: batch", UserWarning)
            torch.onnx.export(
                graph,
                example,
                str(path),
                dynamo=True,
                opset_version=18,
                input_names=["frames", "onehot"],
                output_names=list(MAPS),
                dynamic_shapes=({0: batch}, {0: batch}),
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        # Whatever part of the exporter gives up, the remedy is the same.
        raise ExportError(
            f"the gradients of {type(net).__name__} cannot be exported: {error}"
        ) from error
    _check(frozen, example_BCSS[:CHECKED], onehot_BA[:CHECKED], path)


def _onehot(net: Net, frames_BCSS: torch.Tensor) -> torch.Tensor:
    """A different attribute for every frame: the highest, the second highest and so on."""
    with torch.no_grad():
        logits_BA = net.score(net.last(net.inner(frames_BCSS)))
    order = logits_BA.argsort(dim=1, descending=True)
    count = logits_BA.shape[1]
    chosen = [int(order[i, i % count]) for i in range(len(order))]
    return functional.one_hot(torch.tensor(chosen), count).to(frames_BCSS.dtype)


def _maps(net: Net) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]:
    def maps(frames: torch.Tensor, onehot: torch.Tensor) -> tuple[torch.Tensor, ...]:
        def score(f_BKHW: torch.Tensor) -> torch.Tensor:
            return (net.score(net.last(f_BKHW)) * onehot).sum()

        f_BKHW = net.inner(frames)
        g_BKHW = torch.func.grad(score)(f_BKHW)
        return tuple(function(f_BKHW, g_BKHW) for function in MAPS.values())

    return maps


def _trace(net: Net, frames: torch.Tensor, onehot: torch.Tensor) -> fx.GraphModule:
    """Forward and backward pass as one graph of operations that the exporter knows."""
    traced = make_fx(
        _maps(net),
        decomposition_table=_decompositions(),
        tracing_mode="symbolic",
        _allow_non_fake_inputs=True,
    )(frames, onehot)
    # What the backward pass would give for weights is never asked for.
    traced.graph.eliminate_dead_code()
    traced.recompile()
    for name, value in list(vars(traced).items()) + list(traced.named_parameters(recurse=False)):
        if isinstance(value, torch.Tensor):
            delattr(traced, name)
            traced.register_buffer(name, value.detach())
    return traced.eval()  # plain operations have no mode, but the exporter asks for it


def _decompositions() -> dict[Any, Callable[..., Any]]:
    return {
        **core_aten_decompositions(),
        _ATEN.convolution_backward.default: _convolution_backward,
        _ATEN.max_pool2d_with_indices_backward.default: _max_pool_backward,
        _ATEN.upsample_bilinear2d_backward.default: _bilinear_backward,
    }


def _convolution_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias_sizes: _Sizes | None,
    stride: _Sizes,
    padding: _Sizes,
    dilation: _Sizes,
    transposed: bool,
    output_padding: _Sizes,
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[torch.Tensor, None, None]:
    """Gradient of a convolution's input: the transposed convolution with the same weights."""
    if transposed or output_mask[1] or output_mask[2]:
        raise NotImplementedError("only inputs of plain convolutions have gradients here")
    # A stride may leave rows at the far edge that no kernel reaches: they have a gradient, zero.
    rest = [
        int(x.shape[i + 2])
        - (
            (int(grad.shape[i + 2]) - 1) * stride[i]
            - 2 * padding[i]
            + dilation[i] * (int(weight.shape[i + 2]) - 1)
            + 1
        )
        for i in range(len(stride))
    ]
    return (
        _ATEN.convolution.default(
            grad, weight, None, stride, padding, dilation, True, rest, groups
        ),
        None,
        None,
    )


def _max_pool_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    kernel: _Sizes,
    stride: _Sizes,
    padding: _Sizes,
    dilation: _Sizes,
    ceil_mode: bool,
    indices: torch.Tensor,
) -> torch.Tensor:
    """Every gradient goes to the cell that was the maximum; overlapping windows add up."""
    empty = torch.zeros_like(x).flatten(2)
    return empty.scatter_add(2, indices.flatten(2), grad.flatten(2)).view(x.shape)


def _bilinear_backward(
    grad: torch.Tensor,
    output_size: _Sizes,
    input_size: _Sizes,
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> torch.Tensor:
    """Upsampling is linear in rows and in columns: the gradient goes through the transposes."""
    rows, columns = (
        functional.interpolate(
            torch.eye(int(coarse))[None],
            size=int(fine),
            mode="linear",
            align_corners=align_corners,
        )[0]
        for coarse, fine in zip(input_size[2:], output_size, strict=True)
    )
    return rows.to(grad) @ grad @ columns.to(grad).T


def _check(net: Net, frames_BCSS: torch.Tensor, onehot_BA: torch.Tensor, path: Path) -> None:
    """Compare the written graph with torch in double precision.

    Raises:
        ExportError: the maps of one kind differ beyond the tolerance.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    single = _maps(net)(frames_BCSS, onehot_BA)
    double = _maps(copy.deepcopy(net).double())(frames_BCSS.double(), onehot_BA.double())
    for batch in (1, len(frames_BCSS)):
        feeds = {"frames": frames_BCSS[:batch].numpy(), "onehot": onehot_BA[:batch].numpy()}
        found = session.run(list(MAPS), feeds)
        for name, theirs, ours, exact in zip(MAPS, found, single, double, strict=True):
            # A map of one frame may be all but dead: the scale is that of all frames.
            scale = float(exact.sum())
            difference = float(np.abs(np.asarray(theirs) - exact[:batch].numpy()).sum())
            strays = float((ours - exact).abs().sum())
            if not difference <= max(SHARE * scale, 10 * strays):
                raise ExportError(
                    f"{name} differs by {difference / scale:.1e} of its sum at batch {batch};"
                    f" torch in single precision differs by {strays / scale:.1e}"
                )
