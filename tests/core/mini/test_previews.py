"""Latents to colours."""

import torch

from animate_anyone.mini.previews import CELL, preview_colours
from animate_anyone.types import Size


class LinearAutoencoder:
    """Latents that are the mean colours, stretched and shifted."""

    def encode(self, frames):
        colours = torch.nn.functional.avg_pool2d(frames, CELL) * 2 - 1
        return colours * 4 + 1

    def decode(self, latents):
        raise NotImplementedError


def test_a_linear_encoding_is_undone_exactly():
    found = preview_colours(LinearAutoencoder(), characters=4, size=Size(64, 64))
    assert torch.allclose(torch.tensor(found["factors"]), torch.eye(3) / 4, atol=1e-3)
    assert torch.allclose(torch.tensor(found["bias"]), torch.full((3,), -0.25), atol=1e-3)
