"""Cleaning of detected points: remove spikes, fill gaps, smooth jitter."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ...errors import ConfigError
from ...types import Flag, PoseClip
from ..skeleton.stack import POINTS, SLICES, stack, torso_px, unstack
from .gaps import fill_gaps

SPIKE_TORSOS = 0.5  # a point that moves farther and returns in the next frame is a spike
MIN_CUTOFF_HZ = 1.5  # cutoff for a point at rest, at strength 1
BETA_HZ_PER_TORSO = 2.5  # added to the cutoff per torso length per second
SPEED_CUTOFF_HZ = 1.0  # cutoff for the estimate of that speed


_Number = TypeVar("_Number", float, np.ndarray)


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """How a detected clip is cleaned."""

    max_gap_frames: int = 8  # longer gaps stay missing; 0: fill none
    hold: bool = False  # keep points that stay missing where they were seen last
    spikes: bool = True  # remove points that jump away for one frame
    smooth: float = 0.0  # 0: off; 1: 1.5 Hz for a point at rest, 2: half of that, and so on
    fps: float = 30.0  # frames per second of the clip

    def __post_init__(self) -> None:
        if self.max_gap_frames < 0:
            raise ConfigError(
                f"max_gap_frames got {self.max_gap_frames}; it must be 0 or more. Use 0 to fill "
                f"no gap."
            )
        _check(self.smooth, self.fps)


def clean(clip: PoseClip, config: CleanConfig) -> PoseClip:
    """Return the clip with spikes removed, then gaps filled, then jitter smoothed."""
    if config.spikes:
        clip = remove_spikes(clip)
    if config.max_gap_frames or config.hold:
        clip = fill_gaps(clip, config.max_gap_frames, hold=config.hold)
    return smooth(clip, config.smooth, config.fps)


def remove_spikes(clip: PoseClip) -> PoseClip:
    """Return the clip without points that jump away for one frame.

    A point is removed if it lies more than half a torso from its position in the frames before
    and after, while those two positions lie within half a torso of each other. It must also be
    more than half a torso from the median over five frames; otherwise the correct point between
    two equal spikes would be removed as well.
    """
    points = stack(clip)
    limit = SPIKE_TORSOS * torso_px(clip, points)[:, None]
    xy, seen = np.where(points.seen[..., None], points.xy, 0.0), points.seen
    spike = np.zeros_like(seen)
    if len(clip) >= 3:
        jump = np.linalg.norm(np.diff(xy, axis=0), axis=-1) > limit
        back = np.linalg.norm(xy[2:] - xy[:-2], axis=-1) <= limit
        spike[1:-1] = jump[:-1] & jump[1:] & back & seen[:-2] & seen[1:-1] & seen[2:]
    found = np.nonzero(spike)
    from_median = np.linalg.norm(xy[found] - _medians(xy, seen, found), axis=-1)
    spike[found] = from_median > limit[found[1], 0]
    points.flags[spike] |= np.uint8(Flag.SPIKE)
    return unstack(clip, points.xy, np.where(spike, 0.0, points.confidence), points.flags)


def _medians(
    xy: np.ndarray, seen: np.ndarray, where: tuple[np.ndarray, ...]
) -> np.ndarray:  # (n, 2)
    """Return each point's median position over five frames, counting frames in which it is seen."""
    frames, people, points = where
    around = frames + np.arange(-2, 3)[:, None]
    inside = (around >= 0) & (around < len(xy))
    around = around.clip(0, len(xy) - 1)
    valid = inside & seen[around, people, points]
    values = np.where(valid[..., None], xy[around, people, points], np.nan)
    return np.nanmedian(values, axis=0)


def smooth(
    clip: PoseClip,
    strength: float = 1.0,  # 0: off; otherwise a point at rest is cut off at 1.5 Hz / strength
    fps: float = 30.0,  # frames per second of the clip
) -> PoseClip:
    """Return the clip with jitter smoothed away, without lag.

    The one-euro filter (Casiez, Roussel and Vogel 2012) runs forwards and backwards, and the two
    are averaged. The faster a point moves, the less it is smoothed; speed is measured in torso
    lengths, so the size of the picture does not matter. Hands, face and feet are smoothed
    relative to their wrist, nose and ankle. A run of frames without gaps is smoothed separately
    from other runs.
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
    torso = torso_px(clip, points)
    both = _one_euro(
        np.stack([local, local[::-1]], axis=1),
        np.stack([state, state[::-1]], axis=1),
        torso[:, None],
        MIN_CUTOFF_HZ / strength,
        fps,
    )
    local = (both[:, 0] + both[::-1, 1]) / 2
    result = local.copy()
    result[carried] += local[:, :, _CARRIERS][carried]
    result = np.where(points.seen[..., None], result, points.xy)
    points.flags[points.seen & (result != points.xy).any(-1)] |= np.uint8(Flag.SMOOTHED)
    return unstack(clip, result, points.confidence, points.flags)


def _carriers() -> np.ndarray:  # (134,)
    """Return, for each point of hands, face and feet, the body joint it moves with; -1: body."""
    carriers = np.full(POINTS, -1)
    carriers[SLICES["left_hand"]], carriers[SLICES["right_hand"]] = 7, 4
    carriers[SLICES["face"]] = 0
    carriers[SLICES["feet"]] = [13] * 3 + [10] * 3
    return carriers


_CARRIERS = _carriers()


def _one_euro(
    xy: np.ndarray,  # (f, ..., 2)
    state: np.ndarray,  # (f, ...), 0: no value; the filter restarts where it changes
    torso: np.ndarray,  # (...), pixels
    min_cutoff: float,  # Hz
    fps: float,
) -> np.ndarray:  # (f, ..., 2)
    """Smooth along the first axis, causally, with one cutoff for x and y."""
    result = xy.copy()
    velocity = np.zeros_like(xy[0])
    for frame in range(1, len(xy)):
        continues = (state[frame] == state[frame - 1])[..., None]
        step = (xy[frame] - xy[frame - 1]) * fps
        velocity = np.where(
            continues, velocity + _weight(SPEED_CUTOFF_HZ, fps) * (step - velocity), 0
        )
        speed = np.hypot(velocity[..., 0], velocity[..., 1]) / torso
        weight = _weight(min_cutoff + BETA_HZ_PER_TORSO * speed, fps)[..., None]
        filtered = result[frame - 1] + weight * (xy[frame] - result[frame - 1])
        result[frame] = np.where(continues, filtered, xy[frame])
    return result


def _weight(cutoff: _Number, fps: float) -> _Number:
    """Weight of a new value in a first-order low-pass filter."""
    turn = 2 * math.pi * cutoff / fps
    return turn / (turn + 1)


def _check(strength: float, fps: float) -> None:
    if not (math.isfinite(strength) and strength >= 0):
        raise ConfigError(f"smooth got {strength}; it must be 0 or more. Use 0 to switch it off.")
    if not (math.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps got {fps}; it must be above 0. Use 30 if it is not known.")
