"""The denoiser as a sampler calls it: a clip in windows, with guidance and step cache."""

import logging
from collections.abc import Sequence
from functools import partial

import torch
from einops import repeat
from torch import Tensor

from ..diffusion.fusing import predict_in_windows
from ..diffusion.guidance import guide
from ..diffusion.step_cache import StepCache, place_of_features
from ..diffusion.windows import Window, plan_windows
from ..memory import free_memory, free_on
from ..networks.call_memory import cache_bytes, working_bytes
from ..networks.condition import pose_at_strength
from ..protocols import Progress
from ..types import Size
from .condition import PoseFeatures, ReferenceCondition
from .settings import PIXELS_PER_LATENT, Networks, Sampling

logger = logging.getLogger(__name__)


class ClipPrediction:
    """The model of one sampling run of a clip."""

    def __init__(
        self,
        models: Networks,
        condition: ReferenceCondition,
        pose: PoseFeatures,
        sampling: Sampling,
        shape: torch.Size,  # of the latents: (1, c, f, h, w)
        progress: Progress | None = None,  # called after each window of each step
        places: Tensor | None = None,  # (f, h, w) the person that each belongs to, see `Persons`
    ) -> None:
        self.models, self.condition, self.pose, self.sampling = models, condition, pose, sampling
        self.like = next(models.denoiser.parameters())
        self.frames, steps = shape[2], sampling.steps
        self.places = places
        self.guided_steps = sampling.interval.steps(steps) if condition.guided else range(0)
        self.cache = None if sampling.step_cache == 1 else self._step_cache(shape)
        self._progress, self._done = progress, 0
        plans = (plan_windows(self.frames, sampling.windows, step) for step in range(steps))
        self._total = sum(len(windows) for windows in plans)

    def __call__(
        self,
        latents: Tensor,  # (1, c, f, h, w)
        timestep: int,
        step: int,
    ) -> Tensor:  # (1, c, f, h, w)
        """Return the guided prediction of the whole clip."""
        plan = step if self.cache is None else self.cache.begin(step)
        windows = plan_windows(self.frames, self.sampling.windows, plan)
        run = partial(self._of_windows, step, timestep)
        per_call = self.sampling.windows_per_call
        return predict_in_windows(run, latents, windows, windows_per_call=per_call)

    def _of_windows(
        self,
        step: int,
        timestep: int,
        latents: Tensor,  # (k, c, f, h, w)
        windows: Sequence[Window],
    ) -> Tensor:  # (k, c, f, h, w)
        guided, (posed, seen) = step in self.guided_steps, self._strengths(step)
        count = 2 if guided else 1
        rows = repeat(latents.to(self.like), "k c f h w -> (rows k) c f h w", rows=count)
        poses = torch.cat([self.pose.of(window.frames) for window in windows])
        if len(windows) > 1:
            poses = repeat(poses, "k c f h w -> (rows k) c f h w", rows=count)
        poses = pose_at_strength(poses, posed)
        timesteps = torch.full((len(rows),), timestep, device=self.like.device)
        condition = self.condition.for_windows(len(windows), guided=guided, strength=seen)
        if self.places is not None:
            theirs = torch.stack([self.places[[*window.frames]] for window in windows])
            condition = condition.with_places(theirs.repeat(count, 1, 1, 1).to(self.like.device))
        if self.cache is None:
            prediction = self.models.denoiser(rows, timesteps, condition, poses)
        else:
            halves = ("unconditional", "conditional")[-count:]
            same = (posed, seen)  # features of another strength are not used
            rows_of = [(half, one.frames, same) for half in halves for one in windows]
            names = self.cache.names(rows_of)
            deep = self.cache.find(names)
            prediction, kept = self.models.denoiser.predict(
                rows, timesteps, condition, poses, deep=deep
            )
            if deep is None:
                self.cache.keep(names, kept)
        self._report(len(windows))
        if not guided:
            return prediction.float()
        unconditional, conditional = prediction.float().chunk(2)
        return guide(unconditional, conditional, self.sampling.guidance)

    def _strengths(self, step: int) -> tuple[float, float]:
        """Return how much pose and reference count at a step."""
        both = (self.sampling.pose_strength, self.sampling.reference_strength)
        posed, seen = (strength.at(step, self.sampling.steps) for strength in both)
        return posed, seen

    def _report(self, windows: int) -> None:
        self._done += windows
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _step_cache(self, shape: torch.Size) -> StepCache:
        """Return the run's step cache; InputError if there is not enough memory for it."""
        sampling, config = self.sampling, self.models.preset.unet
        size = Size(PIXELS_PER_LATENT * shape[4], PIXELS_PER_LATENT * shape[3])
        rows, value = 2 if self.guided_steps else 1, self.like.itemsize
        windows = plan_windows(self.frames, sampling.windows)
        needed = cache_bytes(
            config, frames=sum(map(len, windows)), size=size, rows=rows, value_bytes=value
        )
        device, in_computer = self.like.device, free_memory()
        free = free_on(device)
        if free is not None:
            call = len(windows[0]) * min(sampling.windows_per_call, len(windows))
            free -= working_bytes(config, frames=call, size=size, rows=rows, value_bytes=value)
        place = place_of_features(needed, device, free, in_computer)
        logger.info("step cache: %.0f MB of features are kept on %s", needed / 1e6, place.type)
        return StepCache(sampling.step_cache, sampling.steps, place)
