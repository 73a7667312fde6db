"""What stays of a picture: kept outside a mask to the pixel, sampled inside and a little around."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..media import to_pixels
from .kept import Kept
from .settings import PIXELS_PER_LATENT, Networks

SAMPLED_MARGIN = 1  # latent cells around the mask that are sampled too, so that the seam fits


@dataclass(frozen=True)
class FrameInputs:
    """What one frame is made from."""

    pose: np.ndarray  # (H, W, 3) uint8, a picture of skeletons
    behind: np.ndarray | None = None  # (H, W, 3) uint8 RGB, what stays outside the mask
    mask: np.ndarray | None = None  # (H, W) uint8: 255 what is made, 0 what stays
    regions: np.ndarray | None = None  # (p, H, W) bool, where each of p persons is


def composite(
    frames: np.ndarray,  # (f, H, W, 3) uint8 RGB
    inputs: Sequence[FrameInputs],  # f
) -> np.ndarray:  # (f, H, W, 3) uint8 RGB
    """Return frames with what stays put back: exactly where the mask is 0, mixed at its edge."""
    if all(each.behind is None or each.mask is None for each in inputs):
        return frames
    result = frames.copy()
    for row, each in enumerate(inputs):
        if each.behind is not None and each.mask is not None:
            share = each.mask[..., None].astype(np.float32) / 255
            mixed = np.rint(share * frames[row] + (1 - share) * each.behind).astype(np.uint8)
            result[row] = np.where(share > 0, mixed, each.behind)
    return result


@torch.no_grad()
def kept_background(
    models: Networks,
    inputs: Sequence[FrameInputs],
) -> Kept | None:
    """Return the latents of what stays; None if nothing stays."""
    if any(each.behind is None or each.mask is None for each in inputs):
        return None
    assert models.autoencoder is not None
    latents: list[Tensor] = []
    before: np.ndarray | None = None
    for each in inputs:
        assert each.behind is not None
        if each.behind is not before:  # a still background is encoded once
            encoded = models.autoencoder.encode(to_pixels(each.behind[None])).float().cpu()
            before = each.behind
        latents.append(encoded)
    masks = np.stack([each.mask for each in inputs if each.mask is not None])
    return Kept(torch.cat(latents).movedim(0, 1)[None], ~sampled_cells(masks))


def sampled_cells(
    masks: np.ndarray,  # (f, H, W) uint8, both multiples of 8
) -> Tensor:  # (1, 1, f, h, w) bool
    """Return which cells of the latents are sampled: those that a mask touches, and around them."""
    touched = functional.max_pool2d(torch.from_numpy(masks > 0).float()[:, None], PIXELS_PER_LATENT)
    around = 2 * SAMPLED_MARGIN + 1
    grown = functional.max_pool2d(touched, around, stride=1, padding=SAMPLED_MARGIN)
    return (grown > 0).movedim(1, 0)[None]
