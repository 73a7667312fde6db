import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone.errors import InputError, MediaError
from animate_anyone.pose.files.keypoints import (
    parse_keypoints,
    parse_with_notes,
    read_keypoints,
    to_keypoints,
    write_keypoints,
)
from animate_anyone.pose.skeleton.joints import PART_JOINTS, body_clip, empty_points
from animate_anyone.types import Flag, Points, PoseClip, Size

# A horse from the side in the order of AP-10K: eyes, nose, neck, tail, fore legs, hind legs.
HORSE = [
    *([12, 22], [14, 22], [5, 33], [30, 40], [88, 42]),
    *(
        [x + step * swing, y]
        for x, swing in ((28, 4), (31, -5), (80, -6), (84, 3))
        for step, y in enumerate((58, 75, 95))
    ),
]
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


@pytest.mark.parametrize("count", [17, 18, 20])
def test_bodies_of_known_numbers_of_points_are_read(count: int) -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=triples(count)))

    assert clip.body.confidence[0, 0].sum() == 18  # the neck of 17 is between the shoulders
    assert clip.body.xy[0, 0, 2].tolist() == ([16, 22] if count == 17 else [12, 14])


@pytest.mark.parametrize("count", [1, 15, 16, 21, 100])
def test_bodies_of_other_numbers_of_points_raise_with_the_known_ones(count: int) -> None:
    known = f"pose_keypoints_2d with {count} points; known are bodies of 17: COCO 17 or PoseTrack"
    with pytest.raises(InputError, match=known):
        parse_keypoints(frame(pose_keypoints_2d=triples(count)))


@pytest.mark.parametrize("count", [68, 70])
def test_faces_of_68_and_70_points_are_read(count: int) -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=triples(18), face_keypoints_2d=triples(count)))

    assert clip.face.confidence[0, 0].sum() == 68


def test_body_25_is_recognised_by_its_middle_hip() -> None:
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


def test_empty_frames_give_a_clip_without_people() -> None:
    clip = parse_keypoints([{"people": [], **CANVAS}] * 3)

    assert clip.body.xy.shape == (3, 0, 18, 2)
    assert to_keypoints(clip) == [{"people": [], **CANVAS}] * 3


def test_another_canvas_is_fitted_into_the_first() -> None:
    second = frame(pose_keypoints_2d=[512.0, 512.0, 1.0] * 18)
    second |= {"canvas_width": 1024, "canvas_height": 1024}
    clip = parse_keypoints([frame(pose_keypoints_2d=triples(18)), second])

    assert clip.body.xy[1, 0, 0].tolist() == [256, 384]


def test_a_changing_canvas_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    wide = {"people": [], "canvas_width": 1024, "canvas_height": 768}
    seen = frame(pose_keypoints_2d=[value * 10 for value in triples(18)])
    parse_keypoints([seen, seen, wide])

    assert "changes from 512 x 768 to 1024 x 768 pixels in frame 2; 1 of 3 frames" in caplog.text
    caplog.clear()
    parse_keypoints([seen, seen])
    assert not caplog.text


def test_a_path_that_cannot_be_written_raises_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file" / "pose.json"
    path.parent.write_text("not a folder")

    with pytest.raises(MediaError, match=r"out got .*pose\.json; it cannot be written"):
        write_keypoints(path, parse_keypoints([frame()]))


