"""From patches to maps: where a patch lies on the backbone's grid, and how its value is spread.

Patches are `valid` windows, so a map with one cell for each patch would be stretched over the
frame and lie beside what it shows. Values therefore go to the backbone's own grid, whose cells
divide the frame evenly.

Maps are nominal: they show the 9 x 9 cells that a patch is cut from. The 3 x 3 convolutions before
it let each cell see further (17 pixels for VGG-11 without strides, 35 for ResNet-18), so evidence
may come from a little outside.
"""

import torch

PATCH = 9
"""Side of a patch in cells of the backbone's grid."""


def patch_count(side: int, patch_stride: int) -> int:
    """Patches along a side of `side` cells."""
    return (side - PATCH) // patch_stride + 1


def cell_count(grid: tuple[int, int], patch_stride: int) -> int:
    """Cells of the backbone's grid that a grid of patches was cut from.

    Exact where the sides of the backbone's grid are multiples of the patch stride, as all published
    ones are; else it is what the next multiple would have.
    """
    height, width = ((count - 1) * patch_stride + PATCH + patch_stride - 1 for count in grid)
    return height * width


def tent(side: int, patches: int, patch_stride: int, like: torch.Tensor) -> torch.Tensor:
    """Share of each cell in each patch along one side, (side, patches); columns sum to one.

    Patch i is centred on cell `patch_stride` i + 4; its share falls linearly to nothing at the
    centres of its neighbours, so that even patches give an even map, and ends inside the patch.
    """
    cells = torch.arange(side, device=like.device)[:, None]
    centres = torch.arange(patches, device=like.device)[None, :] * patch_stride + PATCH // 2
    height = (patch_stride - (cells - centres).abs()).clamp_min(0)
    return height.to(like.dtype) / patch_stride**2


def spread(values_BAhw: torch.Tensor, side: tuple[int, int], patch_stride: int) -> torch.Tensor:
    """Values of patches (B, A, h, w) as maps (B, A, *side) with the same sums over cells."""
    h, w = values_BAhw.shape[-2:]
    rows = tent(side[0], h, patch_stride, values_BAhw)
    columns = tent(side[1], w, patch_stride, values_BAhw)
    return rows @ values_BAhw @ columns.T
