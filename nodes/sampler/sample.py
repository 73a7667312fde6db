"""Work of the sampling nodes: bind a scene to the model, choose noise levels, sample."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...animate_anyone.config import Preset
from ...animate_anyone.diffusion.noise import draw_noise
from ...animate_anyone.diffusion.schedule import NoiseSchedule
from ...animate_anyone.diffusion.strength import Strength
from ...animate_anyone.diffusion.windows import WindowConfig
from ...animate_anyone.errors import InputError, WeightsError
from ...animate_anyone.networks.condition import seen_tokens
from ..comfyui import convert, host
from ..comfyui.sockets import Pose, Reference
from ..page.previews import clip_preview
from .denoiser import ATTENDS, SCENE, preset_of
from .going_on import start_latent
from .scene import Scene, places_of
from .speed import with_interval, with_step_cache
from .windows import add_run_cache, set_windows

TRAILING = "trailing"
Strengths = tuple[()] | tuple[Strength, Strength]


@dataclass(frozen=True)
class VideoNoise:
    """Noise for a whole clip; the host calls `generate_noise` with a latent."""

    seed: int
    shared: float  # 0..1, the part that all frames have in common

    def generate_noise(self, latent: dict[str, Tensor]) -> Tensor:
        """Return noise of the latent's shape, drawn as (1, c, f, h, w) like the core draws it."""
        samples = latent["samples"]
        frames, channels, height, width = samples.shape
        generator = torch.Generator().manual_seed(self.seed)
        shape = (1, channels, frames, height, width)
        return convert.noise_to_rows(draw_noise(shape, generator, shared=self.shared), samples)


def bind(
    model: host.ModelPatcher,
    reference: Reference,
    pose: Pose,
    control_text: list | None = None,  # CONDITIONING that ControlNet reads
    windows: WindowConfig | None = None,  # None: as the model was set before
    strengths: Strengths = (),  # of pose and reference; empty: both count in full
) -> tuple[host.ModelPatcher, list, list, dict[str, Tensor]]:
    """Return MODEL, positive, negative and an empty LATENT for one video.

    The negative half has the pose, no reference, and a zero image token. Both halves hold the same
    `Scene`, so that the host runs them in one call.
    """
    preset = preset_of(model)
    for name, other in (("reference", reference.preset), ("pose", pose.guider.preset)):
        if other.unet.reference() != preset.unet.reference():
            raise InputError(
                f"{name} got one made with {other.title}; the model is {preset.title}. Use the "
                "networks of one Load Models node."
            )
    if windows is not None:
        check_windows(preset, windows)
    model = host.copy_of(model)
    add_run_cache(model)
    if windows is not None:
        set_windows(model, windows, repeat=False)
    shared: dict[str, Any] = {
        SCENE: Scene(reference, pose, *strengths, places=places_of(reference, pose))
    }
    if pose.features is None:
        shared["additional_models"] = [pose.guider.patcher]
    texts = {} if control_text is None else {"cross_attn_controlnet": control_text[0][0]}
    no_token = seen_tokens(reference.token, (False,))
    positive = [[reference.token, {**shared, **texts, ATTENDS: True}]]
    negative = [[no_token, {**shared, **texts, ATTENDS: False}]]
    channels, device = preset.unet.in_channels, host.intermediate_device()
    return model, positive, negative, convert.empty_latent(len(pose), channels, pose.size, device)


def strengths_of(
    pose: tuple[float, float, float],  # strength, from, until
    reference: tuple[float, float, float],
) -> tuple[Strength, Strength]:
    """Return the strengths of pose and reference; ConfigError if they cannot be."""

    def strength(of: str, value: float, start: float, end: float) -> Strength:
        return Strength(of=of, value=value, start=start, end=end)

    return strength("pose", *pose), strength("reference", *reference)


def with_less_work(
    model: host.ModelPatcher, start: float, end: float, every: int
) -> host.ModelPatcher:
    """Return the model with what differs from the defaults: 0, 1 (all steps guided) and 1."""
    if (start, end) != (0, 1):
        model = with_interval(model, start, end)
    return model if every == 1 else with_step_cache(model, every)


def windowed(
    model: host.ModelPatcher, config: WindowConfig, *, repeat_noise: bool = False
) -> host.ModelPatcher:
    """Return a copy of the model that samples in windows; they must fit its motion modules."""
    check_windows(preset_of(model), config)
    model = host.copy_of(model)
    set_windows(model, config, repeat=repeat_noise)
    return model


def check_windows(preset: Preset, config: WindowConfig) -> None:
    """Raise InputError if windows are longer than the motion modules have positions for."""
    motion = preset.unet.motion
    if motion is not None and config.length > motion.max_frames:
        raise InputError(
            f"length got {config.length}; the motion modules of {preset.title} have "
            f"positions for {motion.max_frames} frames. Choose {motion.max_frames} or less."
        )


def trailing_sigmas(
    model: host.ModelPatcher, steps: int, denoise: float = 1.0
) -> Tensor:  # (steps + 1,)
    """Return the noise levels at evenly spread timesteps, beginning at pure noise."""
    schedule = NoiseSchedule(replace(preset_of(model).schedule, spacing="trailing"))
    total = schedule.config.train_timesteps
    if denoise <= 0 or round(steps / denoise) > total:
        raise InputError(
            f"denoise got {denoise} with {steps} steps; steps / denoise must be {total} or less. "
            "Choose a larger denoise or fewer steps."
        )
    return schedule.sigmas(round(steps / denoise))[-(steps + 1) :]


def animate(
    scene: tuple[host.ModelPatcher, list, list, dict[str, Tensor]],  # of `bind`
    noise: VideoNoise,
    *,
    steps: int,
    cfg: float,
    sampler: str,
    scheduler: str,
    start: dict[str, Tensor] | None = None,  # LATENT to start from, with its noise mask
) -> dict[str, Tensor]:
    """Return the LATENT of a finished video."""
    model, positive, negative, latent = scene
    latent = latent if start is None else start_latent(start, latent)
    if scheduler == TRAILING:
        sigmas = trailing_sigmas(model, steps)
    else:
        sigmas = host.stock_sigmas(model, scheduler, steps)
    samples = host.sample(
        model,
        noise=noise.generate_noise(latent),
        latent=latent["samples"],
        conditioning=(positive, negative),
        cfg=cfg,
        sampler=sampler,
        sigmas=sigmas,
        seed=noise.seed,
        noise_mask=latent.get("noise_mask"),
        callback=clip_preview(model, len(latent["samples"]), len(sigmas) - 1),
    )
    if not convert.is_finite(samples):
        raise WeightsError(
            "model got weights whose results are NaN or infinite; they are too large for this "
            "number type, or damaged. Load the models again with dtype bf16 or fp32."
        )
    return {"samples": samples}
