"""The speed of a clip of keypoints: named by its file, told by its frames, or not known."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.files.keypoints import (
    parse_with_notes,
    read_with_notes,
    to_keypoints,
    write_keypoints,
)
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

BODY = [value for joint in range(18) for value in (10.0 + joint, 20.0 + joint, 1.0)]
RECORD = {"people": [{"pose_keypoints_2d": BODY}], "canvas_width": 64, "canvas_height": 48}
FILM = Fraction(24000, 1001)
NAMED, TIMED = "as the file names", "by the times of its frames"


def frames(count: int = 4, **more: Any) -> list[dict[str, Any]]:
    """Return frames; `more` are functions from a frame's number to a value of its record."""
    return [RECORD | {name: value(index) for name, value in more.items()} for index in range(count)]


def by_time(name: str, step: float, count: int = 4) -> list[dict[str, Any]]:
    """Return frames that name their times."""
    return frames(count, **{name: lambda index: index * step})


GAP = (0, 1, 4)  # numbers of frames of which two are missing
READ = {
    "fps of the file": ({"fps": 25, "frames": frames()}, 25, NAMED),
    "as text": ({"fps": "30000/1001", "frames": frames()}, Fraction(30000, 1001), NAMED),
    "a rounded speed of films": ({"frame_rate": 23.976, "frames": frames()}, FILM, NAMED),
    "in small and large letters": ({"frameRate": 12.5, "frames": frames()}, 12.5, NAMED),
    "in words apart": ({"Frame rate": 12.5, "frames": frames()}, 12.5, NAMED),
    "whole numbers that jump far apart": (
        {"fps": 30, "frames": frames(frame_index=lambda i: i * 10**9)},
        30,
        NAMED,
    ),
    "in a record beside": ({"info": {"fps": 15}, "frames": frames()}, 15, NAMED),
    "of the first of the videos": ({"videos": [{"fps": 50}], "frames": frames()}, 50, NAMED),
    "of each frame": (frames(fps=lambda _: 48), 48, NAMED),
    "seconds": (by_time("timestamp", 1 / 12), 12, TIMED),
    "thousandths, cut off": (by_time("timestamp", 33), 30, TIMED),
    "thousandths by their name": (by_time("timestamp_ms", 1000), 1, TIMED),
    "millionths": (by_time("time", 40_000), 25, TIMED),
    "billionths": (by_time("time", 40_000_000), 25, TIMED),
    "seconds, one frame each": (by_time("time", 1.0), 1, TIMED),
    "times where frames are missing": (
        frames(3, frame_index=lambda i: GAP[i], timestamp=lambda i: GAP[i] / 25),
        25,
        TIMED,
    ),
    "every second frame": (
        {"fps": 30, "frames": frames(frame_index=lambda i: 2 * i)},
        15,
        "as the file names 30 and holds one of 2 frames",
    ),
    "every second frame, whose times tell that this is meant": (
        {"fps": 15, "frames": frames(frame_index=lambda i: 2 * i, time=lambda i: i / 15)},
        15,
        NAMED,
    ),
    "frames by number, every third": (
        {"fps": 30, "frames": {str(3 * i): RECORD for i in range(4)}},
        10,
        "as the file names 30 and holds one of 3 frames",
    ),
}


@pytest.mark.parametrize(("value", "fps", "told"), READ.values(), ids=READ)
def test_the_speed_is_what_the_file_says(value: object, fps: float, told: str) -> None:
    reading = parse_with_notes(value)
    assert reading.speed is not None
    assert (reading.fps, reading.speed.told) == (Fraction(fps), told)
    assert reading.speed_line() == f"{float(fps):.5g} frames per second, {told}"


UNKNOWN = {
    "no word": (frames(), ""),
    "one frame": (RECORD, ""),
    "0": ({"fps": 0, "frames": frames()}, "fps got 0, which is no speed: passed over"),
    "not a number": ({"fps": math.nan, "frames": frames()}, "which is no speed"),
    "words": ({"fps": "fast", "frames": frames()}, "fps got 'fast', which is no speed"),
    "a number that takes for ever": ({"fps": "1e999999999", "frames": frames()}, "is no speed"),
    "true": ({"fps": True, "frames": frames()}, "fps got True, which is no speed"),
    "numbers as times": (by_time("time", 1), "time rises by 1 a frame: taken as a number"),
    "frames with no time": (by_time("time", 0.04)[:3] + frames(1), ""),
    "times without end": (by_time("time", 1e30), "time got 1e+30, which is no time"),
    "times as words": (frames(timestamp=lambda i: f"0:0:{i}"), "timestamp got '0:0:0', which"),
    "times that are not numbers": (frames(time=lambda _: math.nan), "time got nan, which is no"),
    "times of no usual speed": (by_time("time", 0.5e-3), "time would tell 2000 frames per second"),
    "times of hardly any distance": (by_time("time", 5e-324), "no usual speed: passed over"),
    "slow times": (by_time("time_ms", 5000), "time_ms would tell 0.2 frames per second"),
}


