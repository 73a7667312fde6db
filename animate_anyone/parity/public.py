"""Where the public implementation differs from ours; used only to compare the two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.ddim import ddim_along
from ..diffusion.samplers import Model, Run, StepCallback
from ..diffusion.schedule import NoiseSchedule
from ..diffusion.windows import Window, van_der_corput


@dataclass(frozen=True, kw_only=True)
class UniformWindows:
    """The windows of the "uniform" scheduler, frame for frame.

    With a stride above 1 a window can hold a frame twice. The public code then keeps the last
    copy, so the others have weight 0 here.
    """

    length: int  # frames in a window
    overlap: int  # frames that neighbouring windows share
    loop: bool  # the last frame is followed by the first one
    stride: int  # the number of window sets; set i takes every 2^i-th frame

    def plan(
        self,
        frames: int,  # length of the clip
        step: int,  # the sampling step; it moves the windows
    ) -> list[Window]:
        """Return the windows; a short clip is one window."""
        short = frames <= self.length
        lists = [list(range(frames))] if short else self._lists(frames, van_der_corput(step))
        return [Window(tuple(numbers), _last_copies(numbers)) for numbers in lists]

    def _lists(self, frames: int, fraction: float) -> list[list[int]]:
        """Return the frame numbers of every window, moved by a fraction (0..1) of the clip."""
        levels = min(self.stride, math.ceil(math.log2(frames / self.length)) + 1)
        offset = round(frames * fraction)
        stop = frames + offset - (0 if self.loop else self.overlap)
        lists = []
        for level in range(levels):
            stride = 1 << level
            distance = self.length * stride - self.overlap
            for start in range(int(fraction * stride) + offset, stop, distance):
                lists.append([(start + i * stride) % frames for i in range(self.length)])
        return lists


def _last_copies(numbers: list[int]) -> tuple[float, ...]:
    """Return 1 for the last copy of each frame number, 0 for earlier copies."""
    last = {frame: place for place, frame in enumerate(numbers)}
    return tuple(float(last[frame] == place) for place, frame in enumerate(numbers))


def public_sample(
    model: Model,
    noise: Tensor,  # (b, c, f, h, w), float32
    schedule: NoiseSchedule,
    steps: int,
    callback: StepCallback | None = None,
) -> Tensor:  # (b, c, f, h, w)
    """Return the latents at the end of a DDIM run along the public scheduler's timesteps."""
    run = Run(model, schedule, steps, callback)
    return ddim_along(run, noise, public_next_timesteps(schedule, steps))


def public_next_timesteps(schedule: NoiseSchedule, steps: int) -> list[int]:
    """Return the timestep that each DDIM step goes to; below 0 means clean latents.

    It is t - 1000 // steps. Where steps does not divide 1000, the run has no such timestep.
    """
    stride = schedule.config.train_timesteps // steps
    return [timestep - stride for timestep in schedule.timesteps(steps)]


def public_sum(
    parts: Sequence[Tensor],  # one per window: (b, c, len(window), h, w)
    windows: Sequence[Window],
    total: int,  # frames of the clip
) -> Tensor:  # (b, c, total, h, w)
    """Return the sum of the windows' predictions.

    Without guidance the public code does not divide the sum by the number of windows.
    """
    b, c, _, h, w = parts[0].shape
    whole = parts[0].new_zeros(b, c, total, h, w)
    for part, window in zip(parts, windows, strict=True):
        weights = part.new_tensor(window.weights)[:, None, None]
        whole.index_add_(2, torch.tensor(window.frames, device=part.device), part * weights)
    return whole
