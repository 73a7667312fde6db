"""A tiny weight set for tests: our real networks, with encoders made of plain arithmetic."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from animate_anyone.config import MotionConfig, PoseGuiderConfig, Preset, ScheduleConfig, UNetConfig
from animate_anyone.networks.initialise import initialise
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.unet import UNet
from animate_anyone.weights.load import Models
from animate_anyone.weights.sets.aa_mini import AA_MINI
from plain_encoders import TOKEN, MeanAutoencoder, MeanImageEncoder


@dataclass(frozen=True)
class Tiny:
    """Makes weight sets that share one layout."""

    preset: Preset

    def models(self, seed: int = 0, **changes: object) -> Models:
        """Return networks in which every layer has an effect."""
        preset = replace(self.preset, **changes)
        networks: tuple[nn.Module, ...] = (
            UNet(preset.unet),
            UNet(preset.unet.reference()),
            build_pose_guider(preset.pose_guider),
        )
        generator = torch.Generator().manual_seed(seed)
        for network in networks:
            initialise(network, generator=generator)
            for value in network.parameters():
                if value.ndim > 1 and not value.any():
                    nn.init.normal_(value, std=0.1, generator=generator)
        return Models(preset, *networks, MeanAutoencoder(), MeanImageEncoder())


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """Return the tiny weight set: windows of 4 frames, motion table of 6, 32x48 pixels."""
    motion = MotionConfig(max_frames=6, heads=2, attention_blocks=1, norm_groups=4, ff_mult=1)
    unet = UNetConfig(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        attention_levels=(True, True),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=TOKEN,
        norm_groups=4,
        ff_mult=1,
        motion=motion,
    )
    return Tiny(
        replace(
            AA_MINI,
            name="tiny",
            title="tiny test weights",
            unet=unet,
            pose_guider=PoseGuiderConfig(channels=(4, 4, 4, 4), out_channels=8),
            schedule=ScheduleConfig(prediction_type="v_prediction"),
            window_frames=4,
            width=32,
            height=48,
            steps=3,
            guidance=2.0,
        )
    )


@pytest.fixture(scope="session")
def small(tiny) -> Tiny:
    """Return the tiny weight set with networks of one level, for tests of what a run does."""
    unet = replace(tiny.preset.unet, block_out_channels=(8,), attention_levels=(True,))
    return Tiny(replace(tiny.preset, unet=unet))
