from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone.pose.people.gaps import fill_gaps
from animate_anyone.pose.skeleton.joints import VISIBLE, body_clip
from animate_anyone.types import Flag
from pose_clips import CANVAS, flags, motion, one_point, positions, random_clip, seen

seeds = st.integers(0, 2**32 - 1)


def test_the_neck_moves_straight_through_a_gap() -> None:
    clip = body_clip(CANVAS, np.arange(7.0).reshape(7, 1, 1, 1) * np.full((1, 1, 18, 2), (3, 5)))
    clip.body.confidence[2:5] = 0
    clip.body.xy[2:5] = 0
    filled = fill_gaps(clip)

    assert np.allclose(filled.body.xy[:, 0, 1], np.arange(7)[:, None] * (3, 5))
    assert filled.body.confidence[2:5].min() > VISIBLE
    assert filled.body.confidence[2:5].max() < 0.5
    assert (flags(filled)[:, 0, :18] == Flag.FILLED).all(1).tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_a_limb_turns_about_its_parent_and_keeps_its_length() -> None:
    angle = np.linspace(0, 2.4, 7)
    xy = np.full((7, 1, 18, 2), 100.0)
    xy[:, 0, :] += np.arange(7)[:, None, None]  # the whole person walks
    xy[:, 0, 4] = xy[:, 0, 3] + 50 * np.stack([np.cos(angle), np.sin(angle)], -1)
    clip = body_clip(CANVAS, xy.copy())
    clip.body.confidence[1:6, 0, 4] = 0
    clip.body.xy[1:6, 0, 4] = 0

    assert np.allclose(fill_gaps(clip).body.xy, xy)


def test_the_angle_turns_the_shorter_way() -> None:
    xy = np.full((3, 1, 18, 2), 100.0)
    for frame, degrees in ((0, 170), (2, -170)):
        xy[frame, 0, 4] += 50 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    clip = body_clip(CANVAS, xy)
    clip.body.confidence[1, 0, 4] = 0

    assert np.allclose(fill_gaps(clip).body.xy[1, 0, 4], (50, 100))


@pytest.mark.parametrize(("part", "carrier"), [("left_hand", 7), ("right_hand", 4), ("face", 0)])
def test_hands_and_face_follow_their_parent_joint(part: str, carrier: int) -> None:
    clip = random_clip(3, 6, 1, share_seen=1.0)
    points = getattr(clip, part)
    rigid = clip.body.xy[:, :, carrier, None] + np.arange(1, points.xy.shape[2] + 1)[:, None]
    points.xy[:] = rigid
    points.xy[2:5], points.confidence[2:5] = 0, 0

    assert np.allclose(getattr(fill_gaps(clip), part).xy, rigid)


@pytest.mark.parametrize(("side", "ankle"), [(slice(0, 3), 13), (slice(3, 6), 10)])
def test_feet_follow_their_own_ankle(side: slice, ankle: int) -> None:
    clip = random_clip(4, 6, 1, share_seen=1.0)
    rigid = clip.body.xy[:, :, ankle, None] + (7, 3)
    clip.feet.xy[:, :, side] = rigid
    clip.feet.xy[2:5], clip.feet.confidence[2:5] = 0, 0

    assert np.allclose(fill_gaps(clip).feet.xy[:, :, side], rigid)


def test_a_point_moves_straight_where_its_parent_is_unknown() -> None:
    clip = one_point([10, None, None, 40])  # a wrist without an elbow

    assert np.allclose(fill_gaps(clip).body.xy[:, 0, 4], [(10, 50), (20, 50), (30, 50), (40, 50)])


@pytest.mark.parametrize(("length", "filled"), [(8, True), (9, False)])
def test_gaps_longer_than_the_limit_stay_missing(length: int, filled: bool) -> None:
    clip = fill_gaps(one_point([10, *[None] * length, 40]))

    assert (clip.body.confidence[:, 0, 4] > 0).all() == filled


def test_hold_fills_ends_and_long_gaps_at_the_last_offset_from_the_parent() -> None:
    clip = one_point([None, 10, None, None, None, 40, None], joint=2)
    clip.body.xy[:, 0, 1, 1] += np.arange(7) * 10  # the neck sinks
    held = fill_gaps(clip, 2, hold=True)

    assert held.body.xy[:, 0, 2, 0].tolist() == [10, 10, 10, 10, 10, 40, 40]
    assert held.body.xy[:, 0, 2, 1].tolist() == [40, 50, 60, 70, 80, 50, 60]
    assert flags(held)[:, 0, 2].astype(bool).tolist() == [1, 0, 1, 1, 1, 0, 1]
    assert flags(held).max() == Flag.HELD


@given(seeds, st.integers(1, 12), st.integers(0, 4))
def test_only_interior_gaps_up_to_the_limit_are_filled(seed: int, frames: int, limit: int) -> None:
    clip = random_clip(seed, frames, share_seen=0.5)
    clip.body.xy[:, :, 1] -= 2000  # of large people, so that no gap has a jump
    clip.body.xy[:, :, 2] -= 2000
    before, after = seen(clip), seen(fill_gaps(clip, limit))
    expected = before.copy()
    for person, joint in np.ndindex(before.shape[1:]):
        there = np.flatnonzero(before[:, person, joint])
        for a, b in pairwise(there):
            expected[a:b, person, joint] = b - a - 1 <= limit or b - a == 1
            expected[a, person, joint] = True

    assert np.array_equal(after, expected)


@given(seeds, st.integers(1, 20))
def test_filling_does_not_move_seen_points(seed: int, frames: int) -> None:
    clip = random_clip(seed, frames)
    where = seen(clip)
    filled = fill_gaps(clip, hold=True)

    assert np.array_equal(positions(filled)[where], positions(clip)[where])
    assert not flags(filled)[where].any()


def test_filling_real_motion_is_more_accurate_than_linear_interpolation() -> None:
    ours, straight = [], []
    for seed in range(8):
        xy = motion(seed, 120)
        start = np.random.default_rng(seed).integers(1, 110, 18)
        clip = body_clip(CANVAS, xy[:, None].copy())
        for joint in (3, 4, 6, 7):
            gap = slice(start[joint], start[joint] + 8)
            clip.body.confidence[gap, 0, joint] = 0
            a, b = xy[gap.start - 1, joint], xy[gap.stop, joint]
            line = a + np.arange(1, 9)[:, None] / 9 * (b - a)
            straight.append(np.linalg.norm(line - xy[gap, joint], axis=-1).mean())
            filled = fill_gaps(clip).body.xy[gap, 0, joint]
            ours.append(np.linalg.norm(filled - xy[gap, joint], axis=-1).mean())

    assert np.mean(ours) < 0.8 * np.mean(straight)
