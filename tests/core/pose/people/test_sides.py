import numpy as np
import pytest

from animate_anyone.pose.people.sides import MOST_FRAMES, put_back_sides
from animate_anyone.pose.people.smoothing import CleanConfig, clean
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Flag, PoseClip
from pose_clips import CANVAS, flags, motion, random_clip, reverse, same

LEGS = ((11, 8), (12, 9), (13, 10))
PARTS = {
    "whole body": ((5, 2), (6, 3), (7, 4), *LEGS, (15, 14), (17, 16)),
    "legs": LEGS,
    "lower legs": LEGS[1:],
    "arms": ((5, 2), (6, 3), (7, 4)),
}


def exchanged(xy: np.ndarray, part: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return joints with a part exchanged for 1 to 4 frames in places, and which those are."""
    rng = np.random.default_rng(seed)
    result, where = xy.copy(), np.zeros(xy.shape[:2], bool)
    left, right = np.array(PARTS[part]).T
    frame = 3
    while frame < len(xy) - 8:
        run = slice(frame, frame + int(rng.integers(1, MOST_FRAMES + 1)))
        result[run, left], result[run, right] = xy[run, right], xy[run, left]
        where[run, left] = where[run, right] = True
        frame = run.stop + int(rng.integers(4, 20))
    return result, where


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_at_most_five_percent_of_exchanged_points_stay_wrong(part: str, noise: float) -> None:
    wrong, spoiled, count = 0, 0, 0
    for seed in range(4):
        xy = motion(seed, 150)
        xy = xy + np.random.default_rng(seed).normal(0, noise, xy.shape)
        bad, where = exchanged(xy, part, seed)
        clip = put_back_sides(body_clip(CANVAS, bad[:, None]))
        off = np.abs(clip.body.xy[:, 0] - xy).max(-1) > 1e-6
        wrong, spoiled = wrong + (off & where).sum(), spoiled + (off & ~where).sum()
        count += where.sum()
        assert np.array_equal(flags(clip)[:, 0, :18] == Flag.SWAPPED, where & ~off)

    assert wrong <= 0.05 * count
    assert spoiled == 0


BELOW_HIPS = [9, 10, 12, 13]


def hidden(
    clip: PoseClip, seed: int, seen: int, unseen: int, joints: list[int] | slice = slice(None)
) -> PoseClip:
    """Return the clip with joints hidden again and again; numbers are mean frames."""
    rng = np.random.default_rng(seed)
    there = np.ones((len(clip), 1, 18), bool)
    now: np.ndarray = rng.random(18) < seen / (seen + unseen)
    for frame in there[:, 0]:
        now = now ^ (rng.random(18) < np.where(now, 1 / seen, 1 / unseen))
        frame[joints] = now[joints]
    body = clip.body
    return body_clip(CANVAS, np.where(there[..., None], body.xy, 0), np.where(there, 1.0, 0.0))


@pytest.mark.parametrize(("part", "bound"), [("whole body", 0.02), ("legs", 0.1), ("arms", 0.1)])
def test_points_of_one_side_alone_tell_an_exchange_too(part: str, bound: float) -> None:
    """When only whole pairs counted, 31, 58 and 56 % of these points stayed wrong."""
    wrong, count = 0, 0
    for seed in range(4):
        xy = motion(seed, 150) + np.random.default_rng(seed).normal(0, 2, (150, 18, 2))
        truth = hidden(body_clip(CANVAS, xy[:, None]), seed, 12, 6)
        bad, where = exchanged(
            np.dstack([truth.body.xy[:, 0], truth.body.confidence[:, 0]]), part, seed
        )
        clip = put_back_sides(body_clip(CANVAS, bad[:, None, :, :2], bad[:, None, :, 2]))
        off = (clip.body.xy != truth.body.xy).any(-1)[:, 0]
        wrong, count = wrong + (off & where).sum(), count + (where & (bad[..., 2] > 0)).sum()

    assert wrong <= bound * count


@pytest.mark.parametrize("joints", [slice(None), BELOW_HIPS], ids=["all", "below the hips"])
def test_lower_legs_that_come_and_go_are_put_back(joints: list[int] | slice) -> None:
    """Without their usual places 6 % of these points stayed wrong, and 62 others became so."""
    wrong, spoiled, count = 0, 0, 0
    for seed in range(10):
        xy = motion(seed, 150) + np.random.default_rng(seed).normal(0, 2, (150, 18, 2))
        truth = hidden(body_clip(CANVAS, xy[:, None]), seed, 12, 6, joints)
        both = np.dstack([truth.body.xy[:, 0], truth.body.confidence[:, 0]])
        bad, where = exchanged(both, "lower legs", seed)
        clip = put_back_sides(body_clip(CANVAS, bad[:, None, :, :2], bad[:, None, :, 2]))
        off = (clip.body.xy != truth.body.xy).any(-1)[:, 0]
        where_seen = where & (bad[..., 2] > 0)
        wrong, spoiled = wrong + (off & where_seen).sum(), spoiled + (off & ~where).sum()
        count += where_seen.sum()

    assert wrong <= 0.02 * count
    assert spoiled <= (30 if joints == slice(None) else 0)


def half_body(seed: int) -> np.ndarray:  # (150, 18, 3)
    """Return a standing body as estimators see it without legs.

    Hips jump up and down together, knees jump each for itself and come and go, and no ankle is
    seen.
    """
    rng = np.random.default_rng(seed)
    joints = np.zeros((150, 18, 3))
    joints[..., :2] = motion(1, 1)
    torso = np.ptp(joints[0, [1, 8], 1])
    joints[:, [8, 11, 9, 12], 1] += torso * rng.normal(0, 0.12, (150, 1))
    joints[:, [9, 12], 1] += torso * rng.normal(0, 0.08, (150, 2))
    joints[..., :2] += rng.normal(0, 1, (150, 18, 2))
    there = hidden(body_clip(CANVAS, joints[:, None, :, :2]), seed, 6, 6, BELOW_HIPS)
    joints[..., 2] = there.body.confidence[:, 0]
    joints[:, [10, 13], 2] = 0
    joints[joints[..., 2] == 0] = 0
    return joints


@pytest.mark.parametrize("part", ["legs", "lower legs"])
def test_legs_of_a_half_body_are_put_back_though_they_jump(part: str) -> None:
    wrong, spoiled, count = 0, 0, 0
    for seed in range(10):
        truth = half_body(seed)
        clip = body_clip(CANVAS, truth[:, None, :, :2], truth[:, None, :, 2])
        assert same(put_back_sides(clip), clip)
        bad, where = exchanged(truth, part, seed)
        clip = put_back_sides(body_clip(CANVAS, bad[:, None, :, :2], bad[:, None, :, 2]))
        off = (clip.body.xy[:, 0] != truth[..., :2]).any(-1)
        where_seen = where & (bad[..., 2] > 0)
        wrong, spoiled = wrong + (off & where_seen).sum(), spoiled + (off & ~where).sum()
        count += where_seen.sum()

    assert wrong <= 0.05 * count
    assert spoiled <= 0.01 * count


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0])
@pytest.mark.parametrize("joints", [slice(None), BELOW_HIPS], ids=["all", "below the hips"])
def test_nobody_who_turns_is_exchanged_because_points_come_and_go(
    fps: float, joints: list[int] | slice
) -> None:
    changed = 0
    for seconds in (0.5, 0.8, 1.2, 2.0, 4.0):
        for seed, gaps in enumerate([(12, 6), (5, 5), (3, 2), (6, 12)]):
            for phase in np.linspace(0, 1, 3):
                clip = hidden(turning(fps, seconds, phase), seed, *gaps, joints)
                result = put_back_sides(clip, fps)
                changed += int((result.body.xy != clip.body.xy).any(-1).sum())

    assert changed <= (6 if fps == 30 and joints == slice(None) else 0)


@pytest.mark.parametrize("fps", [8.0, 30.0])
def test_nobody_is_exchanged_because_points_come_and_go(fps: float) -> None:
    for seed, gaps in enumerate([(12, 6), (5, 5), (3, 2)]):
        clip = hidden(body_clip(CANVAS, motion(seed, 150)[:, None]), seed, *gaps)
        assert same(put_back_sides(clip, fps), clip)
        for seconds in (0.8, 2.0):
            clip = hidden(turning(fps, seconds, 0.3), seed, *gaps)
            assert same(put_back_sides(clip, fps), clip)


def test_a_point_that_jumps_is_not_given_to_a_side_that_nobody_saw() -> None:
    xy = np.tile(motion(1, 1), (7, 1, 1))
    xy[3, 4] += 90
    there = np.ones((7, 1, 18))
    there[..., 7] = 0
    clip = body_clip(CANVAS, xy[:, None], there)
    assert same(put_back_sides(clip), clip)


def turning(fps: float, seconds_per_turn: float, phase: float) -> PoseClip:
    """Return a person who turns round and round, seen from the side."""
    rng = np.random.default_rng(0)
    body = motion(1, 1)[0]
    turn = 2 * np.pi * (np.arange(int(3 * fps)) / fps / seconds_per_turn + phase)
    xy = np.repeat(body[None], len(turn), axis=0)
    depth = rng.uniform(-10, 10, 18)
    xy[..., 0] = body[0, 0] + (body[:, 0] - body[0, 0]) * np.cos(turn)[:, None]
    xy[..., 0] += depth * np.sin(turn)[:, None]
    return body_clip(CANVAS, (xy + rng.normal(0, 1, xy.shape))[:, None])


@pytest.mark.parametrize("fps", [8.0, 15.0, 30.0, 60.0])
@pytest.mark.parametrize("seconds_per_turn", [0.5, 0.8, 2.0])
def test_a_person_who_turns_round_stays(fps: float, seconds_per_turn: float) -> None:
    for phase in np.linspace(0, 1, 8):
        clip = turning(fps, seconds_per_turn, phase)
        assert same(put_back_sides(clip, fps), clip)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_real_motion_stays(step: int) -> None:
    for seed in range(6):
        clip = body_clip(CANVAS, motion(seed, 90)[::step, None])
        assert same(put_back_sides(clip, 30 / step), clip)


def test_a_long_exchange_stays() -> None:
    xy = motion(2, 40)
    left, right = np.array(PARTS["whole body"]).T
    run = slice(10, 20)
    xy[run, left], xy[run, right] = xy[run, right].copy(), xy[run, left].copy()
    clip = body_clip(CANVAS, xy[:, None])

    assert same(put_back_sides(clip), clip)


def test_hands_and_feet_are_put_back_with_what_belongs_to_them() -> None:
    clip = random_clip(0, 12, 1, share_seen=1.0)
    for one, other in ((clip.left_hand, clip.right_hand),):
        one.xy[:] = one.xy[:1]
        other.xy[:] = one.xy[:1] + 150
        one.confidence[5], other.confidence[5] = 0.5, 0.9
        one.xy[5], other.xy[5] = other.xy[5].copy(), one.xy[5].copy()
    clip.feet.xy[:] = clip.feet.xy[:1]
    clip.feet.xy[:, :, 3:] = clip.feet.xy[:, :, :3] + 90
    clip.feet.xy[6] = clip.feet.xy[6][:, [3, 4, 5, 0, 1, 2]]
    result = put_back_sides(clip)

    assert np.ptp(result.left_hand.xy, axis=0).max() == 0
    assert (result.left_hand.confidence[5] == 0.9).all()
    assert np.ptp(result.feet.xy, axis=0).max() == 0


def test_time_reversal_commutes_with_putting_back() -> None:
    clip = body_clip(CANVAS, exchanged(motion(1, 60), "legs", 1)[0][:, None])

    assert same(put_back_sides(reverse(clip)), reverse(put_back_sides(clip)))


def test_cleaning_puts_back_unless_points_are_to_stay_as_detected() -> None:
    clip = body_clip(CANVAS, exchanged(motion(1, 40), "whole body", 1)[0][:, None])

    assert (flags(clean(clip, CleanConfig())) & Flag.SWAPPED).any()
    assert same(clean(clip, CleanConfig(spikes=False)), clip)