def test_the_canvas_argument_is_used_for_records_without_one() -> None:
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
        ([{"people": [{"keypoints": HORSE}], **CANVAS}], "lie as those of animals do .AP-10K"),
        ([{"people": 3, **CANVAS}], "frame 0 got people 3"),
        ([{"people": [], "canvas_width": 0, "canvas_height": 5}], "got canvas 0 x 5"),
        ([{"people": [], "canvas_width": 10**7, "canvas_height": 5}], "from 1 to 16384"),
        (frame(pose_keypoints_2d=[1.0, 2.0]), r"pose_keypoints_2d \[1.0, 2.0\]; it must be a flat"),
        (frame(pose_keypoints_2d="abc"), "pose_keypoints_2d 'abc'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_values_that_are_no_skeletons_raise(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_keypoints(value)


def test_written_parts_have_full_length_and_zero_or_one() -> None:
    body = np.full((1, 1, 18, 2), 7.5)
    clip = body_clip(Size(64, 64), body, np.linspace(0, 1, 18).reshape(1, 1, 18))
    person = to_keypoints(clip)[0]["people"][0]

    lengths = {key: len(value) for key, value in person.items() if not key.startswith("aa_")}
    assert lengths == {
        "pose_keypoints_2d": 54,
        "face_keypoints_2d": 210,
        "hand_left_keypoints_2d": 63,
        "hand_right_keypoints_2d": 63,
        "foot_keypoints_2d": 18,
    }
    assert set(person["pose_keypoints_2d"][2::3]) == {0.0, 1.0}
    assert person["pose_keypoints_2d"][:3] == [0, 0, 0]


def test_faint_points_and_real_confidences_are_saved_in_extra_fields() -> None:
    body = np.arange(36.0).reshape(1, 1, 18, 2)
    confidence = np.full((1, 1, 18), 0.75)
    confidence[0, 0, 2] = 0.125
    clip = body_clip(Size(64, 64), body, confidence)
    person = to_keypoints(clip)[0]["people"][0]

    assert person["pose_keypoints_2d"][3:12] == [2, 3, 1, 0, 0, 0, 6, 7, 1]
    assert person["aa_scores"]["body"][1:4] == [0.75, 0.125, 0.75]
    assert person["aa_hidden"] == {"body": [[2, 4.0, 5.0]]}
    assert "aa_flags" not in person


@st.composite
def clips(draw: st.DrawFn) -> PoseClip:
    """Return any clip whose last person is seen at least once, since later ones are not saved."""
    frames, people = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shown = rng.random((frames, people)) < draw(st.sampled_from((0.2, 0.8, 1.0)))
    shown[rng.integers(frames), -1:] = True
    reach = draw(st.sampled_from((0.9, 600.0)))  # within one pixel, or beyond the canvas
    parts = {}
    for part, joints in PART_JOINTS.items():
        confidence = rng.uniform(-0.5, 1, (frames, people, joints)).clip(0) * shown[..., None]
        confidence[:, :, 0] = np.where(shown, 0.2, 0) if draw(st.booleans()) else shown
        xy = np.round(rng.uniform(-reach, reach, (frames, people, joints, 2)), 1)
        flags = rng.integers(0, 32, confidence.shape, np.uint8) * shown[..., None]
        marked = draw(st.booleans()) and bool(people)
        parts[part] = Points(
            xy=np.where(confidence[..., None] > 0, xy, 0),
            confidence=confidence,
            flags=flags if marked else None,
        )
    return PoseClip(canvas=Size(512, 384), **parts)


@given(clips())
def test_writing_and_reading_loses_nothing(clip: PoseClip) -> None:
    again = parse_keypoints(json.loads(json.dumps(to_keypoints(clip))))

    assert again.canvas == clip.canvas
    for part in PART_JOINTS:
        before, after = getattr(clip, part), getattr(again, part)
        assert np.array_equal(after.confidence, before.confidence)
        assert np.array_equal(after.xy, before.xy)
        if before.flags is None:
            assert after.flags is None
        else:
            assert np.array_equal(after.flags, before.flags)


def test_people_keep_their_index_while_missing() -> None:
    confidence = np.ones((3, 3, 18))
    confidence[1, 0] = confidence[2, 1:] = 0
    records = to_keypoints(body_clip(Size(64, 64), np.full((3, 3, 18, 2), 7.5), confidence))

    assert [len(record["people"]) for record in records] == [3, 3, 1]
    assert not any(records[1]["people"][0]["pose_keypoints_2d"])
    assert np.array_equal(parse_keypoints(records).body.confidence, confidence)


def test_a_flag_alone_keeps_a_person() -> None:
    missing = empty_points(1, 1, 18)
    flags = np.zeros((1, 1, 18), np.uint8)
    flags[0, 0, 4] = Flag.SPIKE
    clip = replace(body_clip(Size(64, 64), missing.xy), body=replace(missing, flags=flags))

    again = parse_keypoints(to_keypoints(clip)).body
    assert again.flags is not None
    assert again.flags[0, 0, 4] == Flag.SPIKE
    assert not again.confidence.any()


@pytest.mark.parametrize(
    ("written", "edited", "confidence"),
    [(0.9, 0.0, 0.0), (0.9, 1.0, 0.9), (0.1, 1.0, 1.0), (0.1, 0.0, 0.1)],
    ids=["removed", "left", "shown again", "left hidden"],
)
def test_edited_standard_fields_override_extra_fields(
    written: float, edited: float, confidence: float
) -> None:
    clip = body_clip(Size(64, 64), np.full((1, 1, 18, 2), 7.5), np.full((1, 1, 18), written))
    records = to_keypoints(clip)
    records[0]["people"][0]["pose_keypoints_2d"][:3] = [9 * edited, 9 * edited, edited]

    body = parse_keypoints(records).body
    assert body.confidence[0, 0, 0] == confidence
    assert body.xy[0, 0, 0, 0] == (9.0 if edited else 7.5 if confidence else 0.0)


def test_points_that_are_not_finite_are_written_as_missing(tmp_path: Path) -> None:
    xy = np.full((1, 1, 18, 2), 7.5)
    xy[0, 0, 3] = np.nan
    confidence = np.ones((1, 1, 18))
    confidence[0, 0, 4] = np.nan
    write_keypoints(tmp_path / "pose.json", body_clip(Size(64, 64), xy, confidence))

    seen = read_keypoints(tmp_path / "pose.json").body.confidence[0, 0]
    assert np.flatnonzero(seen == 0).tolist() == [3, 4]


def openpose_record(person: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1.3, "people": [{"person_id": [-1], **person}]}


def test_files_of_openpose_are_read_as_body_25() -> None:
    body = triples(25)
    body[9 * 3 : 9 * 3 + 3] = [0.0, 0.0, 0.0]  # no right hip: geometry cannot tell the layout
    person = {
        "pose_keypoints_2d": body,
        "face_keypoints_2d": triples(70),
        "hand_left_keypoints_2d": triples(21),
        "hand_right_keypoints_2d": [0.0] * 63,
        "pose_keypoints_3d": [],
    }
    clip = parse_keypoints(openpose_record(person), Size(640, 480))

    assert clip.canvas == Size(640, 480)
    assert clip.body.confidence[0, 0].tolist() == [1] * 8 + [0] + [1] * 9
    assert clip.body.xy[0, 0, 14:, 0].tolist() == [25, 26, 27, 28]
    assert clip.feet.xy[0, 0, :, 0].tolist() == [29, 30, 31, 32, 33, 34]
    assert clip.face.confidence.all()
    assert clip.left_hand.confidence.all()
    assert not clip.right_hand.confidence.any()


def test_a_folder_of_openpose_files_is_a_clip(tmp_path: Path) -> None:
    for index in (2, 0, 1):
        record = openpose_record({"pose_keypoints_2d": triples(25, 10.0 * index + 5)})
        name = f"clip_{index:012d}_keypoints.json"
        (tmp_path / name).write_text(json.dumps(record))

    clip = read_keypoints(tmp_path, Size(640, 480))
    assert clip.body.xy[:, 0, 0, 0].tolist() == [5, 15, 25]
    with pytest.raises(InputError, match="keypoints frame 0 got canvas None x None"):
        read_keypoints(tmp_path)


def test_messages_begin_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text(json.dumps([frame(pose_keypoints_2d=["a", "b", "c"])]))

    with pytest.raises(InputError, match=r"reference\.json: keypoints frame 0 got pose_keypoints"):
        read_keypoints(path)


def test_folders_without_frames_raise(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the folder has no JSON file"):
        read_keypoints(tmp_path)
    (tmp_path / "clip.json").write_text("[]")
    with pytest.raises(InputError, match="each file must be one frame's record"):
        read_keypoints(tmp_path)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (512.0, 768.0)], ids=["fractions", "pixels"])
