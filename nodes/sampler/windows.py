"""Sliding windows inside the host's sampling, for clips longer than the motion modules allow.

The host's own context handler is not used for three reasons: on 0.3.64 it cannot run latents with
frames as batch, it does not split ControlNet's pictures, and by default it adds a frame for which
the motion modules may have no position. Windows are planned and fused by the core.
"""

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid5

from torch import Tensor

from ...animate_anyone.diffusion.fusing import fuse_windows
from ...animate_anyone.diffusion.noise import repeat_noise
from ...animate_anyone.diffusion.windows import WindowConfig, plan_windows
from ...animate_anyone.errors import InputError
from ..comfyui import convert, host
from ..comfyui.room import require_room_to_sample
from .conditions import tell_same_halves
from .denoiser import RUN_CACHE, STEP_CACHE, RunCache
from .going_on import hold
from .patches import PATCH_RECORD, PatchRecord, prepare_patches
from .suited import easycache_fault, tell_temporal, tell_unsuited

log = logging.getLogger(__name__)

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
        return WindowCut(tuple(window.index_list), x_in.shape[0]).half(cond_in)

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
        total = x_in.shape[0]
        windows = plan_windows(total, self.config, self._step(options, timestep))
        parts: list[list[Tensor]] = []
        try:
            for window in windows:
                host.check_interrupt()
                options["context_window"] = host.frame_window(window.frames, total)
                cut = WindowCut(window.frames, total, options.get(RUN_CACHE))
                halves = [cut.half(cond) for cond in conds]
                x = convert.take_frames(x_in, window.frames)
                t = convert.take_frames(timestep, window.frames)
                parts.append(calc_cond_batch(model, halves, x, t, model_options))
        finally:
            options.pop("context_window", None)
        return [fuse_windows(half, windows, total, dim=0) for half in zip(*parts, strict=True)]

    def _step(self, options: Mapping[str, Any], timestep: Tensor) -> int:
        """Return the step for which windows are planned.

        The host's EasyCache keeps a result for each window, so the windows must stay the same. Our
        step cache keeps features for each window, until the next full call.
        """
        if (cache := options.get(STEP_CACHE)) is not None:
            return cache.group
        if self.config.shift and getattr(options.get("easycache"), "name", "") == "EasyCache":
            if step_of(options, timestep) == 0:
                log.warning("Context Windows: EasyCache is used, so the windows do not shift.")
            return 0
        return step_of(options, timestep)


def step_of(options: Mapping[str, Any], timestep: Tensor) -> int:
    """Return the number of the sampling step, or 0 outside a sampling run."""
    sigmas = options.get("sample_sigmas")
    return 0 if sigmas is None else convert.nearest_step(sigmas, timestep)


class WindowCut:
    """Cuts conditions to the frames of one window; it lives as long as the window is computed.

    Both guidance halves get the same copy of a ControlNet, otherwise the host would not run them
    in one call. A copy holds its own part of the pictures, on the card too, so it is not kept.
    """

    def __init__(self, frames: tuple[int, ...], total: int, run: RunCache | None = None) -> None:
        self.frames, self.total, self.run = frames, total, run
        self._controls: dict[Any, Any] = {}  # copies by original

    def half(self, cond: list[dict] | None) -> list[dict] | None:
        """Return one guidance half for this window."""
        return None if cond is None else [self.cond(each) for each in cond]

    def cond(self, cond: Mapping[str, Any]) -> dict[str, Any]:
        """Return one condition; everything that exists per frame is cut to the window."""
        result = {}
        for key, value in cond.items():
            if key == "control":
                result[key] = self.control(value)
            elif key == "model_conds":
                result[key] = {name: self._model_cond(item) for name, item in value.items()}
            elif key == "uuid":
                result[key] = self._uuid(value)
            else:
                result[key] = self._cut(value)
        return result

    def control(self, control: Any) -> Any:
        """Return a copy of a ControlNet, and of its clones on other cards, for this window."""
        if control is None:
            return None
        if control not in self._controls:
            hint = control.cond_hint_original
            if hint is not None and len(hint) not in (1, self.total):
                raise InputError(
                    f"ControlNet's image got {len(hint)} frames for a clip of {self.total}; give "
                    "one picture, or one for every frame."
                )
            self._controls[control] = copied = copy.copy(control)
            copied.cond_hint = None
            copied.cond_hint_original = self._cut(hint)
            copied.control_input = None  # where T2I-Adapter keeps its result for the pictures
            copied.extra_concat = None
            extra = getattr(control, "extra_concat_orig", [])
            copied.extra_concat_orig = [self._cut(value) for value in extra]
            copied.previous_controlnet = self.control(getattr(control, "previous_controlnet", None))
            clones = getattr(control, "multigpu_clones", {})
            copied.multigpu_clones = {card: self.control(clone) for card, clone in clones.items()}
        return self._controls[control]

    def _uuid(self, value: UUID) -> UUID:
        """Return the condition's identity in this window.

        The host's EasyCache keeps a result per identity; windows must not share one. The run
        remembers the whole clip's identity, under which the denoiser keeps what all windows share.
        """
        own = uuid5(value, repr(self.frames))
        if self.run is not None:
            self.run.whole[own] = value
        return own

    def _cut(self, value: Any) -> Any:
        """Return the window's entries of a tensor with one entry per frame; others unchanged."""
        if isinstance(value, Tensor) and value.ndim and value.shape[0] == self.total > 1:
            return convert.take_frames(value, self.frames)
        return value

    def _model_cond(self, condition: Any) -> Any:
        value = getattr(condition, "cond", None)
        cut = self._cut(value)
        return condition if cut is value else condition._copy_with(cut)


def add_run_cache(model: host.ModelPatcher) -> None:
    """Give each sampling run of the model its own `RunCache` and record of patches.

    A sampler or scheduler that does not suit is told in the log when a run begins.
    """
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
    executor: Any,
    guider: Any,
    sigmas: Tensor,
    extra_args: dict[str, Any],
    callback: Any,
    noise: Tensor,  # (f, c, h, w)
    *args: Any,
    **kw: Any,
) -> Tensor:
    tell_same_halves(getattr(guider, "conds", {}))
    prepare_patches(extra_args["model_options"], len(noise))
    model = getattr(guider, "model_patcher", None)
    tell_unsuited(
        executor.class_obj, sigmas, getattr(getattr(model, "model", None), "preset", None)
    )
    tell_temporal(getattr(model, "patches", {}))
    options = extra_args["model_options"].setdefault("transformer_options", {})
    options[RUN_CACHE], options[PATCH_RECORD] = RunCache(), PatchRecord()
    latent, mask = (*args, None, None)[:2]
    handler = extra_args["model_options"].get("context_handler")
    config = handler.config if isinstance(handler, WindowHandler) else None
    _require_room(model, noise, config, extra_args["model_options"])
    hold(extra_args, latent, mask, config)
    try:
        result = executor(guider, sigmas, extra_args, callback, noise, *args, **kw)
        options[PATCH_RECORD].tell()
        return result
    except RuntimeError as error:
        if why := easycache_fault(error):
            raise InputError(why) from error
        raise
    finally:
        options.pop(RUN_CACHE, None)
        options.pop(PATCH_RECORD, None)


def _require_room(
    model: Any, noise: Tensor, config: WindowConfig | None, options: Mapping[str, Any]
) -> None:
    """Raise InputError if a run can never fit into this machine's memory."""
    preset = getattr(getattr(model, "model", None), "preset", None)
    if preset is not None and noise.ndim == 4:
        window = None if config is None else config.length
        require_room_to_sample(model, preset.unet, tuple(noise.shape), window, options)


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
