"""The networks of the paper's Table 3: ways to condition a denoiser on the reference.

Every pair of networks supports the calls that training and `animate` share:
`reference_net.reference_features`, `denoiser.prepare`, `denoiser(...)`. In every variant, a row of
the batch that does not attend to the reference receives no information from it.
"""

import difflib
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..config import UNetConfig
from ..errors import ConfigError
from ..networks.control.controlnet import ControlledUNet, ControlNet, HintEncoder
from ..networks.initialise import initialise
from ..networks.unet import PreparedCondition, UNet
from ..protocols import AttentionFunction, Look

Variant = Literal[
    "reference_net",
    "clip",
    "controlnet",  # its ControlNet gets the driving pose besides the reference
    "clip_controlnet",
    "blind_controlnet",  # its ControlNet gets the reference alone, as the paper describes
    "clip_blind_controlnet",
]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


class TokenUNet(UNet):
    """A denoiser that sees the image token and nothing else of the reference."""

    def prepare(
        self,
        context: Tensor,  # (b, n, d) image tokens
        reference: Sequence[Tensor] | None = None,  # ignored, as is `attends`
        attends: Sequence[bool] | None = None,
    ) -> PreparedCondition:
        """Return the prepared image token; it is computed once for all steps."""
        return super().prepare(context)


class _Unfilled:
    """Layers as torch's, whose weights stay unset: `initialise_variant` sets all of them.

    torch would first draw random weights of its own, which takes seconds at full size.
    """

    GroupNorm, LayerNorm = nn.GroupNorm, nn.LayerNorm

    class Linear(nn.Linear):
        def reset_parameters(self) -> None:
            pass

    class Conv2d(nn.Conv2d):
        def reset_parameters(self) -> None:
            pass


class NoReference(nn.Module):
    """Takes the place of ReferenceNet; it has no weights and returns no features."""

    def reference_features(self, latents: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        return ()


def build_variant(
    variant: Variant,
    unet: UNetConfig,  # the denoiser's
    attention: AttentionFunction,
    *,
    checkpointing: bool = False,  # recompute each layer in the backward pass
) -> tuple[UNet, nn.Module]:
    """Return denoiser and reference net of one row of the table; see `initialise_variant`."""
    _check_name(variant)
    options: dict[str, Any] = {"attention": attention, "checkpointing": checkpointing}
    if variant == "reference_net":
        options["operations"] = _Unfilled
        return UNet(unet, **options), UNet(unet.reference(), **options)
    if variant == "clip":
        return TokenUNet(unet, **options), NoReference()
    options |= {"image_token": uses_image_token(variant), "sees_pose": "blind" not in variant}
    denoiser = ControlledUNet(unet, **options)
    return denoiser, HintEncoder(unet)


def uses_image_token(variant: Variant) -> bool:
    """Return whether the variant uses the image token; if not, no gradient reaches the encoder."""
    _check_name(variant)
    return variant not in ("controlnet", "blind_controlnet")


def initialise_variant(
    denoiser: nn.Module,
    reference_net: nn.Module,
    generator: torch.Generator | None = None,
    *,
    tie_query_key: bool = False,
    look: Look | None = None,  # as for `initialise`
) -> None:
    """Initialise both networks; a ControlNet starts as a copy of the encoder with zero outputs."""
    for network in (denoiser, reference_net):
        initialise(network, generator=generator, tie_query_key=tie_query_key, look=look)
        for part in network.modules():
            if isinstance(part, ControlNet | HintEncoder):
                part.start_from_zero()
    if isinstance(denoiser, ControlledUNet):
        denoiser.copy_encoder()


def _check_name(variant: str) -> None:
    if variant not in VARIANTS:
        nearest = difflib.get_close_matches(variant, VARIANTS, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"variant got {variant!r}; known variants are {', '.join(VARIANTS)}. Did you mean "
            f"{nearest!r}?"
        )
