"""The two networks of the pose pair: a person detector and a keypoint estimator.

Their inputs and outputs are those of YOLOX (Ge et al., 2021) and of RTMPose's SimCC head (Li et
al., 2022; Jiang et al., 2023), so that code for DWPose's files can run them. Each is a small
residual network with a top-down path; it uses only basic operators, which any ONNX runtime has.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .wholebody import POINTS

STRIDES = (8, 16, 32)  # pixels per cell of the pyramid's levels
CLASSES = 80  # columns for COCO's classes; 0 is person, the others are never detected
BOXES = 4  # columns before the scores
SIMCC_RATIO = 2  # bins per pixel of the estimator's input


class Convolution(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class Residual(nn.Module):
    """Two convolutions with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            Convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:  # (b, c, h, w)
        return F.relu(x + self.inner(x))


class Pyramid(nn.Module):
    """Features at strides 8, 16 and 32, with a top-down path from coarse to fine levels."""

    def __init__(self, widths: tuple[int, int, int, int, int]) -> None:
        """`widths` are the channels at strides 2 to 32; every output level has widths[2]."""
        super().__init__()
        self.stem = nn.Sequential(Convolution(3, widths[0], 2), Convolution(*widths[:2], 2))
        self.down = nn.ModuleList(
            nn.Sequential(Convolution(before, after, 2), Residual(after))
            for before, after in pairwise(widths[1:])
        )
        self.across = nn.ModuleList(nn.Conv2d(width, widths[2], 1) for width in widths[2:])
        self.merge = nn.ModuleList(Convolution(widths[2], widths[2]) for _ in STRIDES)

    def forward(
        self,
        x: Tensor,  # (b, 3, H, W), sides divisible by 32
    ) -> list[Tensor]:  # (b, c, H / s, W / s) per stride s
        x = self.stem(x)
        levels = []
        for down, across in zip(self.down, self.across, strict=True):
            x = down(x)
            levels.append(across(x))
        for fine in (1, 0):
            coarse = F.interpolate(levels[fine + 1], scale_factor=2.0, mode="nearest")
            levels[fine] = levels[fine] + coarse
        return [merge(level) for merge, level in zip(self.merge, levels, strict=True)]


class PersonDetector(nn.Module):
    """Finds people in a letterboxed square picture."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 32, 48, 64, 80)) -> None:
        super().__init__()
        self.pyramid = Pyramid(widths)
        self.heads = nn.ModuleList(_box_head(widths[2]) for _ in STRIDES)

    def rows(
        self,
        images: Tensor,  # (b, 3, S, S), BGR, 0..255
    ) -> Tensor:  # (b, n, 6): centre in cells from the cell's corner, log size in cells, logits
        """Return the predictions per cell before the sigmoids, for training."""
        levels = self.pyramid(images / 128 - 1)
        outputs = [head(level).flatten(2) for head, level in zip(self.heads, levels, strict=True)]
        return torch.cat(outputs, 2).transpose(1, 2)

    def forward(
        self,
        images: Tensor,  # (b, 3, S, S), BGR, 0..255
    ) -> Tensor:  # (b, n, 85): box, objectness 0..1, class scores 0..1
        rows = self.rows(images)
        found = torch.cat([rows[..., :BOXES], rows[..., BOXES:].sigmoid()], -1)
        return F.pad(found, (0, CLASSES - 1))


class KeypointEstimator(nn.Module):
    """Finds 133 keypoints of the person in a crop."""

    def __init__(
        self,
        size: tuple[int, int] = (128, 96),  # height and width of the crop, pixels
        widths: tuple[int, int, int, int, int] = (24, 48, 96, 112, 128),
    ) -> None:
        super().__init__()
        self.size = size
        self.pyramid = Pyramid(widths)
        self.refine = Residual(widths[2])
        self.maps = nn.Conv2d(widths[2], POINTS, 1)
        grid = (size[0] // STRIDES[0], size[1] // STRIDES[0])
        self.columns = nn.Linear(grid[0] * grid[1], SIMCC_RATIO * size[1])
        self.lines = nn.Linear(grid[0] * grid[1], SIMCC_RATIO * size[0])
        self.seen = nn.Linear(grid[0] * grid[1], 1)
        nn.init.zeros_(self.seen.weight)
        nn.init.zeros_(self.seen.bias)
        _start_as_interpolation(self.columns, torch.arange(grid[1]).repeat(grid[0]))
        _start_as_interpolation(self.lines, torch.arange(grid[0]).repeat_interleave(grid[1]))

    def logits(
        self,
        crops: Tensor,  # (b, 3, H, W), RGB, normalised as in pose/networks/estimator.py
    ) -> tuple[Tensor, Tensor, Tensor]:  # (b, 133, 2 W), (b, 133, 2 H), (b, 133)
        """Return the logits of each point's x, y and visibility."""
        maps = self.maps(self.refine(self.pyramid(crops)[0])).flatten(2)
        return self.columns(maps), self.lines(maps), self.seen(maps)[..., 0]

    def forward(
        self,
        crops: Tensor,  # (b, 3, H, W), RGB, normalised
    ) -> tuple[Tensor, Tensor]:  # (b, 133, 2 W), (b, 133, 2 H)
        """Return SimCC scores; a point's highest score is the probability that it is visible."""
        x, y, seen = self.logits(crops)
        height = seen.sigmoid()[..., None]
        return _peaked(x) * height, _peaked(y) * height


def _box_head(channels: int) -> nn.Conv2d:
    """Return a layer that at first predicts low scores and boxes slightly larger than a cell."""
    head = nn.Conv2d(channels, BOXES + 2, 1)
    start = torch.tensor([0.0, 0.0, 1.0, 1.0, -4.0, 0.0])
    head.weight, head.bias = nn.Parameter(torch.zeros_like(head.weight)), nn.Parameter(start)
    return head


def _peaked(logits: Tensor) -> Tensor:
    """Return the distribution over the last axis, scaled to a maximum of 1."""
    return (logits - logits.amax(-1, keepdim=True)).exp()


def _start_as_interpolation(
    linear: nn.Linear,
    cells: Tensor,  # (h * w,): column or row of each cell
) -> None:
    """Set the weights so that every cell votes for the bins at its place."""
    bins_per_cell = SIMCC_RATIO * STRIDES[0]
    centres = (cells + 0.5) * bins_per_cell - 0.5
    distance = torch.arange(linear.out_features)[:, None] - centres
    linear.weight.data = 0.3 * torch.exp(-0.5 * (distance / bins_per_cell).square())
    nn.init.zeros_(linear.bias)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw random weights for all convolutions whose weights are not zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.any():
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
