"""Several persons in a clip, each with a reference picture: which places belong to whom."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..pose.drawing.hull import PoseMask
from ..types import Points, PoseClip, Size
from .settings import PIXELS_PER_LATENT

USUAL_MARGIN = 0.06  # around the hulls of a person's limbs, a share of the frame's shorter side


def regions_of(
    clip: PoseClip,
    size: Size,  # of the frames; the clip is scaled evenly and centred in it
    margin: float = USUAL_MARGIN,
) -> np.ndarray:  # (f, p, H, W) bool
    """Return where each person of the clip is: the hulls of the limbs with a margin."""
    mask = PoseMask(margin=margin, feather=0.0)
    people = range(clip.body.xy.shape[1])
    if not people:
        raise InputError(
            "persons got a motion in which nobody was found, so no reference belongs to anybody. "
            "Give keypoints with people, or the networks that find them."
        )
    return np.stack([mask.of(_alone(clip, person), size) > 0 for person in people], axis=1)


def regions_of_frame(
    clip: PoseClip,
    frame: int,
    size: Size,
    margin: float = USUAL_MARGIN,
) -> np.ndarray:  # (p, H, W) bool
    """Return where each person is in one frame."""
    return regions_of(clip.at(slice(frame, frame + 1)), size, margin)[0]


def _alone(clip: PoseClip, person: int) -> PoseClip:
    only = slice(person, person + 1)
    parts = {
        name: Points(xy=part.xy[:, only], confidence=part.confidence[:, only])
        for name in ("body", "left_hand", "right_hand", "face", "feet")
        for part in (getattr(clip, name),)
    }
    return PoseClip(canvas=clip.canvas, **parts)


def places_of(
    regions: np.ndarray,  # (f, p, H, W) bool
    pictures: int | None = None,  # number of reference pictures, to be checked; None: checked
    strengths: Sequence[float] | None = None,  # of the pictures
) -> Tensor:  # (f, h, w) float; 0: nobody's or of several persons, else a person's number from 1
    """Return the person of each place of the latents; InputError if persons and pictures differ."""
    persons = regions.shape[1]
    if pictures is not None and persons > pictures:
        raise InputError(
            f"reference got {pictures} pictures for {persons} persons; person {pictures + 1} of "
            "the clip has no reference. Give one picture per person, or choose fewer persons."
        )
    if pictures is not None and persons < pictures:
        raise InputError(
            f"reference got {pictures} pictures for {persons} persons; picture {persons + 1} "
            "belongs to nobody in the clip. Leave it out."
        )
    if strengths is not None and not all(strengths):
        number = [bool(value) for value in strengths].index(False) + 1
        raise InputError(
            f"strengths got 0 for person {number}, who then has no reference. Choose a strength "
            "above 0."
        )
    shares = functional.avg_pool2d(torch.from_numpy(regions).float(), PIXELS_PER_LATENT)
    inside = shares >= 0.5
    numbers = torch.arange(1, persons + 1)[:, None, None]
    return torch.where(inside.sum(1) == 1, (inside * numbers).sum(1), 0).float()


def check_regions(
    regions: np.ndarray,
    poses: np.ndarray,  # (f, H, W, 3)
) -> None:
    """Raise InputError unless regions are those of a clip."""
    if regions.ndim != 4 or (len(regions), *regions.shape[2:]) != poses.shape[:3]:
        raise InputError(
            f"regions got shape {regions.shape}; for poses of {poses.shape[:3]} frames, rows and "
            "columns it must be (frames, persons, rows, columns). Make it from the same clip."
        )
