"""The noise that sampling starts from: partly shared by all frames, or repeated in shuffled order.

With noise that frames have in common, temporal layers produce less motion. All functions keep
every value standard normal.
"""

import math

import torch
from torch import Tensor

from ..errors import InputError


def draw_noise(
    shape: tuple[int, int, int, int, int],  # (b, c, f, h, w)
    generator: torch.Generator,  # on the CPU, so that a seed means the same on every device
    *,
    shared: float = 0.0,  # 0..1, the part of the variance that all frames have in common
) -> Tensor:  # (b, c, f, h, w), float32, CPU
    """Return standard normal noise; any two frames have the correlation `shared`.

    Each frame's own part is drawn first, so it does not depend on `shared`.
    """
    if not 0 <= shared <= 1:
        raise InputError(f"shared got {shared}; it must lie in 0..1.")
    own = torch.randn(shape, generator=generator)
    if shared == 0:
        return own
    b, c, _, h, w = shape
    common = torch.randn((b, c, 1, h, w), generator=generator)
    return math.sqrt(shared) * common + math.sqrt(1 - shared) * own


def repeat_noise(
    noise: Tensor,  # (b, c, f, h, w)
    length: int,  # frames of a window
    seed: int,  # for shuffling; independent of the generator that drew the noise
    *,
    overlap: int = 0,  # frames that neighbouring windows share
    dim: int = 2,  # the dimension of the frames
) -> Tensor:  # same shape
    """Return the noise of the first window repeated, each time in another order (FreeNoise).

    Frames from `length` on are replaced, one stride (length - overlap) at a time, by the frames
    one window earlier, shuffled. So windows far apart start from the same noise and agree more on
    what does not move, while neighbouring windows move differently. A clip of one window is
    returned unchanged.
    """
    if not 0 <= overlap < length:
        raise InputError(f"overlap got {overlap}; it must be in 0..{length - 1} (window length).")
    generator = torch.Generator().manual_seed(seed)
    stride, total = length - overlap, noise.shape[dim]
    order = list(range(min(length, total)))
    while len(order) < total:
        earlier = order[len(order) - length :][:stride]
        order += [earlier[i] for i in torch.randperm(len(earlier), generator=generator).tolist()]
    return noise.index_select(dim, torch.tensor(order[:total], device=noise.device))
