from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone.errors import ConfigError
from animate_anyone.pose.people.gaps import fill_gaps
from animate_anyone.pose.people.sides import put_back_sides
from animate_anyone.pose.people.smoothing import CleanConfig, clean, smooth
from animate_anyone.pose.people.spikes import remove_spikes, remove_strays
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.pose.skeleton.stack import stack, torso_px
from animate_anyone.types import Flag, Points, PoseClip
from pose_clips import (
    CANVAS,
    PARTS,
    flags,
    mapped,
    motion,
    one_point,
    positions,
    random_clip,
    reverse,
    same,
    seen,
)

seeds = st.integers(0, 2**32 - 1)
STEPS = {
    "sides": put_back_sides,
    "spikes": remove_spikes,
    "strays": remove_strays,
    "gaps": lambda clip: fill_gaps(clip, 4),
    "hold": lambda clip: fill_gaps(clip, 2, hold=True),
    "smooth": lambda clip: smooth(clip, 1.0, 30),
    "clean": lambda clip: clean(clip, CleanConfig(smooth=1.0)),
}
few = settings(max_examples=20)  # for tests that run every step
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
def test_jumps_of_other_kinds_are_not_removed(xs: list[float | None]) -> None:
    clip = one_point(xs)

    assert same(remove_spikes(clip), clip)


def test_the_correct_point_between_two_equal_spikes_is_kept() -> None:
    clip = remove_spikes(one_point([50, 50, 152, 50, 152, 50, 50]))

    assert clip.body.confidence[:, 0, 4].tolist() == [1, 1, 0, 1, 0, 1, 1]


def test_the_spike_limit_scales_with_the_torso() -> None:
    clip = one_point([50, 51, 152, 52, 53])

    assert flags(remove_spikes(mapped(clip, 0.1)))[2, 0, 4] == Flag.SPIKE


def test_a_spike_is_filled_and_keeps_both_flags() -> None:
    clip = clean(one_point([50, 50, 152, 50, 50]), CleanConfig())

    assert clip.body.xy[2, 0, 4].tolist() == [50, 50]
    assert flags(clip)[2, 0, 4] == Flag.SPIKE | Flag.FILLED


@given(seeds)
def test_real_motion_has_no_spikes(seed: int) -> None:
    clip = body_clip(CANVAS, motion(seed, 40)[:, None])

    assert not flags(remove_spikes(clip)).any()


# Strays


@pytest.mark.parametrize(
    "xs",
    [
        [50, None, None, None, 152, None, None, None, 50],
        [50, None, 152, 50, 50],
        [50, 50, 152, None, None, 52],
        [50, 50, None, 152, 153, 50, 50],
        [50, None, 152, None, 50, None, 152, None, 50, 50],
    ],
    ids=["between gaps", "after a gap", "before a gap", "two frames", "twice"],
)
def test_a_wrong_sighting_beside_a_gap_is_removed_and_not_spread(xs: list[float | None]) -> None:
    clip = clean(one_point(xs), CleanConfig())

    assert np.abs(clip.body.xy[:, 0, 4, 0] - 50).max() < 3
    wrong = [x is not None and x > 100 for x in xs]
    assert (flags(clip)[:, 0, 4] == Flag.SPIKE | Flag.FILLED).tolist() == wrong


@pytest.mark.parametrize(
    "xs",
    [
        [50, None, 90, None, 50],
        [50, None, 152, None, 250],
        [50, None, 152, 152, 152, None, 50],
        [50, *[None] * 9, 152, None, 50],
        [50, 50, None, 152],
    ],
    ids=["half a torso", "goes on", "three frames", "beyond the longest gap", "at the end"],
)
def test_sightings_of_other_kinds_are_kept(xs: list[float | None]) -> None:
    assert same(remove_strays(one_point(xs)), one_point(xs))


@pytest.mark.parametrize("seed", range(4))
def test_filling_adds_no_jumps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clip = body_clip(CANVAS, motion(seed, 120)[:, None])
    half = 0.5 * torso_px(clip, stack(clip))[0] + 1e-6
    wrong = rng.random(clip.body.confidence.shape) < 0.1
    lost = rng.random(wrong.shape) < 0.4
    wrong[:, :, [1, 8, 11]] = lost[:, :, [1, 8, 11]] = False  # the torso is the unit
    clip.body.xy[wrong] += rng.uniform(-2, 2, (wrong.sum(), 2)) * half
    clip.body.confidence[lost] = 0

    def jumps(clip: PoseClip) -> int:
        steps = np.linalg.norm(np.diff(clip.body.xy, axis=0), axis=-1) > half
        there = seen(clip)[:, :, :18]
        return int((steps & there[1:] & there[:-1]).sum())

    kept = clean(clip, CleanConfig(max_gap=0))
    filled = fill_gaps(kept)

    assert ((flags(filled) & Flag.FILLED) > 0).sum() > 100
    assert jumps(filled) == jumps(kept)


# Smoothing


