"""Kinds of keypoint files: one entry each, and no record is taken for another."""

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.files import dialects
from animate_anyone.pose.files.dialects import CLIPS, RECORDS, ClipKind, RecordKind
from animate_anyone.pose.files.keypoints import parse_with_notes
from animate_anyone.pose.files.records import Frame, Source
from animate_anyone.types import Size

CANVAS = {"canvas_width": 64, "canvas_height": 48}
BODY = [v for joint in range(18) for v in (10.0 + joint, 20.0 + joint, 1.0)]
PERSON = {"pose_keypoints_2d": BODY}


def test_a_kind_of_record_is_one_entry(monkeypatch):
    def read(record, index):
        return Frame(people=[{"keypoints": record["dancers"][0]}], canvas=(64, 48))

    kind = RecordKind(
        name="stage", sign='"dancers"', knows=lambda value: "dancers" in value, read=read
    )
    monkeypatch.setattr(dialects, "RECORDS", (kind, *RECORDS))
    reading = parse_with_notes([{"dancers": [BODY]}] * 2)
    assert reading.clip.body.xy[1, 0, 3].tolist() == [13, 23]
    assert reading.notes == ("read as: stage",)
    with pytest.raises(InputError, match='keys steps; known are "dancers"; "people"'):
        parse_with_notes([{"dancers": [BODY]}, {"steps": 1}])


def test_a_kind_of_clip_is_one_entry(monkeypatch):
    def read(value, frame):
        return Source(kind="", frames=[frame(one, i) for i, one in enumerate(value["takes"][0])])

    kind = ClipKind(name="takes", sign='"takes"', knows=lambda value: "takes" in value, read=read)
    monkeypatch.setattr(dialects, "CLIPS", (*CLIPS, kind))
    reading = parse_with_notes({"takes": [[{"people": [PERSON], **CANVAS}]]})
    assert reading.clip.body.confidence.all()
    assert reading.notes == ("read as: takes",)


@pytest.mark.parametrize("people", [[], None], ids=["empty", "null"])
def test_a_frame_without_people_is_no_error(people):
    reading = parse_with_notes([{"people": people, **CANVAS}])
    assert reading.clip.body.xy.shape == (1, 0, 18, 2)
    assert reading.notes == ("warning: nobody is seen in any frame: all skeletons are empty",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([{**CANVAS}], "the keys canvas_width, canvas_height; known are"),
        ([{}], "a record with no keys; known are"),
        ([{"people": [{"skeleton": 1}], **CANVAS}], "a person with the keys skeleton"),
        ({str(i): 1 for i in range(20)}, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more"),
        ({"frames": []}, "got no frames"),
        ({"frames": 3}, "got frames 3"),
        ({"instance_info": 3}, "got instance_info 3"),
        ({"annotations": [1]}, "no lists of records"),
    ],
)
def test_what_is_not_understood_raises_with_what_it_holds(value, words):
    with pytest.raises(InputError, match=words):
        parse_with_notes(value, Size(64, 48))


def frames_of(numbers):
    """Return frames by number, whose person is at 10 + the place among the sorted numbers."""
    places = {number: float(place) for place, number in enumerate(sorted(numbers))}
    body = {n: [v + places[n] * (i % 3 == 0) for i, v in enumerate(BODY)] for n in numbers}
    return {str(n): {"people": [{"pose_keypoints_2d": body[n]}]} for n in numbers}


@pytest.mark.parametrize(
    ("numbers", "seen", "note"),
    [
        ((2, 0, 10, 1), [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1], "7 of 11 frame numbers are missing"),
        ((0, 5, 10), [1, 1, 1], "frame numbers rise by 5"),
        ((7, 8), [1, 1], "the first frame is number 7"),
        ((0, 1, 10**9), [1, 1, 1], "too many for gaps"),
    ],
)
def test_frames_by_number_keep_their_gaps(numbers, seen, note):
    reading = parse_with_notes(frames_of(numbers), Size(64, 48))
    assert reading.clip.body.confidence[:, 0, 0].tolist() == seen
    assert note in "; ".join(reading.notes)
    there = reading.clip.body.xy[np.array(seen, bool), 0, 0, 0] - 10
    assert there.tolist() == list(range(len(numbers)))


def test_annotations_without_images_and_of_other_kinds_are_told():
    one = {"image_id": 1, "keypoints": BODY, "bbox": [1, 2, 3, 4]}
    value = {"annotations": [one, {"image_id": 1, "bbox": []}, {**one, "image_id": 2}]}
    reading = parse_with_notes(value, Size(64, 48))
    assert len(reading.clip) == 2
    assert "1 of 3 annotations have no keypoints: left out" in reading.notes
    lost = {
        "images": [{"id": 1, "width": 9, "height": 9}],
        "annotations": [one, one | {"image_id": 5}],
    }
    assert "1 annotations belong to no image of the file: left out" in parse_with_notes(lost).notes


def test_people_of_mediapipe_may_have_different_parts():
    points = [{"x": 0.5, "y": 1.5}] * 33
    record = {"pose_landmarks": [points, points], "face_landmarks": [[{"x": 0.1, "y": 0.1}] * 478]}
    clip = parse_with_notes(record, Size(100, 100)).clip
    assert clip.body.xy[0, :, 0].tolist() == [[50, 150], [50, 150]]
    assert clip.face.confidence[0].any(-1).tolist() == [True, False]
    assert parse_with_notes({"pose_landmarks": []}, Size(9, 9)).clip.body.xy.shape[1] == 0


def test_parts_of_other_lengths_are_refused_even_with_names():
    hand = {"hand_left_keypoints_2d": {"wrist": [1, 2, 1]}}
    with pytest.raises(InputError, match="hand_left_keypoints_2d with 1 points; known are left ha"):
        parse_with_notes([{"people": [PERSON | hand], **CANVAS}])


@pytest.mark.parametrize("nested", [True, False])
def test_depth_of_landmarks_is_no_confidence(nested):
    points = [[0.5, 0.25, -0.9]] * 33
    value = points if nested else [number for point in points for number in point]
    clip = parse_with_notes({"pose_landmarks": value}, Size(100, 100)).clip
    assert clip.body.xy[0, 0, 5].tolist() == [50, 25]
    assert clip.body.confidence.all()


def nested(depth):
    value = 1.0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "wrap",
    [
        lambda deep: deep,
        lambda deep: {"people": deep, **CANVAS},
        lambda deep: {"people": [{"keypoints": deep}], **CANVAS},
    ],
)
def test_values_of_any_depth_are_refused_in_few_words(wrap):
    with pytest.raises(InputError) as caught:
        parse_with_notes(wrap(nested(100_000)))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["annotations", "images", "categories"])
@pytest.mark.parametrize("value", [3, [3], {"a": 1}])
def test_what_is_no_list_of_records_in_coco_files_is_refused(name, value):
    person = {"image_id": 1, "keypoints": [1.0, 2.0, 2] * 17}
    clip = {"annotations": [person], "images": [{"id": 1, "width": 64, "height": 48}]}
    with pytest.raises(InputError, match="images or categories that are no lists of records"):
        parse_with_notes(clip | {name: value})
