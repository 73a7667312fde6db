import numpy as np
import pytest

from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import skeletons_of
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import paint
from animate_anyone.pose.drawing.colours import is_skeleton, with_colours_in_order
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size


@pytest.fixture(scope="module")
def performance():
    """Return paintings of a character in motion."""
    rng = np.random.default_rng(3)
    character, motion = make_character(rng), make_motion(rng)
    return [paint(character, motion.angles(frame), Size(128, 128)) for frame in range(6)]


@pytest.fixture(scope="module")
def skeletons(performance):
    return draw_pose(skeletons_of(performance, Size(128, 128)), Size(256, 256))


@pytest.mark.parametrize("size", [(96, 96), (128, 192), (512, 512)])
def test_drawn_skeletons_are_distinguished_from_a_character(performance, size):
    skeletons = draw_pose(skeletons_of(performance, Size(128, 128)), Size(*size))
    assert all(is_skeleton(frame) for frame in skeletons)
    assert not any(is_skeleton(painting.picture) for painting in performance)


def test_a_dark_scene_is_not_a_skeleton():
    rng = np.random.default_rng(0)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[20:50, 25:40] = rng.integers(90, 130, (30, 15, 1))  # a grey person
    assert not is_skeleton(frame)


def test_an_empty_frame_counts_as_a_skeleton():
    assert is_skeleton(np.zeros((32, 32, 3), np.uint8))


def test_two_skeletons_are_recognised_too():
    xy = np.random.default_rng(0).uniform(20, 100, (1, 2, 18, 2))
    assert is_skeleton(draw_pose(body_clip(Size(128, 128), xy))[0])


def in_order(frames) -> tuple[np.ndarray, list[str]]:
    told: list[str] = []
    return np.stack(list(with_colours_in_order(frames, told.append))), told


@pytest.mark.parametrize("empty", [0, 1, 20])
def test_exchanged_colours_are_put_in_order_and_told_once(skeletons, empty):
    wanted = np.concatenate((np.zeros((empty, 256, 256, 3), np.uint8), skeletons))
    result, told = in_order(wanted[..., ::-1])
    np.testing.assert_array_equal(result, wanted)
    (note,) = told
    assert "red and blue of its skeletons are exchanged" in note


def test_colours_in_order_stay(skeletons):
    result, told = in_order(skeletons)
    np.testing.assert_array_equal(result, skeletons)
    assert told == []


@pytest.mark.parametrize("hidden", [0.0, 0.3, 0.6])
def test_no_order_is_told_wrongly_however_little_of_people_is_seen(performance, hidden):
    clip = skeletons_of(performance, Size(128, 128))
    rng = np.random.default_rng(1)
    clip.body.confidence[rng.random(clip.body.confidence.shape) < hidden] = 0
    frames = draw_pose(clip, Size(256, 256))
    for given in (frames, frames[..., ::-1]):
        result, told = in_order(given)
        np.testing.assert_array_equal(result, frames if told else given)
    assert in_order(frames)[1] == []


def test_pictures_that_tell_no_order_stay(performance, skeletons):
    people = np.stack([painting.picture[..., ::-1] for painting in performance])
    noise = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), np.uint8)
    hand = np.zeros_like(skeletons)
    hand[:, 100:120, 100:104] = (0, 0, 255)
    for frames in (people, noise, hand, np.zeros((9, 64, 64, 3), np.uint8), skeletons[:, :8, :8]):
        result, told = in_order(frames)
        np.testing.assert_array_equal(result, frames)
        assert told == []


def test_no_more_frames_are_held_than_it_takes_to_tell(skeletons):
    taken = []

    def frames():
        for index in range(100):
            taken.append(index)
            yield skeletons[index % len(skeletons)]

    next(with_colours_in_order(frames(), print))
    assert len(taken) <= 2
