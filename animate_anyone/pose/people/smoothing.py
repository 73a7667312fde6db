"""Cleaning of detected points: put sides back, remove spikes, fill gaps, smooth jitter."""

import math
from dataclasses import dataclass

import numpy as np

from ...errors import ConfigError
from ...types import Flag, PoseClip
from ..skeleton.stack import POINTS, SLICES, stack, torso_px, unstack
from .filters import smooth_tracks
from .gaps import fill_gaps
from .sides import put_back_sides
from .spikes import remove_spikes, remove_strays

_ROUNDING_PX = 1e-12  # relative to the coordinate; smaller changes are none
WIDEST_SECONDS = 0.4  # to both sides of a frame: what is smoothed together, at strength 1


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """How a detected clip is cleaned."""

    max_gap: int = 8  # frames; longer gaps stay missing; 0: fill none
    hold: bool = False  # keep points that stay missing where they were seen last
    # Remove points that jump away for a moment, and put back sides that are exchanged for one.
    spikes: bool = True
    smooth: float = 0.0  # 0: off; 1: over at most 0.4 seconds to both sides, 2: twice that
    fps: float = 30.0  # frames per second of the clip

    def __post_init__(self) -> None:
        if self.max_gap < 0:
            raise ConfigError(
                f"max_gap got {self.max_gap}; it must be 0 or more. Use 0 to fill no gap."
            )
        _check(self.smooth, self.fps)


def clean(clip: PoseClip, config: CleanConfig) -> PoseClip:
    """Return the clip with sides put back, spikes removed, gaps filled, and jitter smoothed."""
    if config.spikes:
        clip = put_back_sides(clip, config.fps)
        clip = remove_strays(remove_spikes(clip), config.max_gap)
    if config.max_gap or config.hold:
        clip = fill_gaps(clip, config.max_gap, hold=config.hold)
    return smooth(clip, config.smooth, config.fps)


def smooth(
    clip: PoseClip,
    strength: float = 1.0,  # 0: off; otherwise over at most 0.4 s * strength to both sides
    fps: float = 30.0,  # frames per second of the clip
) -> PoseClip:
    """Return the clip with jitter smoothed away, without lag.

    Parabolas are fitted around each frame; see `smooth_tracks`. The faster a point turns or
    changes its speed, the fewer frames are fitted, down to none, so that fast motion is kept.
    Noise is estimated from the clip itself and lengths are measured in torsos, so the size of the
    picture does not matter. Hands, face and feet are smoothed relative to their wrist, nose and
    ankle. A run of frames without gaps is smoothed separately from other runs.
    """
    _check(strength, fps)
    if strength == 0 or len(clip) < 2:
        return clip
    points = stack(clip)
    carried = points.seen[..., _CARRIERS] & (_CARRIERS >= 0)
    origin = np.where(carried[..., None], points.xy[:, :, _CARRIERS], 0.0)
    local = np.where(points.seen[..., None], points.xy - origin, 0.0)
    # 0: not seen, 1: absolute, 2: relative to its carrier; a run ends where this changes.
    state = points.seen * (1 + carried)
    local = smooth_tracks(
        local.reshape(len(clip), -1, 2),
        state.reshape(len(clip), -1),
        np.repeat(torso_px(clip, points), POINTS),
        WIDEST_SECONDS * strength * fps,
        max(1.0, math.sqrt(strength)),
    ).reshape(local.shape)
    result = local.copy()
    result[carried] += local[:, :, _CARRIERS][carried]
    result = np.where(points.seen[..., None], result, points.xy)
    moved = np.abs(result - points.xy) > _ROUNDING_PX * np.maximum(1, np.abs(points.xy))
    result = np.where(moved, result, points.xy)
    points.flags[points.seen & moved.any(-1)] |= np.uint8(Flag.SMOOTHED)
    return unstack(clip, result, points.confidence, points.flags)


def _carriers() -> np.ndarray:  # (134,)
    """Return, for each point of hands, face and feet, the body joint it moves with; -1: body."""
    carriers = np.full(POINTS, -1)
    carriers[SLICES["left_hand"]], carriers[SLICES["right_hand"]] = 7, 4
    carriers[SLICES["face"]] = 0
    carriers[SLICES["feet"]] = [13] * 3 + [10] * 3
    return carriers


_CARRIERS = _carriers()


def _check(strength: float, fps: float) -> None:
    if not (math.isfinite(strength) and strength >= 0):
        raise ConfigError(f"smooth got {strength}; it must be 0 or more. Use 0 to switch it off.")
    if not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps got {fps}; it must be above 0. Use 30 if it is not known.")
