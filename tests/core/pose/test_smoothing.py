from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone.errors import ConfigError
from animate_anyone.pose.skeleton import PART_JOINTS, VISIBLE, body_clip
from animate_anyone.pose.smoothing import CleanConfig, clean, fill_gaps, remove_spikes, smooth
from animate_anyone.training.characters import make_character
from animate_anyone.training.motions import joints_of, make_motion
from animate_anyone.types import Flag, Points, PoseClip, Size

CANVAS = Size(512, 512)
PARTS = tuple(PART_JOINTS)
seeds = st.integers(0, 2**32 - 1)


def motion(seed: int, frames: int) -> np.ndarray:
    """A drawn character's body joints in pixels of the canvas, (f, 18, 2)."""
    rng = np.random.default_rng(seed)
    character = make_character(rng, close_up=False)
    moves = make_motion(rng)
    heights = [joints_of(character.body, moves.angles(frame))[0] for frame in range(frames)]
    xy = np.stack(heights)[..., :2] * character.height * 512
    return xy + np.array([character.centre, character.ground]) * 512


def random_clip(seed: int, frames: int, people: int = 2, share_seen: float = 0.7) -> PoseClip:
    """All parts wander and vanish at random; torsos are about 100 pixels."""
    rng = np.random.default_rng(seed)
    parts = {}
    for part, joints in PART_JOINTS.items():
        place = rng.uniform(100, 400, (1, people, joints, 2))
        steps = rng.normal(0, 6, (frames, people, joints, 2))
        seen = rng.random((frames, people, joints)) < share_seen
        confidence = np.where(seen, rng.uniform(VISIBLE, 1, seen.shape), 0.0)
        parts[part] = Points(xy=place + steps.cumsum(0), confidence=confidence)
    return PoseClip(canvas=CANVAS, **parts)


def one_point(xs: list[float | None], joint: int = 4, part: str = "body") -> PoseClip:
    """One joint moves along x (None: missing) beside a body with a torso of 100 pixels."""
    frames = len(xs)
    clip = random_clip(0, frames, 1, share_seen=0)
    for index, place in ((1, (200, 100)), (8, (190, 200)), (11, (210, 200))):
        clip.body.xy[:, 0, index] = place
        clip.body.confidence[:, 0, index] = 1
    points = getattr(clip, part)
    for frame, x in enumerate(xs):
        points.xy[frame, 0, joint] = (0, 0) if x is None else (x, 50)
        points.confidence[frame, 0, joint] = x is not None
    return clip


def seen(clip: PoseClip) -> np.ndarray:
    return np.concatenate([getattr(clip, part).confidence for part in PARTS], 2) >= VISIBLE


def positions(clip: PoseClip) -> np.ndarray:
    return np.concatenate([getattr(clip, part).xy for part in PARTS], 2)


def flags(clip: PoseClip) -> np.ndarray:
    parts = [getattr(clip, part) for part in PARTS]
    nothing = [np.zeros(part.confidence.shape, np.uint8) for part in parts]
    return np.concatenate(
        [n if part.flags is None else part.flags for part, n in zip(parts, nothing, strict=True)], 2
    )


def mapped(clip: PoseClip, scale: float = 1.0, offset: tuple[float, float] = (0, 0)) -> PoseClip:
    """The clip in a canvas `scale` times as large, moved by `offset`."""
    size = Size(round(clip.canvas.width * scale), round(clip.canvas.height * scale))
    parts = {
        part: replace(getattr(clip, part), xy=getattr(clip, part).xy * scale + offset)
        for part in PARTS
    }
    return PoseClip(canvas=size, **parts)


def reverse(clip: PoseClip) -> PoseClip:
    parts = {}
    for part in PARTS:
        points = getattr(clip, part)
        turned = None if points.flags is None else points.flags[::-1]
        parts[part] = Points(xy=points.xy[::-1], confidence=points.confidence[::-1], flags=turned)
    return PoseClip(canvas=clip.canvas, **parts)


def same(a: PoseClip, b: PoseClip, tolerance: float = 1e-8) -> bool:
    where = seen(a)
    return (
        np.array_equal(where, seen(b))
        and np.array_equal(flags(a), flags(b))
        and np.allclose(positions(a)[where], positions(b)[where], rtol=1e-9, atol=tolerance)
    )


