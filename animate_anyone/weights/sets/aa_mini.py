"""aa-mini, the weight set that comes with the pack, and the layout of its ControlNet."""

from dataclasses import replace

from ...config import (
    ControlConfig,
    MotionConfig,
    PoseGuiderConfig,
    Preset,
    ScheduleConfig,
    UNetConfig,
)
from .record import WeightSet

AA_MINI = Preset(
    name="aa-mini",
    title="aa-mini (shipped with the pack; drawn characters, 128 pixels)",
    unet=UNetConfig(
        in_channels=16,
        out_channels=16,
        block_out_channels=(64, 80, 96),
        attention_levels=(True, True, True),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=64,
        norm_groups=8,
        ff_mult=2,
        motion=MotionConfig(max_frames=32, heads=2, attention_blocks=1, norm_groups=8, ff_mult=2),
        position_code=2.0,
    ),
    pose_guider=PoseGuiderConfig(channels=(16, 24, 32, 64), out_channels=64),
    schedule=ScheduleConfig(prediction_type="sample"),
    latent_scale=1.0,
    width=128,
    height=128,
    steps=1,
    guidance=1.0,
    licence="Apache-2.0",
)
# A ControlNet on edges, in aa-mini's layout but narrower: it only has to place an outline.
AA_MINI_EDGES = ControlConfig(
    unet=replace(
        AA_MINI.unet,
        motion=None,
        block_out_channels=(40, 24, 24),
        attention_levels=(False, False, False),
    ),
    hint=PoseGuiderConfig(channels=(8, 16, 24, 40), out_channels=40),
    feeds=AA_MINI.unet,
)
SET = WeightSet.of(AA_MINI, "pack")
