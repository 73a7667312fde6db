"""A tiny run of training in a process of its own: to be killed, or to be one of several.

Usage: run_tiny.py FOLDER DATA CONFIG.json [--die-at STEP]

It dies in the backward pass after so many whole steps.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from animate_anyone.config import MotionConfig, PoseGuiderConfig, Preset, ScheduleConfig, UNetConfig
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.sources.shards import Shards

PRESET = Preset(
    name="tiny",
    title="tiny",
    unet=UNetConfig(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        attention_levels=(True, True),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=16,
        norm_groups=4,
        ff_mult=1,
        motion=MotionConfig(max_frames=6, heads=2, attention_blocks=1, norm_groups=4, ff_mult=1),
    ),
    pose_guider=PoseGuiderConfig(channels=(4, 4, 8, 8), out_channels=8),
    schedule=ScheduleConfig(prediction_type="v_prediction"),
)

# Windows has no SIGKILL; there SIGTERM ends a process at once, and nothing in it can object.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def main(folder: str, data: str, config: str, die_at: int) -> None:
    settings = TrainingConfig.read(Path(config))
    # The number is what it was; but once it is set, MKL no longer takes fewer threads as it likes.
    torch.set_num_threads(torch.get_num_threads())
    trainer = Trainer(settings, Path(folder), PRESET, Surroundings())

    def die(_gradient: Tensor) -> None:
        if trainer.step == die_at:
            os.kill(os.getpid(), KILL)

    next(iter(trainer.parameters.values())).register_hook(die)
    trainer.run(Shards(Path(data), consecutive=settings.stage == 2))


if __name__ == "__main__":
    died = int(sys.argv[5]) if len(sys.argv) > 5 else -1
    main(*sys.argv[1:4], died)
