"""What the host's conditioning nodes make of Apply's conditioning: put right, told or refused.

Such a node changes the image token, which is a tensor, but keeps or drops the scene as a whole.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...animate_anyone.errors import InputError

log = logging.getLogger(__name__)

TEXT_TOKENS = 77  # CLIP's texts have a multiple of them


def tell_foreign(half: str) -> None:
    """Log that a guidance half has no scene."""
    log.warning(
        "%s is no conditioning of Apply Reference and Pose, so this half is sampled without "
        "reference and pose. Connect %s of Apply. ConditioningConcat and ConditioningAverage keep "
        "the scene of `conditioning_to` alone.",
        half,
        half,
    )


def sees_reference(
    token: Tensor,  # (1, n, d) of the reference
    context: Tensor,  # (1, m, d) what the conditioning holds now
    *,
    attends: bool,  # what Apply had written into the conditioning
    half: str,  # positive or negative; other names from guiders with more of them
) -> bool:
    """Return whether a guidance half sees the reference.

    A zeroed token in the negative (ConditioningZeroOut) means no picture, as in training: without
    this both halves would see the reference, and guidance would do nothing.
    """
    context = context.detach()
    token = token.detach().to(context)
    if attends and half == "negative" and not context.any() and token.any():
        log.info("negative has a zeroed image token, so it does not see the reference either.")
        return False
    if context.shape[1] > token.shape[1]:
        _refuse_joined(token.shape[1], context.shape[1], half)
    elif not _same_direction(token * attends, context):
        log.warning(
            "%s has another image token than its reference, as ConditioningAverage makes it. Only "
            "the token is mixed: of the pictures, that of `conditioning_to` alone is seen. For two "
            "references use ConditioningCombine, which averages their predictions.",
            half,
        )
    return attends


def tell_same_halves(conds: Mapping[str, Sequence[Mapping[str, Any]] | None]) -> None:
    """Log that the negative half sees the picture of the positive one; `conds` are a guider's."""
    seen = [_pictures(conds.get(half) or ()) for half in ("positive", "negative")]
    if seen[0] & seen[1]:
        log.warning(
            "negative sees the reference picture as positive does, so guidance does nothing. "
            "Connect the negative of Apply Reference and Pose."
        )


def _pictures(conds: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the identities of the scenes whose reference these conditions attend to."""
    scenes = [cond.get("model_conds", {}).get("scene") for cond in conds]
    return {id(one.rows.scene) for one in scenes if one is not None and any(one.rows.attends)}


def _refuse_joined(own: int, count: int, half: str) -> None:
    """Refuse another reference's tokens; tell of a text's, which change only cross-attention."""
    if (count - own) % TEXT_TOKENS:
        raise InputError(
            f"{half} got {count} image tokens, its reference has {own}; ConditioningConcat joins "
            "the tokens and loses the second picture. For two references use ConditioningCombine, "
            "which averages their predictions."
        )
    log.warning(
        "%s got %d tokens of a text by ConditioningConcat. These networks know no texts, so what "
        "they make of them is left to chance; take it out if the result is worse.",
        half,
        count - own,
    )


def _same_direction(token: Tensor, context: Tensor) -> bool:
    """Return whether each row of the context is the token, or the token times a number."""
    if context.shape[1:] != token.shape[1:]:
        return False
    scale = (context * token).sum((1, 2), keepdim=True) / token.square().sum().clamp(min=1e-12)
    return torch.allclose(context, scale * token, rtol=1e-2, atol=1e-3 * float(token.abs().max()))