STEPS = {
    "spikes": remove_spikes,
    "gaps": lambda clip: fill_gaps(clip, 4),
    "hold": lambda clip: fill_gaps(clip, 2, hold=True),
    "smooth": lambda clip: smooth(clip, 1.0, 30),
    "clean": lambda clip: clean(clip, CleanConfig(smooth=1.0)),
}
few = settings(max_examples=20)  # of every step
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


# Spikes


def test_a_point_that_jumps_for_one_frame_is_removed_and_flagged() -> None:
    clip = remove_spikes(one_point([50, 51, 152, 52, 53]))

    assert clip.body.confidence[:, 0, 4].tolist() == [1, 1, 0, 1, 1]
    assert flags(clip)[:, 0, 4].tolist() == [0, 0, Flag.SPIKE, 0, 0]
    assert flags(clip).astype(bool).sum() == 1


@pytest.mark.parametrize(
    "xs",
    [
        [50, 50, 99, 50, 50],
        [50, 50, 152, 152, 50],
        [50, 50, 152, 250, 350],
        [50, None, 152, 50, 50],
    ],
    ids=["half a torso", "two frames", "goes on", "seen before the gap only"],
)
def test_other_jumps_stay(xs: list[float | None]) -> None:
    clip = one_point(xs)

    assert same(remove_spikes(clip), clip)


def test_the_good_point_between_two_equal_spikes_stays() -> None:
    clip = remove_spikes(one_point([50, 50, 152, 50, 152, 50, 50]))

    assert clip.body.confidence[:, 0, 4].tolist() == [1, 1, 0, 1, 0, 1, 1]


def test_spikes_count_in_torsos_of_their_own_clip() -> None:
    clip = one_point([50, 51, 152, 52, 53])

    assert flags(remove_spikes(mapped(clip, 0.1)))[2, 0, 4] == Flag.SPIKE


def test_a_spike_is_filled_and_keeps_both_flags() -> None:
    clip = clean(one_point([50, 50, 152, 50, 50]), CleanConfig())

    assert clip.body.xy[2, 0, 4].tolist() == [50, 50]
    assert flags(clip)[2, 0, 4] == Flag.SPIKE | Flag.FILLED


@given(seeds)
def test_true_motion_has_no_spikes(seed: int) -> None:
    clip = body_clip(CANVAS, motion(seed, 40)[:, None])

    assert not flags(remove_spikes(clip)).any()


# Gaps


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
def test_hands_and_face_follow_what_carries_them(part: str, carrier: int) -> None:
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
def test_gaps_longer_than_the_limit_stay(length: int, filled: bool) -> None:
    clip = fill_gaps(one_point([10, *[None] * length, 40]))

    assert (clip.body.confidence[:, 0, 4] > 0).all() == filled


def test_hold_keeps_the_ends_and_long_gaps_at_the_offset_to_the_parent() -> None:
    clip = one_point([None, 10, None, None, None, 40, None], joint=2)
    clip.body.xy[:, 0, 1, 1] += np.arange(7) * 10  # the neck sinks
    held = fill_gaps(clip, 2, hold=True)

    assert held.body.xy[:, 0, 2, 0].tolist() == [10, 10, 10, 10, 10, 40, 40]
    assert held.body.xy[:, 0, 2, 1].tolist() == [40, 50, 60, 70, 80, 50, 60]
    assert flags(held)[:, 0, 2].astype(bool).tolist() == [1, 0, 1, 1, 1, 0, 1]
    assert flags(held).max() == Flag.HELD


@given(seeds, st.integers(1, 12), st.integers(0, 4))
def test_only_interior_gaps_up_to_the_limit_shrink(seed: int, frames: int, limit: int) -> None:
    clip = random_clip(seed, frames, share_seen=0.5)
    before, after = seen(clip), seen(fill_gaps(clip, limit))
    expected = before.copy()
    for person, joint in np.ndindex(before.shape[1:]):
        there = np.flatnonzero(before[:, person, joint])
        for a, b in pairwise(there):
            expected[a:b, person, joint] = b - a - 1 <= limit or b - a == 1
            expected[a, person, joint] = True

    assert np.array_equal(after, expected)


