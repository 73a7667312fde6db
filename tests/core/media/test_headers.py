"""What containers say of edges and alpha."""

import pytest

from animate_anyone.media.headers import Crop, crop_of, matte_of
from animate_anyone.media.shown import Shown
from animate_anyone.types import Size
from benchmarks.brought.clip_files import (
    PLAIN,
    sound,
    video,
    with_aperture,
    with_crop,
    with_mode,
)

MKV = video("plain.mkv", codec="ffv1", tags={"colorspace": 6})
CUT = Crop(stored=Size(64, 48), left=4, top=2, right=10, bottom=6)


def test_both_containers_say_the_same(tmp_path):
    assert crop_of(with_crop(MKV, 4, 2, 10, 6)(tmp_path)) == CUT
    assert crop_of(with_aperture(PLAIN, 50, 40, -3, -2)(tmp_path)) == CUT
    assert CUT.size == Size(50, 40)


@pytest.mark.parametrize("make", [PLAIN, MKV, sound("a.mp4")], ids=["MP4", "MKV", "sound"])
def test_files_that_say_nothing_are_shown_whole(make, tmp_path):
    assert crop_of(make(tmp_path)) is None
    assert crop_of(tmp_path / "missing.mp4") is None


@pytest.mark.parametrize("make", [PLAIN, MKV], ids=["MP4", "MKV"])
@pytest.mark.parametrize("edges", [(32, 0, 32, 0), (60, 0, 60, 0)], ids=["nothing", "less"])
def test_what_would_show_nothing_is_shown_whole(make, edges, tmp_path):
    if make is MKV:
        path = with_crop(MKV, *edges)(tmp_path)
    else:
        path = with_aperture(PLAIN, 64 - edges[0] - edges[2], 48, 0, 0)(tmp_path)
    assert crop_of(path) is None


@pytest.mark.parametrize("make", [with_crop(MKV, 4, 2, 10, 6), with_aperture(PLAIN, 50, 40, 0, 0)],
                         ids=["MKV", "MP4"])  # fmt: skip
def test_damaged_files_never_raise(make, tmp_path):
    path = make(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        for data in (whole[:place], whole[:place] + b"\xff\xff" + whole[place + 2 :]):
            path.write_bytes(data)
            assert matte_of(path) in (None, "white", "black")
            crop = crop_of(path)
            assert crop is None or min(crop.size.width, crop.size.height) > 0


def test_frames_of_another_size_than_the_file_says_stay_whole():
    class Frame:
        width, height = 32, 48

    shown = Shown(pixel=None, background="white", crop=CUT)
    assert shown._cut(Frame()) is None  # type: ignore[arg-type]
    assert shown.notes == []
    Frame.width = 64
    assert shown._cut(Frame()) == CUT  # type: ignore[arg-type]
    assert shown.notes == [CUT.note]


@pytest.mark.parametrize(
    ("mode", "matte"), [(0, None), (256, None), (257, "white"), (258, "black")]
)
def test_quicktime_says_on_what_transparent_parts_lie(mode, matte, tmp_path):
    assert matte_of(with_mode(PLAIN, mode)(tmp_path)) == matte
    assert matte_of(MKV(tmp_path)) is None
