"""Folders of one file per frame, and files told by their content."""

import json

import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.files.folders import holds_keypoints
from animate_anyone.pose.files.keypoints import read_keypoints, read_with_notes
from animate_anyone.types import Size


def record(x):
    body = [v for joint in range(18) for v in (x, 5.0 + joint, 1.0)]
    return {"people": [{"pose_keypoints_2d": body}], "canvas_width": 64, "canvas_height": 64}


@pytest.mark.parametrize("name", ["frame{}.json", "v2_take10_{}_keypoints.json", "{:04}.JSON"])
def test_frames_come_in_natural_order(tmp_path, name):
    for number in (10, 2, 0, 1, 11):
        (tmp_path / name.format(number)).write_text(json.dumps(record(float(number))))
    reading = read_with_notes(tmp_path)
    assert reading.clip.body.xy[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11]
    assert reading.notes == (
        "7 of 12 file numbers are missing: the frames follow one another, so they come too early",
    )


def test_files_that_are_no_frames_are_named(tmp_path):
    (tmp_path / "0.json").write_text(json.dumps(record(3.0)))
    for hidden in ("._0.json", ".DS_Store"):
        (tmp_path / hidden).write_bytes(b"\0\1")
    for number in range(6):
        (tmp_path / f"extra{number}.txt").write_text("x")
    (tmp_path / "camera.json").write_text('{"fov": 60}')
    (note,) = read_with_notes(tmp_path).notes
    assert note == (
        "files that are no frames were skipped: camera.json, extra0.txt, extra1.txt, extra2.txt "
        "and 3 more"
    )


def test_a_folder_in_which_nothing_is_a_frame_raises_with_its_keys(tmp_path):
    (tmp_path / "camera.json").write_text('{"fov": 60}')
    with pytest.raises(InputError, match="keypoints frame 0 got a record with the keys fov"):
        read_keypoints(tmp_path, Size(9, 9))


@pytest.mark.parametrize(
    ("name", "content", "is_one"),
    [
        ("a.json", b"", True),
        ("a.JSON", b"{", True),
        ("a.txt", b' \n[{"people"', True),
        ("a.kp", b"\xef\xbb\xbf{", True),
        ("a.mp4", b"\0\0\0\x20ftyp", False),
        ("a.txt", b"", False),
        ("gone.txt", None, False),
    ],
)
def test_files_are_told_by_their_content(tmp_path, name, content, is_one):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert holds_keypoints(tmp_path / name) == is_one


def test_a_folder_of_pictures_with_a_note_is_no_folder_of_keypoints(tmp_path):
    for name in ("0.png", "1.png", "about.json", "._0.json"):
        (tmp_path / name).write_bytes(b"{}")
    assert not holds_keypoints(tmp_path)
    for number in range(3):
        (tmp_path / f"{number}.json").write_text("{}")
    assert holds_keypoints(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings_of_unicode_are_read(tmp_path, encoding):
    (tmp_path / "k.json").write_text(json.dumps(record(3.0)), encoding=encoding)
    assert len(read_keypoints(tmp_path / "k.json")) == 1
