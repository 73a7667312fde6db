"""What a frame looks like; most kinds of files are in benchmarks/brought, tested there."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from animate_anyone.media import clip_info, frames_of
from animate_anyone.media.light import HLG, PQ, to_sdr
from animate_anyone.media.shown import Shown
from animate_anyone.types import Size
from benchmarks.brought.clip_files import PLAIN, quarters, turned, video

BITMAP = quarters()
# How numpy turns a picture for a display matrix (a, b, c, d): x' = a x + c y, y' = b x + d y.
TURNS = {
    (1, 0, 0, 1): BITMAP,
    (-1, 0, 0, 1): BITMAP[:, ::-1],
    (1, 0, 0, -1): BITMAP[::-1],
    (-1, 0, 0, -1): BITMAP[::-1, ::-1],
    (0, 1, -1, 0): np.rot90(BITMAP, -1),
    (0, -1, 1, 0): np.rot90(BITMAP),
    (0, 1, 1, 0): BITMAP.transpose(1, 0, 2),
    (0, -1, -1, 0): BITMAP[::-1, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("matrix", TURNS)
def test_the_whole_display_matrix_is_used(tmp_path, matrix):
    (first, *_) = frames_of(turned(PLAIN, matrix)(tmp_path))
    assert first.shape == TURNS[matrix].shape
    assert np.abs(first.astype(int) - TURNS[matrix])[4:-4, 4:-4].mean() < 3


def frame(width=64, height=48, time=0, **tags):
    made = VideoFrame.from_ndarray(quarters(width, height), format="rgb24")
    made = made.reformat(format="yuv420p", dst_colorspace=5, dst_color_range=1)
    made.pts, made.time_base = time, Fraction(1, 25)
    for name, value in tags.items():
        setattr(made, name, value)
    return made


def test_frames_that_need_nothing_are_those_of_a_plain_conversion():
    told = frame(colorspace=5, color_range=1)
    ((stamp, picture),) = Shown(pixel=None, background="white").pictures([told])
    assert stamp == 0
    assert np.array_equal(picture, told.to_ndarray(format="rgb24"))


def test_a_size_that_changes_in_the_middle_is_scaled_to_the_first():
    shown = Shown(pixel=None, background="white")
    pictures = list(shown.pictures([frame(), frame(32, 24, 1), frame(time=2)]))
    assert [picture.shape for _, picture in pictures] == [(48, 64, 3)] * 3
    assert [stamp for stamp, _ in pictures] == [0, Fraction(1, 25), Fraction(2, 25)]


def test_pixels_of_an_absurd_shape_are_taken_as_square():
    shown = Shown(pixel=Fraction(1, 100), background="white")
    next(shown.pictures([frame()]))
    assert shown.size == Size(64, 48)
    assert any("pixels of 1/100:1" in note for note in shown.notes)


def test_hdr_white_is_white_and_grey_stays_grey():
    code = np.array([[[0] * 3, [38055] * 3, [65535] * 3]], np.uint16)  # 203 cd/m2 is .5807 in PQ
    assert to_sdr(code, PQ, 9)[0, :, 0].tolist() == [0, 255, 255]
    code = np.array([[[0] * 3, [32768] * 3, [49151] * 3]], np.uint16)
    assert to_sdr(code, HLG, 9)[0, :, 0].tolist() == [0, 137, 255]


def test_wide_red_is_clipped_and_grey_of_sdr_stays():
    code = np.array([[[65535, 0, 0], [30000] * 3]], np.uint16)
    shown = to_sdr(code, 1, 12)[0].tolist()
    assert shown[0] == [255, 0, 0]
    assert max(abs(value - 30000 / 257) for value in shown[1]) <= 1


def test_a_clip_of_another_suffix_is_read_by_its_content(tmp_path):
    path = video("clip.mp4", tags={"colorspace": 6})(tmp_path).rename(tmp_path / "clip.gif")
    assert clip_info(path).frames == 4


def test_speeds_are_read_from_a_colon_name_without_a_folder(tmp_path, monkeypatch):
    PLAIN(tmp_path).rename(tmp_path / "take: 1.mp4")
    monkeypatch.chdir(tmp_path)
    assert clip_info("take: 1.mp4").fps == 12
    with av.open("file:take: 1.mp4") as container:
        assert len(list(container.decode(video=0))) == len(list(frames_of("take: 1.mp4"))) == 4
