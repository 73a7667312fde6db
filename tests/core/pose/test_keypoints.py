import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone.errors import InputError
from animate_anyone.pose.keypoints import (
    parse_keypoints,
    read_keypoints,
    to_keypoints,
    write_keypoints,
)
from animate_anyone.pose.skeleton import PART_JOINTS, VISIBLE, body_clip
from animate_anyone.types import Points, PoseClip, Size

CANVAS = {"canvas_width": 512, "canvas_height": 768}


def triples(count: int, start: float = 10.0) -> list[float]:
    return [value for i in range(count) for value in (start + i, start + 2 * i, 1.0)]


def frame(**person: object) -> dict[str, Any]:
    return {"people": [person], **CANVAS}


def test_one_record_counts_as_a_list_of_one() -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=triples(18)))

    assert len(clip) == 1
    assert clip.canvas == Size(512, 768)
    assert clip.body.xy[0, 0, 3].tolist() == [13, 16]
    assert clip.body.confidence.all()
    assert not clip.face.confidence.any()


@pytest.mark.parametrize("absent", [None, [], [0.0] * 63, [-1.0, -1.0, 1.0] * 21])
def test_absent_parts_are_missing_points(absent: object) -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=triples(18), hand_left_keypoints_2d=absent))

    assert not clip.left_hand.confidence.any()
    assert not clip.left_hand.xy.any()


def test_nan_is_a_missing_point() -> None:
    values = triples(18)
    values[4] = float("nan")
    clip = parse_keypoints(frame(pose_keypoints_2d=values))

    assert clip.body.confidence[0, 0].tolist() == [1, 0] + [1] * 16
    assert np.isfinite(clip.body.xy).all()


@pytest.mark.parametrize("count", [1, 17, 18, 20])
def test_short_and_long_bodies_are_read_as_far_as_they_go(count: int) -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=triples(count)))

    assert clip.body.confidence[0, 0].sum() == min(count, 18)


@pytest.mark.parametrize("count", [68, 70])
def test_faces_of_68_and_70_points_are_read(count: int) -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=triples(18), face_keypoints_2d=triples(count)))

    assert clip.face.confidence[0, 0].sum() == 68


def test_body_25_is_known_by_its_middle_hip() -> None:
    values = np.array(triples(25)).reshape(25, 3)
    values[[8, 9, 12], :2] = [(100, 200), (90, 200), (110, 200)]
    clip = parse_keypoints(frame(pose_keypoints_2d=values.ravel().tolist()))

    assert clip.body.xy[0, 0, 8].tolist() == [90, 200]
    assert clip.body.xy[0, 0, 11].tolist() == [110, 200]
    assert clip.body.xy[0, 0, 17].tolist() == values[18, :2].tolist()
    assert clip.feet.xy[0, 0].tolist() == values[19:, :2].tolist()


def test_25_points_without_middle_hip_are_18_and_extras() -> None:
    values = np.array(triples(25)).reshape(25, 3)
    values[[8, 9, 12], :2] = [(90, 200), (90, 260), (110, 260)]
    clip = parse_keypoints(frame(pose_keypoints_2d=values.ravel().tolist()))

    assert clip.body.xy[0, 0].tolist() == values[:18, :2].tolist()
    assert not clip.feet.confidence.any()


def test_fractions_are_multiplied_by_the_canvas() -> None:
    values = [0.5, 0.25, 1.0] * 18
    clip = parse_keypoints(frame(pose_keypoints_2d=values))

    assert clip.body.xy[0, 0, 0].tolist() == [256, 192]


def test_one_pixel_value_above_one_means_pixels_throughout() -> None:
    small = frame(pose_keypoints_2d=[0.5, 0.25, 1.0] * 18)
    clip = parse_keypoints([small, frame(pose_keypoints_2d=triples(18))])

    assert clip.body.xy[0, 0, 0].tolist() == [0.5, 0.25]


def test_missing_people_and_changing_numbers_of_people() -> None:
    person = {"pose_keypoints_2d": triples(18)}
    clip = parse_keypoints(
        [
            {"people": [], **CANVAS},
            {"people": [person, person], **CANVAS},
            {"people": [None, person], **CANVAS},
        ]
    )

    assert clip.body.confidence.any(-1).tolist() == [[False, False], [True, True], [True, False]]


