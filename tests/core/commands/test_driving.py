import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from animate_anyone.commands.driving import kind_of, open_driving, read_driving
from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import skeletons_of
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import paint
from animate_anyone.media import VideoWriter
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.files.writing import to_keypoints, write_keypoints
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size


@pytest.fixture(scope="module")
def performance():
    """Return paintings of a character in motion."""
    rng = np.random.default_rng(3)
    character, motion = make_character(rng), make_motion(rng)
    return [paint(character, motion.angles(frame), Size(128, 128)) for frame in range(6)]


def test_kind_is_recognised_from_the_file(performance, tmp_path):
    clips = {
        "skeleton": draw_pose(skeletons_of(performance, Size(128, 128))),
        "video": np.stack([painting.picture for painting in performance]),
    }
    for kind, frames in clips.items():
        with VideoWriter(tmp_path / f"{kind}.mp4", Size(128, 128), 12) as writer:
            writer.write(frames)
        assert kind_of(tmp_path / f"{kind}.mp4", len(frames)) == kind
        assert open_driving(tmp_path / f"{kind}.mp4").kind == kind
    assert open_driving(tmp_path / "video.mp4", kind="skeleton").kind == "skeleton"


def test_skeletons_with_red_and_blue_exchanged_are_put_in_order(performance, tmp_path, caplog):
    size = Size(256, 256)
    skeletons = draw_pose(skeletons_of(performance, Size(128, 128)), size)
    (tmp_path / "clip").mkdir()
    for index, frame in enumerate(skeletons):
        Image.fromarray(frame[..., ::-1].copy()).save(tmp_path / "clip" / f"{index}.png")
    result = read_driving(open_driving(tmp_path / "clip"), size)
    np.testing.assert_array_equal(result, skeletons)
    assert caplog.text.count("red and blue of its skeletons are exchanged") == 1


def test_a_single_frame_at_a_lower_speed_is_still_a_clip(tmp_path):
    with VideoWriter(tmp_path / "one.mp4", Size(32, 32), 30) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert open_driving(tmp_path / "one.mp4", fps=10).frames == (0,)


def test_keypoints_are_drawn_dimmed_for_weights_that_were_trained_so(performance, tmp_path):
    clip = skeletons_of(performance, Size(128, 128))
    body = replace(clip.body, confidence=0.6 * clip.body.confidence)
    write_keypoints(tmp_path / "k.json", replace(clip, body=body))
    driving = open_driving(tmp_path / "k.json")
    plain, dim = (
        read_driving(replace(driving, dimmed=dimmed), Size(128, 128)) for dimmed in (False, True)
    )
    assert not driving.dimmed
    assert (dim <= plain).all()
    assert (dim < plain).any()


@pytest.mark.parametrize("folder", [False, True])
def test_keypoints_of_this_pack_off_their_canvas_are_told(tmp_path, caplog, folder):
    away = body_clip(Size(64, 64), np.full((2, 1, 18, 2), 500.0) + np.arange(18)[:, None])
    path = tmp_path / "take" / "0.json" if folder else tmp_path / "away.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(to_keypoints(away)[0] if folder else to_keypoints(away)))
    driving = open_driving(path.parent if folder else path)
    assert "100% of the points lie off the canvas 64x64" in caplog.text
    assert not read_driving(driving, Size(64, 64)).any()
    assert "nothing is drawn in any frame" in caplog.text


def test_the_speed_of_keypoints_is_their_files_unless_another_is_chosen(tmp_path):
    xy = np.tile(10.0 + np.arange(18)[:, None], (4, 1, 1, 2))
    for name, fps in (("named", 25), ("silent", None)):
        write_keypoints(tmp_path / f"{name}.json", body_clip(Size(64, 64), xy), fps)
    named = open_driving(tmp_path / "named.json")
    told = "25 frames per second, as the file names"
    assert (named.fps, named.frames, named.speed) == (25, (0, 1, 2, 3), told)
    chosen = open_driving(tmp_path / "named.json", Fraction(50))
    told = "50 frames per second, as --fps says; instead of 25 as the file names"
    assert (chosen.fps, chosen.frames, chosen.speed) == (50, (0, 1, 2, 3), told)
    silent = open_driving(tmp_path / "silent.json")
    assert (silent.fps, silent.speed) == (
        30,
        "30 frames per second, assumed; the file names no speed",
    )


def test_the_speed_of_pictures_is_told(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", Size(32, 32), 10) as writer:
        writer.write(np.zeros((4, 32, 32, 3), np.uint8))
    (tmp_path / "take").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "take" / "0.png")
    clip = tmp_path / "clip.mp4"
    assert open_driving(clip).speed == "10 frames per second, as the video has"
    assert open_driving(clip, Fraction(5)).speed == "5 frames per second, as --fps says"
    told = "30 frames per second, assumed; pictures have no speed"
    assert open_driving(tmp_path / "take").speed == told


def test_a_black_clip_is_told(tmp_path, caplog):
    with VideoWriter(tmp_path / "black.mp4", Size(32, 32), 10) as writer:
        writer.write(np.zeros((2, 32, 32, 3), np.uint8))
    read_driving(open_driving(tmp_path / "black.mp4"), Size(32, 32))
    assert "black.mp4: nothing is drawn in any frame" in caplog.text
