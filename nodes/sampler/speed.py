"""Sampling with less work: guidance in a part of the run, and the step cache.

Both are wrappers of the host around a sampling run and around each evaluation of the model, so
they act with every sampler.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ...animate_anyone.diffusion.guidance import GuidanceInterval
from ...animate_anyone.diffusion.step_cache import StepCache, place_of_features
from ...animate_anyone.diffusion.windows import plan_windows
from ...animate_anyone.errors import InputError
from ...animate_anyone.memory import free_memory
from ...animate_anyone.networks.call_memory import cache_bytes
from ...animate_anyone.types import Size
from ..comfyui import convert, host
from .denoiser import STEP_CACHE, preset_of

log = logging.getLogger(__name__)

INTERVAL, CACHE = "animate_anyone_interval", "animate_anyone_step_cache"  # of our wrappers


def set_interval(model: host.ModelPatcher, interval: GuidanceInterval) -> None:
    """Make the model guide only a part of its runs; an interval that was set before is replaced."""
    for kind in (host.Wrappers.SAMPLER_SAMPLE, host.Wrappers.PREDICT_NOISE):
        model.remove_wrappers_with_key(kind, INTERVAL)
    if interval.whole:
        return
    begin, call = partial(_tell_guidance, interval), partial(_guide_inside, interval)
    model.add_wrapper_with_key(host.Wrappers.SAMPLER_SAMPLE, INTERVAL, begin)
    model.add_wrapper_with_key(host.Wrappers.PREDICT_NOISE, INTERVAL, call)


def set_step_cache(model: host.ModelPatcher, every: int) -> None:
    """Make the model compute every so many calls in full; 1 takes the step cache out."""
    for kind in (host.Wrappers.SAMPLER_SAMPLE, host.Wrappers.PREDICT_NOISE):
        model.remove_wrappers_with_key(kind, CACHE)
    if every == 1:
        return
    model.add_wrapper_with_key(host.Wrappers.SAMPLER_SAMPLE, CACHE, partial(_with_cache, every))
    model.add_wrapper_with_key(host.Wrappers.PREDICT_NOISE, CACHE, _begin_call)


def with_interval(model: host.ModelPatcher, start: float, end: float) -> host.ModelPatcher:
    """Return a copy of the model that guides only a part of its runs, in shares of the steps."""
    interval = GuidanceInterval(start=start, end=end)
    model = host.copy_of(model)
    set_interval(model, interval)
    return model


def with_step_cache(model: host.ModelPatcher, every: int) -> host.ModelPatcher:
    """Return a copy of the model with a step cache; InputError if it is of another kind."""
    preset_of(model)
    model = host.copy_of(model)
    set_step_cache(model, every)
    return model


def _tell_guidance(
    interval: GuidanceInterval,
    executor: Callable[..., Tensor],
    guider: Any,
    sigmas: Tensor,  # (steps + 1,)
    extra_args: dict[str, Any],
    *args: Any,
    **kw: Any,
) -> Tensor:
    """Check the interval for this run, and log what keeps it from saving work."""
    interval.steps(len(sigmas) - 1)
    if not host.guides_by_cfg(guider):
        log.warning(
            "Guidance Interval: %s computes its conditionings itself, so the interval changes "
            "nothing. Use KSampler, SamplerCustom or CFGGuider.",
            type(guider).__name__,
        )
    elif guider.cfg == 1:
        log.warning("Guidance Interval: cfg is 1, which guides no step; it changes nothing.")
    elif extra_args["model_options"].get("disable_cfg1_optimization"):
        log.warning(
            "Guidance Interval: another node needs the unconditional half at every step, so it is "
            "computed outside of the interval too."
        )
    return executor(guider, sigmas, extra_args, *args, **kw)


def _guide_inside(
    interval: GuidanceInterval,
    executor: Any,
    x: Tensor,
    timestep: Tensor,
    model_options: dict[str, Any],
    *args: Any,
    **kw: Any,
) -> Tensor:
    sigmas, guider = model_options["transformer_options"]["sample_sigmas"], executor.class_obj
    inside = convert.step_at(sigmas, timestep) in interval.steps(len(sigmas) - 1)
    if inside or not host.guides_by_cfg(guider):
        return executor(x, timestep, model_options, *args, **kw)
    usual, guider.cfg = guider.cfg, 1.0  # with 1 the host leaves out the unconditional half
    try:
        return executor(x, timestep, model_options, *args, **kw)
    finally:
        guider.cfg = usual


def _with_cache(
    every: int,
    executor: Callable[..., Tensor],
    guider: Any,
    sigmas: Tensor,  # (steps + 1,)
    extra_args: dict[str, Any],
    callback: Any,
    noise: Tensor,  # (f, c, h, w)
    *args: Any,
    **kw: Any,
) -> Tensor:
    if len(sigmas) < 2:  # no step: the host's samplers return the latents as they are
        return executor(guider, sigmas, extra_args, callback, noise, *args, **kw)
    options = extra_args["model_options"].setdefault("transformer_options", {})
    _refuse_others(options, guider)
    windows = extra_args["model_options"].get("context_handler")
    place = _place(guider, windows, noise)
    options[STEP_CACHE] = StepCache(every, len(sigmas) - 1, place)
    try:
        return executor(guider, sigmas, extra_args, callback, noise, *args, **kw)
    finally:
        options.pop(STEP_CACHE, None)


def _begin_call(
    executor: Callable[..., Tensor],
    x: Tensor,
    timestep: Tensor,
    model_options: dict[str, Any],
    *args: Any,
    **kw: Any,
) -> Tensor:
    options = model_options["transformer_options"]
    cache: StepCache | None = options.get(STEP_CACHE)
    if cache is not None:
        cache.begin(convert.step_at(options["sample_sigmas"], timestep))
    return executor(x, timestep, model_options, *args, **kw)


def _refuse_others(options: Mapping[str, Any], guider: Any) -> None:
    """Raise InputError for what cannot work beside a step cache."""
    other = options.get("easycache")
    if other is not None:
        raise InputError(
            f"step_cache got a model with {getattr(other, 'name', 'EasyCache')}; each would build "
            "on features that the other has left out. Take one of them out."
        )
    if changes_weights_within_run(guider.conds):
        raise InputError(
            "step_cache got a conditioning with hooks whose strength changes within the run; "
            "features of other weights would be used again. Take out the hook keyframes, or choose "
            "step_cache 1."
        )


def changes_weights_within_run(conds: Mapping[str, Sequence[Mapping[str, Any]] | None]) -> bool:
    """Return whether conditionings have hooks whose strength changes during the run."""
    groups = [cond.get("hooks") for half in conds.values() for cond in half or ()]
    hooks = [hook for group in groups if group is not None for hook in group.hooks]
    keyframes = [hook.hook_keyframe.keyframes for hook in hooks]
    return any(len(each) > 1 or any(one.start_percent for one in each) for each in keyframes)


def _place(guider: Any, handler: Any, noise: Tensor) -> Any:
    """Return the device on which features are kept; InputError if there is no memory for them."""
    model = guider.inner_model
    frames, _, rows, columns = noise.shape
    config = getattr(handler, "config", None)  # of our windows; the host's are of one length
    counts = [frames] if config is None else [len(one) for one in plan_windows(frames, config)]
    halves = sum(len(cond or ()) for cond in guider.conds.values())
    needed = cache_bytes(
        model.preset.unet,
        frames=sum(counts),
        size=Size(8 * columns, 8 * rows),
        rows=halves,
        value_bytes=host.compute_dtype(model).itemsize,
    )
    device, in_computer = guider.model_patcher.load_device, free_memory()
    working = model.memory_required([halves * max(counts), *noise.shape[1:]])
    place = place_of_features(needed, device, host.free_on(device) - working, in_computer)
    where = "the card" if place.type != "cpu" else "the computer"
    log.info("Step Cache: %.0f MB of features are kept in the memory of %s.", needed / 1e6, where)
    return place