@given(seeds, st.integers(1, 12))
def test_with_filling_off_the_mask_stays(seed: int, frames: int) -> None:
    clip = random_clip(seed, frames)
    config = CleanConfig(max_gap_frames=0, spikes=False, smooth=1.0)

    assert np.array_equal(seen(clean(clip, config)), seen(clip))


@given(seeds, st.integers(1, 20))
def test_what_was_seen_is_not_moved_by_filling(seed: int, frames: int) -> None:
    clip = random_clip(seed, frames)
    where = seen(clip)
    filled = fill_gaps(clip, hold=True)

    assert np.array_equal(positions(filled)[where], positions(clip)[where])
    assert not flags(filled)[where].any()


def test_gaps_of_true_motion_are_filled_closer_than_by_straight_lines() -> None:
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


# Smoothing


def test_noise_of_two_pixels_falls_by_a_third_with_a_quarter_of_the_jerk() -> None:
    def jerk(xy: np.ndarray) -> float:
        return np.linalg.norm(np.diff(xy, 3, axis=0), axis=-1).mean()

    rng = np.random.default_rng(0)
    raw, error, jerks = [], [], []
    for seed in range(10):
        xy = motion(seed, 150)
        noisy = xy + rng.normal(0, 2, xy.shape)
        calm = smooth(body_clip(CANVAS, noisy[:, None]), 1.0, 30).body.xy[:, 0]
        raw.append(np.linalg.norm(noisy - xy, axis=-1).mean())
        error.append(np.linalg.norm(calm - xy, axis=-1).mean())
        jerks.append(jerk(calm) / jerk(noisy))

    assert 2.4 < np.mean(raw) < 2.6
    assert np.mean(error) <= 1.8
    assert max(jerks) <= 0.25


def test_smoothing_does_not_lag() -> None:
    xy = np.repeat(np.arange(60.0)[:, None], 18, 1)[:, None, :, None] * (4, 2)
    calm = smooth(body_clip(CANVAS, xy), 1.0, 30).body.xy

    assert np.abs(calm - xy)[20:40].max() < 0.1


@given(seeds, st.integers(1, 12), st.floats(0.1, 10))
def test_a_constant_stays_what_it_is(seed: int, frames: int, strength: float) -> None:
    still = random_clip(seed, 1, share_seen=0.8)
    parts = {
        part: Points(
            xy=getattr(still, part).xy.repeat(frames, 0),
            confidence=getattr(still, part).confidence.repeat(frames, 0),
        )
        for part in PARTS
    }
    clip = PoseClip(canvas=CANVAS, **parts)
    calm = smooth(clip, strength)

    assert np.allclose(positions(calm), positions(clip), atol=1e-9)
    assert not flags(calm)[:, :, :18].any()


@given(seeds, st.integers(1, 20), st.floats(0.1, 10))
def test_time_reversal_commutes_with_smoothing(seed: int, frames: int, strength: float) -> None:
    clip = random_clip(seed, frames)

    assert same(smooth(reverse(clip), strength), reverse(smooth(clip, strength)))


@given(seeds, st.integers(1, 20))
def test_time_reversal_commutes_with_spikes_and_gaps(seed: int, frames: int) -> None:
    clip = random_clip(seed, frames)

    assert same(remove_spikes(reverse(clip)), reverse(remove_spikes(clip)))
    assert same(fill_gaps(reverse(clip)), reverse(fill_gaps(clip)))


def test_strength_orders_the_smoothing_and_zero_is_off() -> None:
    clip = random_clip(1, 40, share_seen=1.0)
    rough = [np.abs(np.diff(positions(smooth(clip, s)), 2, axis=0)).mean() for s in (0, 0.5, 1, 2)]

    assert rough == sorted(rough, reverse=True)
    assert rough[-1] < 0.5 * rough[0]
    assert np.array_equal(positions(smooth(clip, 0)), positions(clip))


