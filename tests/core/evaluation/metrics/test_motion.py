"""The motion error on tracks whose motion is known."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.evaluation.metrics.motion import motion_error
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.pose.skeleton.stack import stack, torso_px
from animate_anyone.types import PoseClip
from pose_clips import CANVAS, motion


@pytest.fixture(scope="module")
def walk() -> np.ndarray:  # (24, 1, 18, 2)
    """Return joints that all move: a figure that goes to the right and swings."""
    frames = np.arange(24)[:, None]
    xy = np.repeat(motion(3, 1), 24, axis=0)
    xy[..., 0] += 2.0 * frames
    xy[..., 1] += 9.0 * np.sin(frames * 0.3 + np.arange(18))
    return xy[:, None]


def clip(xy: np.ndarray, **changes) -> PoseClip:
    return body_clip(CANVAS, xy, **changes)


def still(xy: np.ndarray) -> np.ndarray:
    return np.repeat(xy[:1], len(xy), axis=0)


def test_it_is_0_for_the_true_motion_wherever_the_figure_is(walk):
    assert motion_error(clip(walk), clip(walk)) == 0
    assert motion_error(clip(walk + 30.0), clip(walk)) == pytest.approx(0, abs=1e-6)


def test_a_still_figure_has_1_and_a_figure_that_goes_back_more(walk):
    assert motion_error(clip(still(walk)), clip(walk)) == pytest.approx(1)
    back = 2 * walk.mean(0) - walk
    assert motion_error(clip(back), clip(walk)) > 1.5


def test_half_of_the_motion_has_half_of_the_error(walk):
    half = (walk + still(walk)) / 2
    assert motion_error(clip(half), clip(walk)) == pytest.approx(0.5)


def test_motion_at_another_time_is_wrong(walk):
    assert motion_error(clip(np.roll(walk, 12, axis=0)), clip(walk)) > 0.8


def test_jitter_from_frame_to_frame_hardly_counts(walk):
    noisy = walk + np.random.default_rng(0).normal(0, 0.5, walk.shape)
    assert motion_error(clip(noisy), clip(walk)) < 0.2


def test_what_the_clip_misses_stands_still(walk):
    seen = np.ones(walk.shape[:3])
    seen[:, :, 9:] = 0
    part = motion_error(clip(walk, confidence=seen), clip(walk))
    assert 0.3 < part < 0.7
    assert motion_error(clip(walk), clip(walk, confidence=seen)) == 0
    two = np.concatenate([walk, walk], axis=1)
    assert motion_error(clip(walk), clip(two)) == pytest.approx(0.5)
    assert motion_error(clip(two), clip(walk)) == 0


def test_velocities_alone_count_in_a_short_clip(walk):
    truth, half = walk[:6], (walk[:6] + still(walk[:6])) / 2
    assert motion_error(clip(half), clip(truth)) == pytest.approx(0.5)
    assert motion_error(clip(walk[:4]), clip(walk[:4])) is None


def test_a_truth_that_stands_still_or_shows_nobody_has_no_motion_error(walk):
    assert motion_error(clip(walk), clip(still(walk))) is None
    hidden = clip(walk, confidence=np.zeros(walk.shape[:3]))
    assert motion_error(clip(walk), hidden) is None


def test_the_size_of_figure_and_picture_does_not_matter(walk):
    half = replace(CANVAS, width=CANVAS.width // 2, height=CANVAS.height // 2)
    made = (walk + still(walk)) / 2 + 3.0 * np.sin(np.arange(24))[:, None, None, None]
    small = motion_error(body_clip(half, made / 2), body_clip(half, walk / 2))
    assert small == pytest.approx(motion_error(clip(made), clip(walk)))
    assert torso_px(clip(walk), stack(clip(walk)))[0] > 0


def test_clips_that_do_not_belong_together_are_refused(walk):
    with pytest.raises(InputError, match="clip got 20 frames"):
        motion_error(clip(walk[:20]), clip(walk))