def test_single_records_of_pose_editors_are_read(scale: tuple[float, float]) -> None:
    body = [value for i in range(18) for value in (scale[0] / (i + 2), scale[1] / (i + 1), 1)]
    clip = parse_keypoints({**CANVAS, "people": [{"pose_keypoints_2d": body}]})

    assert clip.body.xy[0, 0, 0].tolist() == [256, 768]
    assert np.allclose(clip.body.xy[0, 0, 3], (512 / 5, 768 / 4))


def test_faint_points_of_other_packs_keep_position_and_confidence() -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=[30.0, 40.0, 0.125] * 18))

    assert (clip.body.confidence == 0.125).all()
    assert (clip.body.xy == (30, 40)).all()


@pytest.mark.parametrize("value", [float("inf"), 1e300, -1e12, None])
def test_absurd_positions_are_missing_points(value: object) -> None:
    clip = parse_keypoints(frame(pose_keypoints_2d=[value, 5.0, 1.0, *triples(17)]))

    assert clip.body.confidence[0, 0].tolist() == [0] + [1] * 17
    assert np.isfinite(clip.body.xy).all()


@pytest.mark.parametrize(
    ("person", "message"),
    [
        ({"pose_keypoints_2d": ["a", 1, 1]}, r"frame 1 got pose_keypoints_2d \['a', 1, 1\]"),
        ({"pose_keypoints_2d": [10**400, 1, 1]}, "frame 1 got pose_keypoints_2d"),
        ({"face_keypoints_2d": [[1, 2, 3], [1]]}, "frame 1 got face_keypoints_2d"),
        ({"hand_left_keypoints_2d": {"x": 1}}, "frame 1 got hand_left_keypoints_2d"),
        ({"aa_scores": {"body": ["a"]}}, "frame 1 got aa_scores of body"),
        ({"aa_scores": 3.0, "aa_flags": "x"}, "frame 1 got aa_flags of body 'x'"),
        ({"aa_scores": {}, "aa_flags": {"face": [float("nan")] * 68}}, "frame 1 got aa_flags of"),
        ({"aa_scores": {}, "aa_hidden": {"body": [[1, 2]]}}, "frame 1 got aa_hidden of body"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_invalid_people_raise_with_their_frame(person: dict[str, Any], message: str) -> None:
    good = {"pose_keypoints_2d": triples(18)}
    with pytest.raises(InputError, match=message):
        parse_keypoints([frame(**good), frame(**(good | person))])


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ("people", "pose_keypoints_2d", "canvas_width", "canvas_height", "aa_scores")
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_gives_a_clip_or_raises(value: object) -> None:
    try:
        clip = parse_keypoints(value, Size(64, 64))
    except InputError:
        return
    assert np.isfinite(clip.body.xy).all()


def test_files_round_trip_and_bad_files_raise_with_their_name(tmp_path: Path) -> None:
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


def test_points_of_this_pack_keep_their_order_however_they_lie() -> None:
    # Where the joints of COCO would lie, with the neck behind them.
    order = [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10, 1]
    xy = np.array(
        [(64, 24), (64, 38), (50, 38), (42, 54), (38, 69), (78, 38), (86, 54), (92, 70), (55, 72),
         (53, 95), (52, 116), (73, 72), (75, 94), (76, 114), (61, 21), (67, 21), (57, 23), (71, 23)]
    )[order].astype(float)  # fmt: skip
    clip = body_clip(Size(128, 160), xy[None, None])
    written = to_keypoints(clip)
    own = parse_with_notes(written)
    np.testing.assert_array_equal(own.clip.body.xy, clip.body.xy)
    assert "bones cross the bodies" in own.notes[-1]
    for person in written[0]["people"]:
        del person["aa_scores"]
    other = parse_with_notes(written)
    assert other.clip.body.xy[0, 0].tolist() == xy[np.argsort(order)].tolist()
    assert "told from OpenPose 18 by where the points lie: COCO 17 and neck" in other.notes