def test_smoothing_reduces_noise_by_a_third_and_jerk_to_a_quarter() -> None:
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


@pytest.mark.parametrize("hertz", [1.0, 2.0, 4.0, 6.0])
@pytest.mark.parametrize("fps", [10.0, 30.0])
def test_fast_motion_is_not_worse_than_without_smoothing(hertz: float, fps: float) -> None:
    rng = np.random.default_rng(0)
    turn = 2 * np.pi * hertz * np.arange(90)[:, None] / fps + rng.uniform(0, 6, 18)
    xy = np.repeat(motion(0, 1), 90, axis=0) + 40 * np.stack([np.sin(turn), np.cos(turn)], -1)
    noisy = xy + rng.normal(0, 1, xy.shape)  # 1 % of a torso
    calm = smooth(body_clip(CANVAS, noisy[:, None]), 1.0, fps).body.xy[:, 0]

    def error(tracks: np.ndarray) -> float:
        return np.linalg.norm(tracks - xy, axis=-1).mean()

    assert error(calm) <= 1.01 * error(noisy)
    if hertz <= fps / 15:
        assert error(calm) < 0.8 * error(noisy)


def test_smoothing_does_not_lag() -> None:
    xy = np.repeat(np.arange(60.0)[:, None], 18, 1)[:, None, :, None] * (4, 2)
    calm = smooth(body_clip(CANVAS, xy), 1.0, 30).body.xy

    assert np.abs(calm - xy)[20:40].max() < 0.1


@given(seeds, st.integers(1, 12), st.floats(0.1, 10))
def test_smoothing_keeps_constant_points(seed: int, frames: int, strength: float) -> None:
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


def test_greater_strength_smooths_more_and_zero_is_off() -> None:
    clip = random_clip(1, 40, share_seen=1.0)
    rough = [np.abs(np.diff(positions(smooth(clip, s)), 2, axis=0)).mean() for s in (0, 0.5, 1, 2)]

    assert rough == sorted(rough, reverse=True)
    assert rough[-1] < 0.5 * rough[0]
    assert np.array_equal(positions(smooth(clip, 0)), positions(clip))


def test_smoothing_restarts_after_a_gap() -> None:
    xs = [10.0, 10.0, 10.0, None, 90.0, 90.0, 90.0]
    calm = smooth(one_point(xs), 1.0)

    assert calm.body.xy[:, 0, 4, 0].tolist() == [10, 10, 10, 0, 90, 90, 90]


def test_smoothing_keeps_a_rigid_hand_rigid() -> None:
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


@given(seeds, st.integers(1, 12))
def test_without_filling_the_same_points_are_seen(seed: int, frames: int) -> None:
    clip = random_clip(seed, frames)
    config = CleanConfig(max_gap=0, spikes=False, smooth=1.0)

    assert np.array_equal(seen(clean(clip, config)), seen(clip))


@each_step
@few
@given(seed=seeds, frames=st.integers(1, 16), scale=st.sampled_from([0.5, 2.0, 4.0]))
def test_results_do_not_depend_on_the_scale_of_the_picture(
    step, seed: int, frames: int, scale: float
) -> None:
    clip = random_clip(seed, frames)

    assert same(step(mapped(clip, scale)), mapped(step(clip), scale))


@each_step
@few
@given(seed=seeds, frames=st.integers(1, 16), x=st.integers(-900, 900), y=st.integers(-900, 900))
def test_results_do_not_depend_on_the_position_in_the_picture(
    step, seed: int, frames: int, x: int, y: int
) -> None:
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
def test_empty_and_very_short_clips_are_allowed(
    step, frames: int, people: int, share: float
) -> None:
    clip = random_clip(0, frames, people, share_seen=share)
    result = step(clip)

    assert positions(result).shape == positions(clip).shape
    assert np.array_equal(seen(result), seen(clip))


@each_step
def test_a_torso_of_length_zero_and_nan_give_finite_results(step) -> None:
    clip = body_clip(CANVAS, np.full((6, 1, 18, 2), 100.0))
    clip.body.xy[2, 0, 4] = np.nan
    result = step(clip)

    assert np.isfinite(positions(result)[seen(result)]).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_gap", -1, r"max_gap got -1; it must be 0 or more\. Use 0"),
        ("smooth", -0.5, r"smooth got -0\.5; it must be 0 or more\. Use 0"),
        ("smooth", float("nan"), "smooth got nan"),
        ("fps", 0.0, r"fps got 0\.0; it must be above 0\. Use 30"),
        ("fps", float("inf"), "fps got inf"),
    ],
)
def test_settings_out_of_range_raise(field: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CleanConfig(**{field: value})


def test_functions_raise_for_the_same_values_as_the_config() -> None:
    clip = random_clip(0, 3)
    with pytest.raises(ConfigError, match="smooth got -1"):
        smooth(clip, -1)
    with pytest.raises(ConfigError, match="max_gap_frames got -2"):
        fill_gaps(clip, -2)
