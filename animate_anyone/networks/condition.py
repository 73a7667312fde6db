"""The denoiser's conditions: the image token, the reference, the pose.

Sampling, training, command line and nodes all use these functions, so that a row without the
picture is the same everywhere: guidance's unconditional row, and in training a row whose condition
is dropped. Its token is zero and it does not attend to the reference, but it has the pose (paper,
section 3.2). All functions are differentiable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from einops import rearrange
from torch import Tensor, nn

from .unet import PreparedCondition, UNet


class ReferenceNetwork(Protocol):
    """The interface of ReferenceNet and of its replacements in the variants of table 3."""

    def reference_features(
        self,
        latents: Tensor,  # (r, c, h, w), in the denoiser's scale
        context: Tensor,  # (r, n, d) image tokens
    ) -> Sequence[Tensor]:  # r rows each
        ...


@dataclass(frozen=True)
class Conditions:
    """The conditions of some clips, the same at every step."""

    prepared: PreparedCondition
    pose: Tensor  # (b, c, f, h, w)
    tokens: Tensor  # (b, n, d), zero in rows that do not see the picture


def prepare_condition(
    denoiser: UNet,
    tokens: Tensor,  # (b, n, d) image tokens, or (1, n, d) for all rows
    features: Sequence[Tensor] | None,  # ReferenceNet's: 1 row, or one per row that attends
    attends: Sequence[bool],  # (b,) whether the row has the picture
) -> PreparedCondition:
    """Return the denoiser's keys and values for rows with and without the picture.

    They depend on the denoiser's present weights: prepare again after the weights have changed.
    """
    return denoiser.prepare(seen_tokens(tokens, attends), features, attends)


def seen_tokens(
    tokens: Tensor,  # (b or 1, n, d)
    attends: Sequence[bool],  # (b,)
) -> Tensor:  # (b, n, d)
    """Return the image tokens that the rows see: zeros in those that do not see the picture."""
    return tokens * tokens.new_tensor(attends)[:, None, None]


def seen_features(
    reference_net: ReferenceNetwork,
    latents: Tensor,  # (b, c, h, w), in the denoiser's scale
    tokens: Tensor,  # (b, n, d) image tokens
    attends: Sequence[bool],  # (b,)
) -> Sequence[Tensor] | None:  # one row for each that attends; None where none does
    """Return ReferenceNet's features, computed only for the rows that attend to them."""
    # Indexing by a list of numbers needs no synchronisation with the device, a mask would.
    rows = [row for row, answer in enumerate(attends) if answer]
    if not rows:
        return None
    return reference_net.reference_features(latents[rows], tokens[rows])


def pose_features(
    pose_guider: nn.Module,
    pictures: Tensor,  # (b, f, 3, H, W) of skeletons, 0..1
) -> Tensor:  # (b, c, f, h, w)
    """Return the Pose Guider's features of clips in the denoiser's layout."""
    frames = rearrange(pictures, "b f c H W -> (b f) c H W")
    return as_clips(pose_guider(frames), len(pictures))


def as_clips(
    features: Tensor,  # (b*f, c, h, w), of the Pose Guider
    clips: int = 1,  # b
) -> Tensor:  # (b, c, f, h, w), a view
    """Return features of single frames reshaped to clips."""
    return rearrange(features, "(b f) c h w -> b c f h w", b=clips)
