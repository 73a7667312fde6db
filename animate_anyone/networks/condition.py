"""What the denoiser is told beside the noisy frames: the image token, the reference, the pose.

Sampling, training and both fronts say it by these functions, so that they agree on what a row is
that is told nothing of the picture: guidance's unconditional row, and in training a row whose
condition is dropped. Its token is zero and it sees no reference, but it does see the pose (paper,
section 3.2). Everything is differentiable, and what depends on weights alone is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from einops import rearrange
from torch import Tensor, nn

from .unet import PreparedCondition, UNet


class ReferenceNetwork(Protocol):
    """ReferenceNet, or what stands in its place in a variant of the paper's table 3."""

    def reference_features(
        self,
        latents: Tensor,  # (r, c, h, w), in the denoiser's scale
        context: Tensor,  # (r, n, d) image tokens
    ) -> Sequence[Tensor]:  # r rows each
        ...


@dataclass(frozen=True)
class Conditions:
    """All that the denoiser is told of some clips, the same at every step."""

    prepared: PreparedCondition
    pose: Tensor  # (b, c, f, h, w)
    tokens: Tensor  # (b, n, d), zero in rows that do not see the picture


def tell(
    denoiser: UNet,
    tokens: Tensor,  # (b, n, d) image tokens, or (1, n, d) for all rows
    features: Sequence[Tensor] | None,  # ReferenceNet's: 1 row, or one per row that attends
    attends: Sequence[bool],  # (b,) does the row see the picture?
) -> PreparedCondition:
    """Return what the denoiser makes of a picture, for rows that see it and rows that do not.

    It holds for the weights as they are now: tell again after they have changed.
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
    """Return ReferenceNet's features, computed for the rows that see them and no others."""
    rows = [row for row, answer in enumerate(attends) if answer]  # by number: no device waits
    if not rows:
        return None
    return reference_net.reference_features(latents[rows], tokens[rows])


def pose_features(
    pose_guider: nn.Module,
    pictures: Tensor,  # (b, f, 3, H, W) of skeletons, 0..1
) -> Tensor:  # (b, c, f, h, w)
    """Return what the Pose Guider makes of clips, frame by frame, as the denoiser takes it."""
    frames = rearrange(pictures, "b f c H W -> (b f) c H W")
    return as_clips(pose_guider(frames), len(pictures))


def as_clips(
    features: Tensor,  # (b*f, c, h, w), of the Pose Guider
    clips: int = 1,  # b
) -> Tensor:  # (b, c, f, h, w), a view
    """Return the features of single frames as those of clips."""
    return rearrange(features, "(b f) c h w -> b c f h w", b=clips)
