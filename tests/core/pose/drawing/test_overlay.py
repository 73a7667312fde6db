"""Overlays of several skeletons, at any size and length."""

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.drawing.draw import draw_frame
from animate_anyone.pose.drawing.overlay import DRIVER, REFERENCE, Style, overlay
from animate_anyone.pose.skeleton.joints import BODY_EDGES, body_clip
from animate_anyone.types import PoseClip, Size

BLACK = np.zeros((96, 64, 3), np.uint8)


def arms_out(
    frames: int = 1,
    shift: float = 0.0,  # pixels to the right, per frame as well
    canvas: Size = Size(64, 96),  # noqa: B008 frozen
) -> PoseClip:
    """Return a neck with two shoulders at one height."""
    xy = np.zeros((frames, 1, 18, 2))
    confidence = np.zeros((frames, 1, 18))
    for frame in range(frames):
        for joint, x in ((1, 30), (2, 20), (5, 40)):
            xy[frame, 0, joint] = (x + shift * (frame + 1), 40)
            confidence[frame, 0, joint] = 1
    return body_clip(canvas, xy * canvas.width / 64, confidence)


def test_one_clip_looks_like_the_input_of_the_pose_guider() -> None:
    clip = arms_out()
    (picture,) = overlay(BLACK, [clip])
    assert np.array_equal(picture, draw_frame(clip, 0))


def test_the_background_is_dimmed_where_nothing_is_drawn() -> None:
    (picture,) = overlay(np.full_like(BLACK, 200), [arms_out()], dim=0.5)
    assert (picture[:20] == 100).all()
    assert (picture[40, 20:41] != 100).any(-1).all()


def test_driver_is_grey_and_reference_white_above_the_retargeted_skeleton() -> None:
    clips = [arms_out(shift=0), arms_out(shift=2), arms_out(shift=-4)]
    (picture,) = overlay(np.zeros((960, 640, 3), np.uint8), clips)
    assert tuple(picture[400, 180]) == REFERENCE.colour, "white where it lies alone"
    assert tuple(picture[400, 380]) == DRIVER.colour, "grey above the colours"
    assert len(np.unique(picture[400, 415])) > 1, "coloured where the retargeted one lies alone"


def test_a_clip_is_fitted_to_the_background() -> None:
    (small,) = overlay(BLACK, [arms_out()], [DRIVER])
    (large,) = overlay(BLACK, [arms_out(canvas=Size(640, 960))], [DRIVER])
    assert small.any()
    assert np.array_equal(small, large)


def test_short_clips_and_backgrounds_repeat_their_last_frame() -> None:
    backgrounds = np.stack([BLACK, np.full_like(BLACK, 100)])
    moving = arms_out(frames=4, shift=3)
    pictures = list(overlay(backgrounds, [moving, arms_out()], dim=1.0))
    assert len(pictures) == 4
    assert [picture[0, 0, 0] for picture in pictures] == [0, 100, 100, 100]
    assert any(not np.array_equal(pictures[2], other) for other in pictures[3:])


def test_only_the_chosen_frames_are_drawn() -> None:
    moving = arms_out(frames=9, shift=2)
    every = list(overlay(BLACK, [moving]))
    some = list(overlay(BLACK, [moving], frames=[0, 4, 8]))
    assert [np.array_equal(a, b) for a, b in zip(some, every[::4], strict=True)] == [True] * 3


def test_people_without_seen_points_are_not_drawn() -> None:
    nobody = body_clip(Size(64, 96), np.zeros((2, 0, 18, 2)))
    hidden = body_clip(Size(64, 96), np.full((2, 1, 18, 2), np.nan), np.zeros((2, 1, 18)))
    pictures = list(overlay(BLACK, [nobody, hidden]))
    assert len(pictures) == 2
    assert not np.any(pictures)


def test_points_far_outside_give_no_error() -> None:
    clip = arms_out()
    for a, _ in BODY_EDGES:
        clip.body.xy[0, 0, a] = (1e12, -1e12)
    clip.body.confidence[:] = 1
    (picture,) = overlay(BLACK, [clip], [Style((9, 9, 9))])
    assert set(np.unique(picture)) <= set(range(10))


@pytest.mark.parametrize(
    ("background", "words"),
    [
        (np.zeros((4, 4, 3)), "background got float64 of shape"),
        (np.zeros((4, 4, 4), np.uint8), r"background got uint8 of shape \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), "no side may be 0"),
    ],
    ids=["floats", "four channels", "empty"],
)
def test_backgrounds_that_are_not_pictures_raise(background: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        overlay(background, [arms_out()])


def test_four_clips_need_styles() -> None:
    with pytest.raises(InputError, match="styles got 0 for 4 clips"):
        overlay(BLACK, [arms_out()] * 4)
