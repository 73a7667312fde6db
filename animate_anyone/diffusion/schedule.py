"""The noise schedule: one object for both training stages and for sampling."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..config import ScheduleConfig
from ..errors import ConfigError, InputError
from .sampler_table import find_sampler

if TYPE_CHECKING:
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

# Replaces an alpha of 0 (pure noise) where a finite sigma is needed; ComfyUI uses the same value.
SMALLEST_ALPHA = 4.8973451890853435e-08


class NoiseSchedule:
    """The shares of picture and noise in a noisy sample at each timestep.

    noisy = sqrt(a) clean + sqrt(1 - a) noise, with a = alphas_cumprod[timestep]. The tables are
    float32 on the CPU; results have the device and dtype of the samples.
    """

    betas: Tensor  # (train_timesteps,)
    alphas_cumprod: Tensor  # (train_timesteps,), falling from about 1

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config
        betas = _betas(config)
        if config.zero_snr:
            betas = _rescale_to_zero_snr(betas)
        self.betas = betas
        self.alphas_cumprod = torch.cumprod(1.0 - betas, dim=0)

    def add_noise(
        self,
        clean: Tensor,  # (b, ...)
        noise: Tensor,  # same shape
        timesteps: int | Tensor,  # one, (b,), or (b, f) for (b, c, f, h, w)
    ) -> Tensor:
        """Return the clean sample with the noise of these timesteps added."""
        signal, spread = self._parts(timesteps, clean)
        return signal * clean + spread * noise

    def target(self, clean: Tensor, noise: Tensor, timesteps: int | Tensor) -> Tensor:
        """Return what the network is trained to predict; parameters as for `add_noise`."""
        if self.config.prediction_type == "epsilon":
            return noise
        if self.config.prediction_type == "sample":
            return clean
        signal, spread = self._parts(timesteps, clean)
        return signal * noise - spread * clean

    def to_clean(self, output: Tensor, noisy: Tensor, timesteps: int | Tensor) -> Tensor:
        """Return the clean sample that follows from the network's output."""
        if self.config.prediction_type == "sample":
            return output
        signal, spread = self._parts(timesteps, noisy)
        if self.config.prediction_type == "v_prediction":
            return signal * noisy - spread * output
        self._refuse_pure_noise(timesteps)
        return (noisy - spread * output) / signal

    def to_noise(self, output: Tensor, noisy: Tensor, timesteps: int | Tensor) -> Tensor:
        """Return the noise that follows from the network's output."""
        if self.config.prediction_type == "epsilon":
            return output
        signal, spread = self._parts(timesteps, noisy)
        if self.config.prediction_type == "v_prediction":
            return spread * noisy + signal * output
        return (noisy - signal * output) / spread

    def output_for(self, clean: Tensor, noisy: Tensor, timesteps: int | Tensor) -> Tensor:
        """Return the network's output from which `to_clean` gives this clean sample."""
        if self.config.prediction_type == "sample":
            return clean
        signal, spread = self._parts(timesteps, noisy)
        if self.config.prediction_type == "v_prediction":
            return (signal * noisy - clean) / spread
        return (noisy - signal * clean) / spread

    def snr(self, timesteps: int | Tensor) -> Tensor:
        """Return the signal-to-noise ratio a / (1 - a), for loss weights."""
        alphas = self.alphas_cumprod[self._index(timesteps)]
        return alphas / (1.0 - alphas)

    def timesteps(self, steps: int) -> list[int]:
        """Return the timesteps of a sampling run, from noisy to clean."""
        total = self.config.train_timesteps
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= total:
            raise InputError(f"steps got {steps!r}; it must be a whole number in 1..{total}.")
        if self.config.spacing == "trailing":
            # arange can return one value too many, hence [:steps]. Rounding at another place would
            # give slightly different timesteps.
            return (np.round(np.arange(total, 0, -total / steps))[:steps].astype(int) - 1).tolist()
        stride = total // steps
        offset = min(self.config.steps_offset, total - 1 - (steps - 1) * stride)
        return [i * stride + offset for i in reversed(range(steps))]

    def sigmas(self, steps: int) -> Tensor:  # (steps + 1,), float32, falling to 0
        """Return noise over signal at each step's timestep, then 0.

        At zero signal-to-noise ratio the first one would be infinite; it is 4518.8 instead.
        """
        alphas = self.alphas_cumprod[self.timesteps(steps)].clamp(min=SMALLEST_ALPHA)
        return torch.cat([((1 - alphas) / alphas).sqrt(), torch.zeros(1)])

    def scheduler(self, sampler: str) -> "SchedulerMixin":
        """Return a diffusers scheduler that is configured like this schedule."""
        entry = find_sampler(sampler)
        import diffusers

        config = self.config
        return getattr(diffusers, entry.scheduler)(
            num_train_timesteps=config.train_timesteps,
            beta_start=config.beta_start,
            beta_end=config.beta_end,
            beta_schedule=config.beta_schedule,
            prediction_type=config.prediction_type,
            timestep_spacing=config.spacing,
            steps_offset=config.steps_offset,
            rescale_betas_zero_snr=config.zero_snr,
            **entry.options,
        )

    def _parts(self, timesteps: int | Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return sqrt(a) and sqrt(1 - a), shaped to multiply `like`."""
        alphas = self.alphas_cumprod[self._index(timesteps)]
        if alphas.ndim == 1:
            alphas = alphas.reshape(-1, *[1] * (like.ndim - 1))
        elif alphas.ndim == 2:
            alphas = alphas[:, None, :, None, None]
        signal, spread = alphas.sqrt(), (1.0 - alphas).sqrt()
        return signal.to(like), spread.to(like)

    def _index(self, timesteps: int | Tensor) -> Tensor:
        index = torch.as_tensor(timesteps, device="cpu").long()
        total = self.config.train_timesteps
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < total:
            raise InputError(f"timesteps got {timesteps}; they must lie in 0..{total - 1}.")
        return index

    def _refuse_pure_noise(self, timesteps: int | Tensor) -> None:
        if not self.alphas_cumprod[self._index(timesteps)].all():
            raise ConfigError(
                "prediction_type got 'epsilon' with zero_snr; the noisiest timestep holds nothing "
                "of the picture, so the picture cannot be computed from its noise. Choose "
                "v_prediction or sample, or zero_snr=False."
            )


def _betas(config: ScheduleConfig) -> Tensor:
    if config.beta_schedule not in _BETA_RULES:
        raise ConfigError(
            f"beta_schedule got {config.beta_schedule!r}; choose {' or '.join(_BETA_RULES)}."
        )
    if not 0 < config.beta_start <= config.beta_end < 1:
        raise ConfigError(
            f"beta_start and beta_end got {config.beta_start} and {config.beta_end}; "
            f"they must rise within 0..1."
        )
    return _BETA_RULES[config.beta_schedule](config)


def _linear(config: ScheduleConfig) -> Tensor:
    return torch.linspace(config.beta_start, config.beta_end, config.train_timesteps)


def _scaled_linear(config: ScheduleConfig) -> Tensor:
    ends = config.beta_start**0.5, config.beta_end**0.5
    return torch.linspace(*ends, config.train_timesteps) ** 2


def _rescale_to_zero_snr(betas: Tensor) -> Tensor:
    """Shift and stretch sqrt(alphas_cumprod) so that it ends at 0 (arXiv 2305.08891, alg. 1)."""
    roots = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = roots[0].clone(), roots[-1].clone()
    products = ((roots - last) * (first / (first - last))) ** 2
    alphas = torch.cat([products[:1], products[1:] / products[:-1]])
    return 1.0 - alphas


_BETA_RULES: dict[str, Callable[[ScheduleConfig], Tensor]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
}
