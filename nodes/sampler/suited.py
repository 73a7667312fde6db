"""Which of the host's samplers and schedulers do not suit a schedule that starts from pure noise.

The first noise level of zero terminal SNR is about 4519. Samplers that take a middle step between
it and the next level need close levels; `dpm_fast` and `dpm_adaptive` choose levels of their own.
With aa-mini they reach 7 to 17 dB at 4 steps, where the others reach 28 to 35 (against 60 steps).
"""

import logging
import traceback
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...animate_anyone.animate import too_few_steps
from ...animate_anyone.config import Preset

log = logging.getLogger(__name__)

PURE_NOISE = 100.0  # from this first noise level on, sampling starts from nothing but noise
LAST_LEVEL = 20.0  # a larger last level leaves nearly all of the picture to a single step

# Steps that a sampler needs, by the name of its function in the host; None: no number suffices.
NEEDED_STEPS: Mapping[str, int | None] = {
    "sample_heun": 8,
    "sample_dpm_2_ancestral": 8,
    "dpm_fast_function": None,
    "dpm_adaptive_function": None,
}


def unsuited(
    sampler: Any,  # of the host
    sigmas: Tensor,  # (steps + 1,), falling
) -> str | None:
    """Return in a sentence why the result will be wrong, or None."""
    steps = len(sigmas) - 1
    if steps < 1 or float(sigmas[0]) < PURE_NOISE:
        return None
    function = getattr(getattr(sampler, "sampler_function", None), "__name__", "")
    name = function.removeprefix("sample_").removesuffix("_function")
    if function in NEEDED_STEPS:
        needed = NEEDED_STEPS[function]
        if needed is None:
            return f"{name} does not suit sampling from pure noise; expect noise. Choose euler."
        if steps < needed:
            return (
                f"{name} with {steps} steps gives wrong colours or noise; it needs {needed} or "
                "more. Choose euler, or more steps."
            )
    if steps > 1 and float(sigmas[-1]) == 0 and float(sigmas[-2]) > LAST_LEVEL:
        return (
            f"the last noise level is {float(sigmas[-2]):.0f}, as of the scheduler "
            "linear_quadratic; colours will be wrong. Choose trailing or simple."
        )
    return None


def easycache_fault(error: RuntimeError) -> str | None:
    """Return in words that an older ComfyUI's EasyCache failed; None for any other error.

    It adds what it kept of one half of guidance to both halves, which fits only single pictures.
    """
    places = traceback.extract_tb(error.__traceback__)
    if not places or places[-1].name != "apply_cache_diff":
        return None
    return (
        f"EasyCache got both halves of guidance in one call ({error}); this ComfyUI can keep them "
        "only of single pictures. Use LazyCache, set cfg to 1, or update ComfyUI."
    )


def tell_temporal(
    patches: Mapping[str, list[tuple[Any, ...]]],  # of a MODEL's weights, by their names
) -> None:
    """Log one line if UNetTemporalAttentionMultiply was used: half of its values find no layer.

    It multiplies the last layers of both attentions alone; other such nodes multiply queries too.
    """
    last, query = (
        [
            sum(_multiplies(one) for one in found)
            for key, found in patches.items()
            if key.endswith(tuple(f"{name}.{layer}.weight" for name in ("attn1", "attn2")))
        ]
        for layer in ("to_out.0", "to_q")
    )
    if sum(last) > sum(query):
        log.warning(
            "UNetTemporalAttentionMultiply: self_temporal and cross_temporal are for the layers of "
            "Stable Video Diffusion and change nothing here. Leave them at 1."
        )


def _multiplies(patch: tuple[Any, ...]) -> bool:
    """Return whether a patch of a weight only multiplies it: it adds nothing, 0.0 times."""
    return patch[0] == 0.0 and isinstance(patch[1], tuple | list) and patch[1][0] is None


def tell_unsuited(
    sampler: Any,
    sigmas: Tensor,
    preset: Preset | None,  # of the weights, if known
) -> None:
    """Log one line if sampler, noise levels or the number of steps do not suit."""
    why = unsuited(sampler, sigmas)
    if why is None and preset is not None and len(sigmas) > 1 and float(sigmas[0]) >= PURE_NOISE:
        why = too_few_steps(len(sigmas) - 1, preset.steps)
    if why:
        log.warning("Animate Anyone: %s", why)
