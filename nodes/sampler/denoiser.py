"""The denoising UNet as a MODEL: frames as batch, one conditioning record per guidance half."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import torch
from torch import Tensor

from ...animate_anyone.config import Preset, ScheduleConfig
from ...animate_anyone.diffusion.step_cache import StepCache
from ...animate_anyone.errors import InputError
from ...animate_anyone.networks.condition import References, as_clips, pose_at_strength
from ...animate_anyone.networks.levels import Level
from ...animate_anyone.networks.unet import PreparedCondition, UNet
from ...animate_anyone.protocols import AttentionFunction
from ..comfyui import convert, host
from ..comfyui.attention import attend
from .conditions import sees_reference, tell_foreign
from .patches import CallInputs, HostPatches, Place
from .scene import (
    SceneCondition,
    SceneRows,
    places_at,
    reference_area,
    strengths_at,
    usage_factor,
)

SCENE = "animate_anyone_scene"
ATTENDS = "animate_anyone_attends"
RUN_CACHE = "animate_anyone_run"  # key in the host's transformer options
STEP_CACHE = "animate_anyone_step_cache"  # likewise: the run's `StepCache`, if it has one
# What makes the denoiser look for patches; a replaced attention reads in which block it runs.
PATCHED = ("patches", "patches_replace", "optimized_attention_override")
Control = Mapping[str, list[Tensor | None]] | None  # ControlNet's residuals, as the host sorts them
BETAS = {"linear": "sqrt_linear", "scaled_linear": "linear"}  # diffusers' names to the host's


@dataclass
class RunCache:
    """Values that are computed once in a sampling run and reused at its later steps."""

    prepared: dict[Any, PreparedCondition] = field(default_factory=dict)
    whole: dict[UUID, UUID] = field(
        default_factory=dict
    )  # window's identity of a condition: clip's


def host_attention(options: Mapping[str, Any]) -> AttentionFunction:
    """Return the host's attention; `options` may hold replacements by other nodes."""

    def run(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
        return attend(query, key, value, options, bias)

    return run


class HostDenoiser(UNet):
    """The denoising UNet behind the signature that the host calls.

    It is a subclass, not a wrapper, so that weights and LoRA keep their names.
    """

    def __init__(
        self,
        *,
        preset: Preset,
        operations: Any,
        dtype: torch.dtype,
        device: torch.device | None = None,
        **_: Any,  # added by the host to every configuration
    ) -> None:
        super().__init__(preset.unet, operations=operations, dtype=dtype, device=device)
        # The host and other nodes read these.
        self.dtype, self.in_channels = dtype, preset.unet.in_channels

    def forward(
        self,
        x: Tensor,  # (b*f, c, h, w)
        timesteps: Tensor,  # (b*f,)
        context: Tensor,  # (b*f, n, d)
        control: Control = None,
        transformer_options: Mapping[str, Any] | None = None,
        **conditions: Any,  # from `extra_conds` and from other nodes
    ) -> Tensor:  # (b*f, c, h, w)
        """Return the prediction for every frame of a guidance pair's clips."""
        options = dict(transformer_options or {})
        wrappers = host.get_wrappers(host.Wrappers.DIFFUSION_MODEL, options)
        executor = host.WrapperExecutor.new_class_executor(self._denoise, self, wrappers)
        return executor.execute(x, timesteps, context, control, options, **conditions)

    def _denoise(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        control: Control,
        transformer_options: dict[str, Any],
        scene: SceneRows | None = None,
        **_: Any,
    ) -> Tensor:
        clips = len(transformer_options.get("cond_or_uncond", (0,)))
        latents = convert.rows_to_clips(x, clips)
        frames = window_frames(transformer_options, latents.shape[2], scene)
        rows, context = context, convert.first_frames(context, clips)
        down, mid = residuals(control)
        posed, seen = strengths_at(scene, transformer_options)
        pose = None if scene is None else pose_features(scene, frames, latents)
        condition = self._condition(context, scene, transformer_options).at_strength(seen)
        if (places := places_at(scene, frames)) is not None:
            condition = condition.with_places(places.to(latents.device))
        inputs = (
            latents,
            convert.first_frames(timesteps, clips),
            condition,
            None if pose is None else pose_at_strength(pose, posed),
        )
        changes: dict[str, Any] = {
            "down_residuals": down,
            "mid_residual": mid,
            "attention": host_attention(transformer_options),
            "patches": self._patches(
                transformer_options, CallInputs(x, timesteps, rows, input_residuals(control))
            ),
        }
        cache: StepCache | None = transformer_options.get(STEP_CACHE)
        if cache is None:
            return convert.clips_to_rows(super().forward(*inputs, **changes))
        same = (*frames, posed, seen)  # features of another strength are not used
        names = cache.names(row_names(transformer_options, same, scene, latents))
        deep = cache.find(names)
        output, kept = self.predict(*inputs, deep=deep, **changes)
        if deep is None:
            cache.keep(names, kept)
        return convert.clips_to_rows(output)

    def _patches(self, options: dict[str, Any], inputs: CallInputs) -> HostPatches | None:
        """Return what other nodes change inside the network in this call; None: nothing."""
        if not (inputs.residuals or any(options.get(key) for key in PATCHED)):
            return None
        return HostPatches(options, inputs, self.config, self._places())

    def _places(self) -> dict[Place, int]:
        """Return the channels of all transformers by their block, in order of execution."""
        levels = cast(Iterable[Level], (*self.down_blocks, self.mid_block, *self.up_blocks))
        return {
            (level.kind, level.number + number): self.config.block_out_channels[level.level]
            for level in levels
            for number in range(len(level.attentions))
        }

    def _condition(
        self, context: Tensor, scene: SceneRows | None, options: Mapping[str, Any]
    ) -> PreparedCondition:
        """Return context and reference prepared with this run's weights, cached for the run."""
        run: RunCache | None = options.get(RUN_CACHE)
        whole = {} if run is None else run.whole
        conditions = [whole.get(each, each) for each in options.get("uuids", ())]
        key = (*conditions, context.dtype, context.device)
        if run is not None and conditions and key in run.prepared:
            return run.prepared[key]
        # `context` holds the image tokens: `bind` has put them into the conditions of both halves.
        joined = References(()) if scene is None else scene.scene.reference.joined()
        features = None if scene is None else joined.features
        attends = (False,) * len(context) if scene is None else scene.attends
        persons = joined.persons and [
            replace(person, token=person.token.to(context)) for person in joined.persons
        ]
        prepared = self.prepare(context, features, attends, joined.bias, persons)
        if run is not None and conditions:
            run.prepared[key] = prepared
        return prepared


class AnimateAnyoneModel(host.BaseModel):
    """The denoiser as the host's model class: noise schedule, conditions and memory."""

    def __init__(self, config: "ModelConfig", preset: Preset, device: Any = None) -> None:
        kind = model_type(preset.schedule)
        super().__init__(config, kind, device=device, unet_model=HostDenoiser)
        self.preset = preset
        self.memory_usage_factor_conds = ("scene",)
        if preset.schedule.prediction_type == "sample":
            self.model_sampling = host.CleanModelSampling(config)

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """Return the conditions of one guidance half as the denoiser's arguments."""
        conditions = super().extra_conds(**kwargs)
        half = kwargs.get("prompt_type", "positive")
        if SCENE in kwargs:
            scene, attends = kwargs[SCENE], bool(kwargs[ATTENDS])
            token, context = scene.reference.token, kwargs.get("cross_attn")
            if context is not None:
                attends = sees_reference(token, context, attends=attends, half=half)
            conditions["scene"] = SceneCondition(SceneRows(scene, (attends,), None))
        else:
            tell_foreign(half)
        return conditions

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, list[int]]:
        """Return the shapes from which the host estimates memory before sampling."""
        if not kwargs.get(ATTENDS):
            return {}
        return {"scene": [reference_area(kwargs[SCENE])]}

    def _apply_model(self, x: Tensor, t: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # Hooks change weights within a run, so nothing that depends on weights may be cached.
        if getattr(self.current_patcher, "current_hooks", None) is not None:
            args, kwargs = without_run_cache(args, kwargs)
        return super()._apply_model(x, t, *args, **kwargs)


def preset_of(model: host.ModelPatcher) -> Preset:
    """Return the preset of a MODEL; a model of another kind is an InputError."""
    if not isinstance(model.model, AnimateAnyoneModel):
        raise InputError(
            f"model got a {type(model.model).__name__}; connect the model of Load Models (Animate "
            "Anyone)."
        )
    return model.model.preset


class ModelConfig(host.SupportedModel):
    """The configuration that the host's model class expects."""

    def __init__(self, preset: Preset, rgb_factors: Mapping[str, Any] | None = None) -> None:
        # No `num_res_blocks`: with it the host expects LoRA names of the original SD layout.
        # FreeU finds its blocks by `model_channels`.
        width = preset.unet.block_out_channels[0]
        super().__init__({"preset": preset, "model_channels": width})
        schedule = preset.schedule
        self.sampling_settings = {
            "beta_schedule": BETAS[schedule.beta_schedule],
            "linear_start": schedule.beta_start,
            "linear_end": schedule.beta_end,
            "timesteps": schedule.train_timesteps,
            "zsnr": schedule.zero_snr,
        }
        self.latent_format = latent_format(preset, rgb_factors or {})
        self.memory_usage_factor = usage_factor(preset.unet)


def latent_format(preset: Preset, rgb_factors: Mapping[str, Any]) -> host.LatentFormat:
    """Return how the preset's latents are scaled and previewed."""
    if preset.unet.in_channels == 4:
        return host.Sd15Latents(preset.latent_scale)
    result = host.LatentFormat()
    result.scale_factor = preset.latent_scale
    result.latent_channels = preset.unet.in_channels
    result.latent_rgb_factors = rgb_factors.get("factors")
    result.latent_rgb_factors_bias = rgb_factors.get("bias")
    return result


def model_type(schedule: ScheduleConfig) -> host.ModelType:
    """Return the host's name of a prediction type; it has none for `sample`."""
    epsilon = schedule.prediction_type == "epsilon"
    return host.ModelType.EPS if epsilon else host.ModelType.V_PREDICTION


def without_run_cache(args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Return the arguments of a model call without the run's cache in its options."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict) and RUN_CACHE in value:
            return {key: item for key, item in value.items() if key != RUN_CACHE}
        return value

    return tuple(map(clean, args)), {key: clean(value) for key, value in kwargs.items()}


def row_names(
    options: Mapping[str, Any],  # the host's transformer options of this call
    same: tuple[float, ...],  # frames and strengths
    scene: SceneRows | None,
    latents: Tensor,  # (b, c, f, h, w)
) -> list[Hashable]:
    """Return for each row what its features depend on besides noise and timestep.

    Other nodes' patches are part of it: PerturbedAttentionGuidance computes a condition a second
    time with other attention, whose features must not mix with the first.
    """
    patches = [
        (kind, *(id(patch) for patch in found))
        for kind, found in options.get("patches", {}).items()
    ]
    for kind, replaced in options.get("patches_replace", {}).items():
        patches += [(kind, place, id(patch)) for place, patch in replaced.items()]
    shared = (
        same,
        None if scene is None else scene.area,
        tuple(latents.shape[2:]),
        latents.dtype,
        latents.device,
        tuple(patches),
    )
    conditions = options.get("uuids") or range(len(latents))
    return [(condition, *shared) for condition in conditions]


def window_frames(
    options: Mapping[str, Any], frames: int, scene: SceneRows | None
) -> Sequence[int]:
    """Return the frame numbers that this call processes: those of the context window, or all."""
    window = options.get("context_window")
    total = frames if scene is None else len(scene.scene.pose)
    if window is None:
        indices = range(frames)
    else:
        anchor = getattr(window, "causal_anchor_index", None)
        first = [] if anchor is None or anchor < 0 else [anchor]
        indices = [*first, *window.index_list]
    if len(indices) != frames or max(indices) >= total or (window is None and frames != total):
        raise InputError(
            f"latent got {frames} frames, the pose has {total}; they must agree. Use the LATENT "
            "of Apply, without batch nodes between it and the sampler."
        )
    return indices


def pose_features(
    rows: SceneRows,
    frames: Sequence[int],
    latents: Tensor,  # (b, c, f, h, w); their size, device and dtype are used
) -> Tensor:  # (1, C0, f, h, w)
    """Return the driving motion of these frames, cropped like the latents."""
    pose = rows.scene.pose
    if pose.features is not None:
        features = convert.take_frames(pose.features, frames)
    else:
        pictures, guider = pose.pictures_of(frames), pose.guider
        seen = convert.bytes_to_frames(pictures, latents.device, guider.dtype)
        features = guider.module(seen)
    features = convert.crop(features, rows.area)
    if features.shape[2:] != latents.shape[3:]:
        height, width = (8 * side for side in latents.shape[3:])
        raise InputError(
            f"latent got {width}x{height} pixels, the pose is for {pose.size.width}x"
            f"{pose.size.height}; they must agree. Use the LATENT of Apply, or encode the pose "
            "again at the latent's size."
        )
    return as_clips(features.to(latents))


def input_residuals(control: Control) -> list[Tensor | None]:
    """Return T2I-Adapter's residuals for the blocks on the way down, the last block first."""
    found = list((control or {}).get("input", []))
    return found if any(value is not None for value in found) else []


def residuals(control: Control) -> tuple[list[Tensor | None] | None, Tensor | None]:
    """Return ControlNet's residuals as the UNet takes them: per skip connection, and mid."""
    if not control:
        return None, None
    down = list(control.get("output", []))
    middle = [value for value in control.get("middle", []) if value is not None]
    return down if any(value is not None for value in down) else None, (middle or [None])[-1]
