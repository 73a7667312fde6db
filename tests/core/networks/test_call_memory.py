"""The least memory of a call is below what a call really has at once."""

import pytest
import torch

from animate_anyone.config import MotionConfig, UNetConfig
from animate_anyone.networks.call_memory import least_working_bytes
from animate_anyone.networks.unet import UNet
from animate_anyone.types import Size
from living_bytes import LivingBytes


@pytest.mark.parametrize("layers", [1, 2])
def test_a_call_has_more_at_once_than_the_least(layers):
    config = UNetConfig(
        block_out_channels=(16, 32, 32),
        attention_levels=(True, True, False),
        layers_per_block=layers,
        heads=2,
        cross_attention_dim=12,
        norm_groups=8,
        motion=MotionConfig(max_frames=6, heads=2, norm_groups=8),
    )
    denoiser, frames = UNet(config).eval(), 3
    with torch.no_grad():
        latents, time = torch.randn(1, 4, frames, 17, 20), torch.tensor([300])
        condition = denoiser.prepare(torch.randn(1, 1, 12), None, None)
        with LivingBytes() as seen:
            denoiser(latents, time, condition, None)
    size = {"frames": frames, "size": Size(160, 136), "value_bytes": 4}
    least = least_working_bytes(config, **size)
    assert 0.4 * seen.most < least < seen.most
    fused = least_working_bytes(config, **size, fused=True)
    assert least_working_bytes(config, **size, smaller_inside=True) < fused < least
