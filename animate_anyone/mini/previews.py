"""Preview colours of latents: a linear map from their channels to RGB, used while sampling."""

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..drawn.clip import paint_clip
from ..media import to_pixels
from ..protocols import Autoencoder
from ..types import Size

CELL = 8  # pixels of a latent's side
PREVIEW_SEED = 10_000_019  # not used for the characters of any training run


def preview_colours(
    autoencoder: Autoencoder,
    *,
    characters: int = 48,
    size: Size,
) -> dict[str, list]:
    """Return `factors`, (c, 3), and `bias`, (3,), that predict a latent cell's mean colour.

    Colours are -1..1 as ComfyUI's previews expect. Least squares over drawn characters.
    """
    rng = np.random.default_rng(PREVIEW_SEED)
    pictures = [paint_clip(rng, np.zeros(1), size)[0].picture for _ in range(characters)]
    frames = to_pixels(np.stack(pictures))
    latents = _cells(autoencoder.encode(frames).float())
    colours = _cells(torch.nn.functional.avg_pool2d(frames, CELL)) * 2 - 1
    known = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    found = torch.linalg.lstsq(known, colours).solution
    rounded = [[round(value, 5) for value in row] for row in found.tolist()]
    return {"factors": rounded[:-1], "bias": rounded[-1]}


def _cells(
    maps: Tensor,  # (f, c, h, w)
) -> Tensor:  # (f*h*w, c)
    return rearrange(maps, "f c h w -> (f h w) c")
