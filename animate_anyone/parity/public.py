"""What the public implementation does otherwise than we do, for comparing and for nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.ddim import walk
from ..diffusion.samplers import Model, Run, StepCallback
from ..diffusion.schedule import NoiseSchedule
from ..diffusion.windows import Window, halving


@dataclass(frozen=True, kw_only=True)
class UniformWindows:
    """The windows of its "uniform" scheduler, frame for frame.

    With a stride above 1 a window can hold a frame twice; the last copy then overwrites the
    others, which therefore have weight 0.
    """

    length: int  # frames in a window
    overlap: int  # frames that neighbours share
    loop: bool  # the last frame is followed by the first one
    stride: int  # the number of window sets; set i takes every 2^i-th frame

    def plan(
        self,
        frames: int,  # length of the clip
        step: int,  # what the scheduler is told; it moves the windows
    ) -> list[Window]:
        """Return the windows; a short clip is one."""
        short = frames <= self.length
        runs = [list(range(frames))] if short else self._runs(frames, halving(step))
        return [Window(tuple(run), _last_copies(run)) for run in runs]

    def _runs(self, frames: int, turn: float) -> list[list[int]]:
        levels = min(self.stride, math.ceil(math.log2(frames / self.length)) + 1)
        pad = round(frames * turn)
        stop = frames + pad - (0 if self.loop else self.overlap)
        runs = []
        for level in range(levels):
            stride = 1 << level
            pace = self.length * stride - self.overlap
            for start in range(int(turn * stride) + pad, stop, pace):
                runs.append([(start + i * stride) % frames for i in range(self.length)])
        return runs


def _last_copies(run: list[int]) -> tuple[float, ...]:
    last = {frame: place for place, frame in enumerate(run)}
    return tuple(float(last[frame] == place) for place, frame in enumerate(run))


def sample_publicly(
    model: Model,
    noise: Tensor,  # (b, c, f, h, w), float32
    schedule: NoiseSchedule,
    steps: int,
    callback: StepCallback | None = None,
) -> Tensor:  # (b, c, f, h, w)
    """Return the end of a DDIM run by our own loop, along the public scheduler's timesteps."""
    run = Run(model, schedule, steps, callback)
    return walk(run, noise, public_following(schedule, steps))


def public_following(schedule: NoiseSchedule, steps: int) -> list[int]:
    """Return where each step of a DDIM run goes; below 0 is the clean end.

    It is t - 1000 // steps, which is no timestep of the run where steps does not divide 1000.
    """
    pace = schedule.config.train_timesteps // steps
    return [timestep - pace for timestep in schedule.timesteps(steps)]


def summed(
    parts: Sequence[Tensor],  # one per window: (b, c, len(window), h, w)
    windows: Sequence[Window],
    total: int,  # frames of the clip
) -> Tensor:  # (b, c, total, h, w)
    """Return the sum of the windows: without guidance it forgets to divide by their count."""
    b, c, _, h, w = parts[0].shape
    whole = parts[0].new_zeros(b, c, total, h, w)
    for part, window in zip(parts, windows, strict=True):
        weights = part.new_tensor(window.weights)[:, None, None]
        whole.index_add_(2, torch.tensor(window.frames, device=part.device), part * weights)
    return whole
