"""The networks as in the paper's section 3.2, for your own weights; none are published."""

from dataclasses import replace

from ...config import MotionConfig, PoseGuiderConfig
from .moore import MOORE
from .record import WeightSet
from .stable_diffusion import SD15_UNET

PAPER = replace(
    MOORE,
    name="paper",
    title="Layout of the paper's section 3.2 (own training)",
    unet=replace(SD15_UNET, motion=MotionConfig(max_frames=24)),
    pose_guider=PoseGuiderConfig(form="paper", channels=(16, 32, 64, 128), out_channels=4),
    licence="that of your own weights",
)
SET = WeightSet.of(PAPER, "own")