@pytest.mark.parametrize(("value", "note"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_speed_that_is_not_known_is_assumed_and_told(value: object, note: str) -> None:
    reading = parse_with_notes(value)
    assert reading.speed is None
    assert note in "; ".join(reading.notes)
    told = "30 frames per second, assumed; the file names no speed"
    assert (reading.fps, reading.speed_line()) == (30, told)


DOUBTFUL = {
    "two speeds": (
        {"fps": 25, "info": {"fps": 30}, "frames": frames()},
        25,
        "the file names speeds from 25 to 30 frames per second: the first is used",
    ),
    "speeds that tremble": (
        frames(5, fps=lambda i: (29, 31, 30, 28, 33)[i]),
        30,
        "from 28 to 33 frames per second: the middle one is used",
    ),
    "times of another speed": (
        {"fps": 30, "frames": by_time("time", 0.1)},
        30,
        "the times of its frames tell 10 frames per second, but the file names 30",
    ),
    "two speeds of one record": (
        {"fps": 25, "frame_rate": 30, "frames": frames()},
        25,
        "the file names speeds from 25 to 30 frames per second: the first is used",
    ),
    "a file and its frames": (
        {"fps": 25, "frames": frames(fps=lambda _: 50)},
        25,
        "the file names speeds from 25 to 50 frames per second: the first is used",
    ),
    "numbers that may count frames": (
        by_time("time", 5),
        200,
        "time rises by 5 a frame: taken as ms, not as a number",
    ),
    "a pause in seconds": (
        frames(5, time=lambda i: (0, 0.04, 0.08, 100, 100.04)[i]),
        25,
        "ms apart: they are shown at an even speed",
    ),
    "times that fall": (
        frames(time=lambda i: 1 - i / 25),
        25,
        "time does not rise from frame to frame: frames stay in their order",
    ),
    "uneven times": (
        frames(time=lambda i: (0, 0.04, 0.08, 0.24)[i]),
        12.5,
        "frames are 40 to 160 ms apart: they are shown at an even speed",
    ),
}


@pytest.mark.parametrize(("value", "fps", "note"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_doubtful_speed_is_told(value: object, fps: float, note: str) -> None:
    reading = parse_with_notes(value)
    assert reading.fps == Fraction(fps)
    assert note in "; ".join(reading.notes)


def test_frames_by_number_rise_in_their_order() -> None:
    places = (2, 0, 3, 1)
    listed = frames(frame_index=lambda i: places[i], time=lambda i: places[i] / 25)
    by_number = {str(place): RECORD | {"time": place / 25} for place in places}
    for value in (listed, {"frames": by_number}):
        reading = parse_with_notes(value)
        assert reading.fps == 25
        assert "rise" not in "; ".join(reading.notes)


def test_a_note_does_not_grow_with_the_wrong_speeds_of_frames() -> None:
    reading = parse_with_notes(frames(2000, fps=lambda i: -i))
    told = "fps got 0, fps got -1, fps got -2 and 1997 more, which are no speeds: passed over"
    assert reading.notes == (told,)


def test_a_chosen_speed_is_told_beside_that_of_the_file() -> None:
    named = parse_with_notes({"fps": 25, "frames": frames()})
    told = "24 frames per second, as --fps says; instead of 25 as the file names"
    assert named.speed_line(Fraction(24)) == told
    told = "24 frames per second, as --fps says; the file names no speed"
    assert parse_with_notes(frames()).speed_line(Fraction(24)) == told


@pytest.mark.parametrize("fps", [math.nan, math.inf, -5.0, 0.0, 1e9])
def test_a_speed_that_no_clip_has_is_not_written(tmp_path: Path, fps: float) -> None:
    clip = parse_with_notes(frames()).clip
    with pytest.raises(InputError, match=r"fps got .*; it must lie in 0.001..1000"):
        write_keypoints(tmp_path / "k.json", clip, fps)
    assert not (tmp_path / "k.json").exists()


def test_written_speeds_come_back(tmp_path: Path) -> None:
    xy = np.tile(np.reshape(BODY, (18, 3))[:, :2], (3, 1, 1, 1))
    clip, rate = body_clip(Size(64, 48), xy), Fraction(30000, 1001)
    write_keypoints(tmp_path / "k.json", clip, rate)
    reading = read_with_notes(tmp_path / "k.json")
    assert (reading.fps, reading.notes) == (rate, ())
    assert np.array_equal(reading.clip.body.xy, clip.body.xy)
    (tmp_path / "take").mkdir()
    for frame, record in enumerate(to_keypoints(clip, 12)):
        (tmp_path / "take" / f"{frame}.json").write_text(json.dumps(record))
    assert read_with_notes(tmp_path / "take").fps == 12
    assert not any("fps" in record for record in to_keypoints(clip))
