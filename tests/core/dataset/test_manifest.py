"""The layout of a prepared data set: written files are read back, damage is reported."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from animate_anyone.dataset.manifest import (
    ClipDataset,
    ClipEntry,
    Manifest,
    Span,
    clip_folder,
    frame_path,
)
from animate_anyone.dataset.tracks import Track, read_track, write_track
from animate_anyone.errors import InputError, MediaError
from animate_anyone.media.fitting import fit_frame
from animate_anyone.pose.skeleton.fit import fit_pose
from animate_anyone.types import Size
from pose_clips import positions, random_clip, same, seen

SIZE = Size(32, 48)
ENTRY = ClipEntry(
    name="dances/a+b",
    file="dances/a+b.mp4",
    split="",
    fps=29.97,
    frames=6,
    spans=(Span(0, 2), Span(3, 6)),
)
MANIFEST = Manifest(
    size=SIZE,
    fit="pad",
    source="/clips",
    pictures="png",
    min_frames=2,
    poses="files",
    cached={"latents": "abc"},
    clips=(ENTRY,),
)


@pytest.fixture
def folder(tmp_path):
    """Return a data set of one clip; every pixel of frame k is 10 k."""
    MANIFEST.write(tmp_path)
    clip = clip_folder(tmp_path, ENTRY.name)
    (clip / "frames").mkdir(parents=True)
    for number in ENTRY.usable:
        colour = np.full((48, 32, 3), 10 * number, np.uint8)
        Image.fromarray(colour).save(frame_path(clip, number, "png"))
    pose = random_clip(0, 6, 1)
    write_track(clip / "keypoints.npz", Track(pose, np.zeros(6, bool)))
    np.save(clip / "latents.npy", np.arange(6, dtype=np.float16).reshape(6, 1, 1, 1))
    return tmp_path


def test_a_manifest_is_read_back_unchanged(folder):
    dataset = ClipDataset.open(folder)
    assert dataset.manifest == MANIFEST
    assert dataset.clips == (ENTRY,)
    assert dataset.size == SIZE


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_manifest_written_clip_by_clip_is_one_json_record_of_the_usual_form(tmp_path, count):
    clips = tuple(replace(ENTRY, name=f"[] {number}\n") for number in range(count))
    replace(MANIFEST, clips=clips).write(tmp_path)
    text = (tmp_path / "manifest.json").read_text()
    values = json.loads(text)
    assert text == json.dumps(values, indent=1) + "\n"
    assert list(values)[-1] == "clips"
    assert [clip["name"] for clip in values["clips"]] == [f"[] {n}\n" for n in range(count)]
    assert all(clip["spans"] == [[0, 2], [3, 6]] for clip in values["clips"])


def test_frames_are_read_by_their_number_in_the_clip(folder):
    frames = ClipDataset.open(folder).frames(ENTRY, 3, 6)
    assert frames.dtype == np.uint8
    assert frames.shape == (3, 48, 32, 3)
    assert frames[:, 0, 0, 0].tolist() == [30, 40, 50]


def test_frames_between_spans_raise_with_the_spans(folder):
    with pytest.raises(InputError, match=r"0\.\.1, 3\.\.5"):
        ClipDataset.open(folder).frames(ENTRY, 1, 4)


def test_keypoints_are_fitted_to_the_canvas_of_the_data_set(folder):
    pose = ClipDataset.open(folder).keypoints(ENTRY)
    assert pose.canvas == SIZE
    assert same(pose, fit_pose(random_clip(0, 6, 1), SIZE, "pad"), tolerance=1e-3)


def test_caches_are_listed_and_read(folder):
    dataset = ClipDataset.open(folder)
    assert dataset.has("latents")
    assert not dataset.has("tokens")
    assert dataset.latents(ENTRY)[4].item() == 4


def test_an_empty_manifest_raises_with_the_way_out(tmp_path):
    replace(MANIFEST, clips=()).write(tmp_path)
    with pytest.raises(InputError, match=r"no usable clip.*report\.md.*prepare"):
        ClipDataset.open(tmp_path)


def test_a_folder_without_manifest_raises_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match="python -m animate_anyone prepare"):
        ClipDataset.open(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', '{"version": 9}', '{"a": 2'])
def test_a_damaged_manifest_raises_with_its_name(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=str(tmp_path)):
        ClipDataset.open(tmp_path)


def test_unknown_fields_of_a_manifest_raise(folder):
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(values | {"sizes": 3}))
    with pytest.raises(InputError, match="sizes"):
        ClipDataset.open(folder)


@pytest.mark.parametrize("part", ["frames/000000.png", "keypoints.npz", "latents.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_missing_or_truncated_files_raise_with_their_name(folder, part, damage):
    path = clip_folder(folder, ENTRY.name) / part
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    dataset = ClipDataset.open(folder)
    reads = {"frames": lambda: dataset.frames(ENTRY, 0, 1), "keypoints": dataset.keypoints}
    read = reads.get(part.split("/")[0].split(".")[0], dataset.latents)
    with pytest.raises(MediaError, match=path.name):
        read() if part.startswith("frames") else read(ENTRY)


def test_without_a_split_every_clip_is_for_training(folder):
    dataset = ClipDataset.open(folder)
    assert dataset.split("train") == (ENTRY,)
    assert dataset.split("test") == ()


def test_with_a_split_clips_of_neither_part_are_left_out(tmp_path):
    clips = [replace(ENTRY, name=name, split=name) for name in ("train", "test", "")]
    replace(MANIFEST, clips=tuple(clips)).write(tmp_path)
    dataset = ClipDataset.open(tmp_path)
    assert [clip.name for clip in dataset.split("train")] == ["train"]
    assert [clip.name for clip in dataset.split("test")] == ["test"]


def test_different_clip_names_give_different_folders(tmp_path):
    names = ["a/b", "a", "a_b", "a%2Fb", "../a", "a b+", "ü"]
    folders = {clip_folder(tmp_path, name) for name in names}
    assert len(folders) == len(names)
    assert {folder.parent for folder in folders} == {tmp_path / "clips"}


def test_a_track_is_read_back_unchanged(tmp_path):
    pose, crowded = random_clip(3, 5, 1), np.array([0, 0, 1, 0, 1], bool)
    write_track(tmp_path / "k.npz", Track(pose, crowded))
    read = read_track(tmp_path / "k.npz")
    assert same(read.pose, pose, tolerance=1e-3)
    assert read.crowded.tolist() == crowded.tolist()


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("canvas", [Size(60, 90), Size(90, 60), Size(64, 64), Size(31, 97)])
@pytest.mark.parametrize("size", [SIZE, Size(64, 64), Size(96, 40)])
def test_poses_stay_on_their_place_in_the_frame(fit, canvas, size):
    frame = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    x, y = canvas.width // 2, canvas.height // 2
    frame[y - 4 : y + 4, x - 4 : x + 4] = 255
    shown = fit_frame(frame, size, fit)
    assert shown.shape == (size.height, size.width, 3)
    rows, columns = np.nonzero(shown[..., 0] > 127)

    pose = replace(random_clip(0, 1, 1), canvas=canvas)
    pose.body.xy[:] = (x, y)
    placed = fit_pose(pose, size, fit)
    assert placed.canvas == size
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    np.testing.assert_allclose(positions(placed)[0, 0, 0], middle, atol=1.0)
    assert np.array_equal(seen(placed), seen(pose))


def test_padding_continues_the_edges_and_cropping_fills_the_frame():
    frame = np.full((20, 10, 3), 200, np.uint8)
    assert (fit_frame(frame, Size(40, 40), "pad") == 200).all()
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    assert (fit_frame(wide, Size(8, 8), "crop") == 255).all()
