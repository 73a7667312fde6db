"""The socket types of this pack, each beside the record that it carries.

Reference and pose are tuples, because the host measures the memory of its cached results only
inside lists and tuples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from comfy_api.latest import io
from torch import Tensor

from ...animate_anyone.config import Preset
from ...animate_anyone.networks.condition import References, join_persons, join_references
from ...animate_anyone.pose.networks.sessions import SessionPool
from ...animate_anyone.types import PoseClip, Size
from . import convert
from .host import ModelPatcher


@dataclass(frozen=True)
class Network:
    """A network that runs outside the sampler: ReferenceNet or Pose Guider."""

    patcher: ModelPatcher  # this attribute lets the host find and offload the network
    preset: Preset
    dtype: torch.dtype  # to compute in

    @property
    def module(self) -> Any:
        """Return the network itself."""
        return self.patcher.model


class EncodedPicture(NamedTuple):
    """One reference picture, as input for the denoiser."""

    features: tuple[Tensor, ...]  # one per transformer block: (1, n, c)
    token: Tensor  # (1, 1, d), the picture's image embedding
    strength: float = 1.0  # how much it counts beside the others; 0 leaves it out
    person: int = 0  # whom it shows, if the reference has several persons


class Reference(NamedTuple):
    """The encoded reference pictures of one character, or of each person in a clip."""

    pictures: tuple[EncodedPicture, ...]
    preset: Preset
    persons: PoseClip | None = None  # the motion whose people they show; None: one character

    @property
    def count(self) -> int:
        """Return the number of persons that have pictures."""
        return 1 + max(picture.person for picture in self.pictures)

    def joined(self) -> References:
        """Return the features of all pictures as those of one reference."""
        if self.persons is None:
            return _joined(self.pictures)
        groups = [[p for p in self.pictures if p.person == i] for i in range(self.count)]
        tokens = [next(p.token for p in group if p.strength) for group in groups]
        return join_persons([_joined(group) for group in groups], tokens)

    @property
    def features(self) -> tuple[Tensor, ...]:
        """Return the features of all pictures: one per transformer block, (1, n, c)."""
        return self.joined().features

    @property
    def token(self) -> Tensor:
        """Return the image embedding of the first picture that is not left out, (1, 1, d)."""
        return next(picture.token for picture in self.pictures if picture.strength)


def _joined(pictures: Sequence[EncodedPicture]) -> References:
    strengths = [picture.strength for picture in pictures]
    return join_references([picture.features for picture in pictures], strengths)


class Pose(NamedTuple):
    """The driving motion: features for short clips, for long ones what they are computed from."""

    features: Tensor | None  # (f, c, h, w) on the CPU
    pictures: Tensor | None  # (f, H, W, 3) uint8 on the CPU
    size: Size  # pixels of the video to make
    guider: Network
    skeletons: PoseClip | None = None  # drawn when a window needs them

    def __len__(self) -> int:
        """Return the number of frames."""
        (kept,) = (x for x in (self.features, self.pictures, self.skeletons) if x is not None)
        return len(kept)

    def pictures_of(
        self,
        frames: Sequence[int],
    ) -> Tensor:  # (len(frames), H, W, 3) uint8
        """Return the pictures of these frames, which are kept or drawn now."""
        if self.pictures is not None:
            return convert.take_frames(self.pictures, frames)
        from ...animate_anyone.pose.drawing.draw import draw_pose

        assert self.skeletons is not None
        dimmed = self.guider.preset.dimmed_poses
        return convert.as_tensor(draw_pose(self.skeletons, self.size, frames=frames, dimmed=dimmed))


@dataclass(frozen=True)
class DwPose:
    """The two networks that read poses from pictures; they are loaded at the first use."""

    detector: Path
    estimator: Path
    provider: str  # auto, or a key of PROVIDERS
    channel_order: str  # of CHANNEL_ORDERS
    sessions: SessionPool
    patcher: ModelPatcher  # reserves their memory; lets the host close them


ReferenceNetSocket = io.Custom("AA_REFERENCE_NET")
PoseGuiderSocket = io.Custom("AA_POSE_GUIDER")
ReferenceSocket = io.Custom("AA_REFERENCE")
PoseSocket = io.Custom("AA_POSE")
DwPoseSocket = io.Custom("AA_DWPOSE")
KeypointsSocket = io.Custom("POSE_KEYPOINT")