def test_nobody_at_all_is_a_clip_without_people() -> None:
    clip = parse_keypoints([{"people": [], **CANVAS}] * 3)

    assert clip.body.xy.shape == (3, 0, 18, 2)
    assert to_keypoints(clip) == [{"people": [], **CANVAS}] * 3


def test_other_canvas_is_fitted_into_the_first() -> None:
    second = frame(pose_keypoints_2d=[512.0, 512.0, 1.0] * 18)
    second |= {"canvas_width": 1024, "canvas_height": 1024}
    clip = parse_keypoints([frame(pose_keypoints_2d=triples(18)), second])

    assert clip.body.xy[1, 0, 0].tolist() == [256, 384]


def test_canvas_argument_serves_records_without_one() -> None:
    record = {"people": [{"pose_keypoints_2d": triples(18)}]}

    assert parse_keypoints(record, Size(99, 88)).canvas == Size(99, 88)
    with pytest.raises(InputError, match="keypoints frame 0 got canvas None x None"):
        parse_keypoints(record)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "keypoints got None; it must be a list"),
        ([], r"keypoints got \[\]"),
        ("people", "keypoints got 'people'"),
        ([3], "keypoints frame 0 got 3; it must be a record"),
        ([{"animals": [], **CANVAS}], "frame 0 got animals; only people"),
        ([{"people": 3, **CANVAS}], "frame 0 got people 3"),
        ([{"people": [], "canvas_width": 0, "canvas_height": 5}], "got canvas 0 x 5"),
        (frame(pose_keypoints_2d=[1.0, 2.0]), r"pose_keypoints_2d \[1.0, 2.0\]; it must be a flat"),
        (frame(pose_keypoints_2d="abc"), "pose_keypoints_2d 'abc'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_a_skeleton_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_keypoints(value)


def test_written_parts_have_full_length_and_zero_or_one() -> None:
    body = np.full((1, 1, 18, 2), 7.5)
    clip = body_clip(Size(64, 64), body, np.linspace(0, 1, 18).reshape(1, 1, 18))
    person = to_keypoints(clip)[0]["people"][0]

    lengths = {key: len(value) for key, value in person.items() if key != "aa_scores"}
    assert lengths == {
        "pose_keypoints_2d": 54,
        "face_keypoints_2d": 210,
        "hand_left_keypoints_2d": 63,
        "hand_right_keypoints_2d": 63,
        "foot_keypoints_2d": 18,
    }
    assert set(person["pose_keypoints_2d"][2::3]) == {0.0, 1.0}
    assert person["pose_keypoints_2d"][:3] == [0, 0, 0]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_writing_and_reading_keeps_every_visible_point(frames: int, people: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = {}
    for part, joints in PART_JOINTS.items():
        xy = rng.uniform(2, 500, (frames, people, joints, 2))
        confidence = rng.uniform(0, 1, (frames, people, joints))
        confidence[:, :, 0] = 1  # everybody is seen, so people keep their places
        parts[part] = Points(xy=xy, confidence=confidence)
    clip = PoseClip(canvas=Size(512, 512), **parts)
    again = parse_keypoints(json.loads(json.dumps(to_keypoints(clip))))

    for part in PART_JOINTS:
        before, after = getattr(clip, part), getattr(again, part)
        seen = before.confidence >= VISIBLE
        assert np.array_equal(after.confidence, np.where(seen, before.confidence, 0))
        assert np.array_equal(after.xy[seen], before.xy[seen])


def test_files_round_trip_and_bad_files_are_named(tmp_path: Path) -> None:
    clip = body_clip(Size(64, 64), np.full((2, 1, 18, 2), 7.5))
    path = tmp_path / "pose.json"
    write_keypoints(path, clip)
    assert np.array_equal(read_keypoints(path).body.xy, clip.body.xy)

    path.write_text("{")
    with pytest.raises(InputError, match=r"pose\.json; it is not JSON"):
        read_keypoints(path)
    with pytest.raises(InputError, match=r"gone\.json; cannot read it"):
        read_keypoints(tmp_path / "gone.json")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"pose\.json; it is not JSON"):
        read_keypoints(path)
