"""Sliding windows inside the host's sampling, for clips longer than the motion modules allow.

The host's own context handler is not used for three reasons: on 0.3.64 it cannot run latents with
frames as batch, it does not split ControlNet's pictures, and by default it adds a frame for which
the motion modules may have no position. Windows are planned and fused by the core.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...animate_anyone.diffusion.fusing import fuse_windows
from ...animate_anyone.diffusion.noise import repeat_noise
from ...animate_anyone.diffusion.windows import WindowConfig, plan_windows
from ...animate_anyone.errors import InputError
from ..comfyui import convert, host
from .denoiser import RUN_CACHE, RunCache

KEY, REPEAT = "animate_anyone", "animate_anyone_repeat_noise"  # of our wrappers


class WindowHandler(host.ContextHandler):
    """Runs the model once per window and averages its predictions for shared frames.

    It holds only numbers, because the host deep-copies it with every copy of the model.
    """

    dim = 0
    freenoise = False  # the host's own shuffle stays off

    def __init__(self, config: WindowConfig) -> None:
        self.config = config
        self.context_length = config.length
        self.context_overlap = config.overlap

    def should_use_context(
        self, model: Any, conds: Any, x_in: Tensor, timestep: Tensor, model_options: Any
    ) -> bool:
        """Return whether the clip is longer than a window."""
        return x_in.shape[0] > self.config.length

    def get_resized_cond(
        self, cond_in: list[dict] | None, x_in: Tensor, window: Any, device: Any = None
    ) -> list[dict] | None:
        """Return the conditions of one guidance half for the frames of one window."""
        frames, total = tuple(window.index_list), x_in.shape[0]
        if cond_in is None:
            return None
        return [windowed_cond(cond, frames, total, {}) for cond in cond_in]

    def execute(
        self,
        calc_cond_batch: Callable[..., list[Tensor]],
        model: Any,
        conds: list[list[dict] | None],
        x_in: Tensor,  # (f, c, h, w)
        timestep: Tensor,  # (f,)
        model_options: dict[str, Any],
    ) -> list[Tensor]:  # one (f, c, h, w) per entry of conds
        """Return the prediction of the whole clip for each guidance half."""
        options = model_options["transformer_options"]
        run = options.get(RUN_CACHE) or RunCache()
        total = x_in.shape[0]
        windows = plan_windows(total, self.config, step_of(options, timestep))
        parts: list[list[Tensor]] = []
        try:
            for window in windows:
                host.check_interrupt()
                options["context_window"] = host.frame_window(window.frames, total)
                halves = [windowed_half(cond, window.frames, total, run) for cond in conds]
                x = convert.take_frames(x_in, window.frames)
                t = convert.take_frames(timestep, window.frames)
                parts.append(calc_cond_batch(model, halves, x, t, model_options))
        finally:
            options.pop("context_window", None)
        return [fuse_windows(half, windows, total, dim=0) for half in zip(*parts, strict=True)]


def step_of(options: Mapping[str, Any], timestep: Tensor) -> int:
    """Return the number of the sampling step, or 0 outside a sampling run."""
    sigmas = options.get("sample_sigmas")
    return 0 if sigmas is None else convert.nearest_step(sigmas, timestep)


def windowed_half(
    cond: list[dict] | None, frames: tuple[int, ...], total: int, run: RunCache
) -> list[dict] | None:
    """Return one guidance half for the frames of a window."""
    return None if cond is None else [windowed_cond(c, frames, total, run.controls) for c in cond]


def windowed_cond(
    cond: Mapping[str, Any], frames: tuple[int, ...], total: int, controls: dict[Any, Any]
) -> dict[str, Any]:
    """Return one condition; everything that exists per frame is cut to the window."""
    result = {}
    for key, value in cond.items():
        if key == "control":
            result[key] = windowed_control(value, frames, total, controls)
        elif key == "model_conds":
            result[key] = {name: _cut_cond(item, frames, total) for name, item in value.items()}
        else:
            result[key] = _cut(value, frames, total)
    return result


def windowed_control(
    control: Any, frames: tuple[int, ...], total: int, cache: dict[Any, Any]
) -> Any:
    """Return a copy of a ControlNet that holds only this window's pictures.

    Both guidance halves get the same copy; otherwise the host would not run them in one call. The
    cache's key holds the original, so that no other object can get its address meanwhile.
    """
    if control is None:
        return None
    key = (control, frames)
    if key not in cache:
        hint = control.cond_hint_original
        if hint is not None and len(hint) not in (1, total):
            raise InputError(
                f"ControlNet's image got {len(hint)} frames for a clip of {total}; give one "
                "picture, or one for every frame."
            )
        cache[key] = copied = copy.copy(control)
        copied.cond_hint = None
        copied.cond_hint_original = _cut(hint, frames, total)
        copied.extra_concat = None
        extra = getattr(control, "extra_concat_orig", [])
        copied.extra_concat_orig = [_cut(value, frames, total) for value in extra]
        previous = getattr(control, "previous_controlnet", None)
        copied.previous_controlnet = windowed_control(previous, frames, total, cache)
    return cache[key]


def _cut(value: Any, frames: tuple[int, ...], total: int) -> Any:
    """Return the window's entries of a tensor with one entry per frame; other values unchanged."""
    if isinstance(value, Tensor) and value.ndim and value.shape[0] == total > 1:
        return convert.take_frames(value, frames)
    return value


def _cut_cond(condition: Any, frames: tuple[int, ...], total: int) -> Any:
    value = getattr(condition, "cond", None)
    cut = _cut(value, frames, total)
    return condition if cut is value else condition._copy_with(cut)


def add_run_cache(model: host.ModelPatcher) -> None:
    """Give each sampling run of the model its own `RunCache`, which is dropped at its end."""
    model.remove_wrappers_with_key(host.Wrappers.SAMPLER_SAMPLE, KEY)
    model.add_wrapper_with_key(host.Wrappers.SAMPLER_SAMPLE, KEY, _with_run_cache)


def set_windows(model: host.ModelPatcher, config: WindowConfig, *, repeat: bool) -> None:
    """Make the model sample in windows; `repeat` starts them all from the same noise."""
    model.model_options["context_handler"] = WindowHandler(config)
    host.budget_memory_per_window(model)
    model.remove_wrappers_with_key(host.Wrappers.SAMPLER_SAMPLE, REPEAT)
    if repeat:
        model.add_wrapper_with_key(host.Wrappers.SAMPLER_SAMPLE, REPEAT, _with_repeated_noise)


def _with_run_cache(
    executor: Any, guider: Any, sigmas: Tensor, extra_args: dict[str, Any], *args: Any, **kw: Any
) -> Tensor:
    options = extra_args["model_options"].setdefault("transformer_options", {})
    options[RUN_CACHE] = RunCache()
    try:
        return executor(guider, sigmas, extra_args, *args, **kw)
    finally:
        options.pop(RUN_CACHE, None)


def _with_repeated_noise(
    executor: Any,
    guider: Any,
    sigmas: Tensor,
    extra_args: dict[str, Any],
    callback: Any,
    noise: Tensor,  # (f, c, h, w)
    *args: Any,
    **kw: Any,
) -> Tensor:
    handler = extra_args["model_options"].get("context_handler")
    if isinstance(handler, WindowHandler):
        windows, seed = handler.config, extra_args.get("seed") or 0
        noise = repeat_noise(noise, windows.length, seed, overlap=windows.overlap, dim=0)
    return executor(guider, sigmas, extra_args, callback, noise, *args, **kw)
