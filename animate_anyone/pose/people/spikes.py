"""Removing points that are wrong for a moment: they jump away and return."""

import numpy as np

from ...types import Flag, PoseClip
from ..skeleton.stack import stack, torso_px, unstack

SPIKE_TORSOS = 0.5  # a point that moves farther and returns in the next frame is a spike
_STRAY_FRAMES = 2  # longest sighting beside a gap that can be wrong as a whole


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


def remove_strays(
    clip: PoseClip,
    max_gap_frames: int = 8,  # longer gaps are not filled, so nothing spreads over them
) -> PoseClip:
    """Return the clip without wrong sightings beside gaps.

    A sighting of one or two frames with a gap before or after it is removed if it lies more than
    half a torso from where the point was seen last before it and first after it, while these two
    are within half a torso of each other. It must also be that far from the median of five
    sightings around it. Filling would otherwise spread it over both gaps.
    """
    points = stack(clip)
    if len(clip) < 3:
        return clip
    limit = SPIKE_TORSOS * torso_px(clip, points)
    stray = np.zeros_like(points.seen)
    # The k-th sighting of each point: its frame, and where it is.
    person, point, frame = np.nonzero(np.moveaxis(points.seen, 0, -1))
    xy = points.xy[frame, person, point]
    track = person * points.seen.shape[2] + point
    for length in range(1, _STRAY_FRAMES + 1):
        first = np.arange(1, len(track) - length)
        last = first + length - 1
        before, after = first - 1, last + 1
        gap_before, gap_after = frame[first] - frame[before], frame[after] - frame[last]
        fits = (track[before] == track[after]) & (np.maximum(gap_before, gap_after) > 1)
        fits &= frame[last] - frame[first] == length - 1
        fits &= np.maximum(gap_before, gap_after) <= max_gap_frames + 1
        first, last, before, after = first[fits], last[fits], before[fits], after[fits]
        far = limit[person[first]]
        wrong = np.linalg.norm(xy[after] - xy[before], axis=-1) <= far
        middle = _median_of_five(xy, track, first)
        for at in range(length):
            for other in (xy[before], xy[after], middle):
                wrong &= np.linalg.norm(xy[first + at] - other, axis=-1) > far
        for at in range(length):
            rows = first[wrong] + at
            stray[frame[rows], person[rows], point[rows]] = True
    points.flags[stray] |= np.uint8(Flag.SPIKE)
    return unstack(clip, points.xy, np.where(stray, 0.0, points.confidence), points.flags)


def _median_of_five(xy: np.ndarray, track: np.ndarray, rows: np.ndarray) -> np.ndarray:  # (n, 2)
    """Return the median over the sightings around each one, two before and two after, of one point.

    There are fewer near the ends of a track.
    """
    around = rows + np.arange(-2, 3)[:, None]
    inside = (around >= 0) & (around < len(track))
    around = around.clip(0, len(track) - 1)
    inside &= track[around] == track[rows]
    return np.nanmedian(np.where(inside[..., None], xy[around], np.nan), axis=0)