def test_a_run_is_not_smoothed_across_a_gap() -> None:
    xs = [10.0, 10.0, 10.0, None, 90.0, 90.0, 90.0]
    calm = smooth(one_point(xs), 1.0)

    assert calm.body.xy[:, 0, 4, 0].tolist() == [10, 10, 10, 0, 90, 90, 90]


def test_a_stiff_hand_stays_stiff() -> None:
    clip = random_clip(5, 30, 1, share_seen=1.0)
    shape = np.random.default_rng(5).uniform(-20, 20, (21, 2))
    clip.left_hand.xy[:] = clip.body.xy[:, :, 7, None] + shape
    calm = smooth(clip)

    assert np.abs(calm.body.xy - clip.body.xy).max() > 1
    assert np.allclose(calm.left_hand.xy - calm.body.xy[:, :, 7, None], shape)


def test_points_that_moved_are_flagged_as_smoothed() -> None:
    calm = smooth(random_clip(2, 10))
    moved = (positions(calm) != positions(random_clip(2, 10))).any(-1)

    assert moved.any()
    assert np.array_equal(flags(calm) == Flag.SMOOTHED, moved)


# All steps


@each_step
@few
@given(seed=seeds, frames=st.integers(1, 16), scale=st.sampled_from([0.5, 2.0, 4.0]))
def test_scale_of_the_picture_does_not_matter(step, seed: int, frames: int, scale: float) -> None:
    clip = random_clip(seed, frames)

    assert same(step(mapped(clip, scale)), mapped(step(clip), scale))


@each_step
@few
@given(seed=seeds, frames=st.integers(1, 16), x=st.integers(-900, 900), y=st.integers(-900, 900))
def test_place_in_the_picture_does_not_matter(step, seed: int, frames: int, x: int, y: int) -> None:
    clip = random_clip(seed, frames)
    moved = step(mapped(clip, 1.0, (x, y)))
    expected = mapped(step(clip), 1.0, (x, y))

    # Which points move by rounding alone depends on the place, so flags are not compared.
    where = seen(expected)
    assert np.array_equal(where, seen(moved))
    assert np.allclose(positions(moved)[where], positions(expected)[where], atol=1e-6)


@each_step
@few
@given(seed=seeds, frames=st.integers(1, 16))
def test_inputs_are_not_modified_and_flags_are_kept(step, seed: int, frames: int) -> None:
    clip = random_clip(seed, frames)
    edited = replace(clip.body, flags=np.full(clip.body.confidence.shape, Flag.EDITED, np.uint8))
    clip = replace(clip, body=edited)
    before = positions(clip), seen(clip), flags(clip)
    result = step(clip)

    after = positions(clip), seen(clip), flags(clip)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert (flags(result)[:, :, :18] & Flag.EDITED).all()


@each_step
@pytest.mark.parametrize("frames", [0, 1, 2, 5])
@pytest.mark.parametrize("people", [0, 1])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_empty_and_shortest_clips_pass(step, frames: int, people: int, share: float) -> None:
    clip = random_clip(0, frames, people, share_seen=share)
    result = step(clip)

    assert positions(result).shape == positions(clip).shape
    assert np.array_equal(seen(result), seen(clip))


@each_step
def test_a_torso_without_length_and_nan_do_no_harm(step) -> None:
    clip = body_clip(CANVAS, np.full((6, 1, 18, 2), 100.0))
    clip.body.xy[2, 0, 4] = np.nan
    result = step(clip)

    assert np.isfinite(positions(result)[seen(result)]).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_gap_frames", -1, r"max_gap_frames got -1; it must be 0 or more\. Use 0"),
        ("smooth", -0.5, r"smooth got -0\.5; it must be 0 or more\. Use 0"),
        ("smooth", float("nan"), "smooth got nan"),
        ("fps", 0.0, r"fps got 0\.0; it must be above 0\. Use 30"),
        ("fps", float("inf"), "fps got inf"),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CleanConfig(**{field: value})


def test_functions_refuse_what_the_config_refuses() -> None:
    clip = random_clip(0, 3)
    with pytest.raises(ConfigError, match="smooth got -1"):
        smooth(clip, -1)
    with pytest.raises(ConfigError, match="max_gap_frames got -2"):
        fill_gaps(clip, -2)
