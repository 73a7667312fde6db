"""Usable frames and main person of a clip, and its part of a split."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from core.dataset.clips_material import character

from animate_anyone.dataset.clip import Outcome
from animate_anyone.dataset.find import find_clips
from animate_anyone.dataset.report import Tally
from animate_anyone.dataset.spans import LEAST_JOINTS, Scan, cuts_of, find_spans
from animate_anyone.dataset.splits import RECIPES, Split, read_split, recipe, split_by_folder
from animate_anyone.dataset.tracks import clean_shots, main_person
from animate_anyone.errors import InputError
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

FREE = np.zeros(40, bool)
NO_CUTS = np.zeros(0, int)


def pose_of(seed, frames, moved=(0.0, 0.0)):
    pose = character(seed, frames, Size(128, 128))[1]
    return body_clip(pose.canvas, pose.body.xy + moved, pose.body.confidence.copy())


def means_of(frames):
    return np.full((frames, 16, 16, 3), 120, np.uint8)


def span_pairs(verdict):
    return [(span.start, span.stop) for span in verdict.spans]


def test_a_clip_without_faults_is_one_span():
    verdict = find_spans(pose_of(0, 40), FREE, NO_CUTS, 24)
    assert span_pairs(verdict) == [(0, 40)]
    assert verdict.faults == {}


@pytest.mark.parametrize(
    ("absent", "crowded", "cuts", "spans", "faults"),
    [
        ((), (10,), (), [(0, 10), (11, 40)], {"several people": 1}),
        ((0, 20, 39), (), (), [(1, 20), (21, 39)], {"no person": 3}),
        ((), (), (5, 30), [(5, 30), (30, 40)], {"cuts": 2}),
        ((4,), (), (9,), [(9, 40)], {"no person": 1, "cuts": 1}),
        (range(40), (), (), [], {"no person": 40}),
    ],
    ids=["crowd", "absence", "cuts", "both", "never"],
)
def test_spans_end_at_unusable_frames_and_cuts(absent, crowded, cuts, spans, faults):
    pose = pose_of(0, 40)
    pose.body.confidence[list(absent)] = 0
    verdict = find_spans(pose, np.isin(np.arange(40), crowded), np.array(cuts, int), 10)
    assert span_pairs(verdict) == spans
    assert verdict.faults == faults


def test_joints_outside_of_the_picture_do_not_count():
    pose = pose_of(0, 40)
    pose.body.xy[20:] += 500
    verdict = find_spans(pose, FREE, NO_CUTS, 10)
    assert span_pairs(verdict) == [(0, 20)]
    pose.body.confidence[:, :, LEAST_JOINTS - 1 :] = 0
    assert find_spans(pose, FREE, NO_CUTS, 10).faults["too few joints"] == 20


@pytest.mark.parametrize(
    ("absent", "crowded", "cuts", "reason"),
    [
        (range(30), (), (), "no person"),
        ((), range(25), (), "several people"),
        ((), (), range(3, 40, 3), "cuts"),
        ((), (), (), "too short"),
    ],
)
def test_the_reason_for_skipping_is_the_most_frequent_fault(absent, crowded, cuts, reason):
    pose = pose_of(0, 40)
    pose.body.confidence[list(absent)] = 0
    verdict = find_spans(pose, np.isin(np.arange(40), crowded), np.array(cuts, int), 41)
    assert verdict.reason == reason


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stride", [1.0, 2.0])
def test_movement_of_drawn_characters_is_no_cut(seed, stride):
    frames, pose = character(seed, 24, Size(64, 64), stride)
    scan = Scan()
    for _ in scan.watch(frames):
        pass
    assert cuts_of(pose, np.stack(scan.means), 30 / stride).tolist() == []


def test_a_jump_in_position_or_size_of_the_whole_pose_is_a_cut():
    pose = pose_of(0, 40)
    pose.body.xy[12:] += (70, 0)
    pose.body.xy[25:] *= 1.6
    assert cuts_of(pose, means_of(40), 30).tolist() == [12, 25]


def test_another_picture_with_the_same_pose_is_a_cut():
    means = means_of(40)
    means[17:] = 20
    assert cuts_of(pose_of(0, 40), means, 30).tolist() == [17]


def test_gaps_are_filled_within_shots_and_not_across_cuts():
    pose = pose_of(0, 20)
    pose.body.confidence[[4, 9, 10], 0, 0] = 0
    cleaned = clean_shots(pose, np.array([10]), 30)
    assert cleaned.body.confidence[4, 0, 0] > 0
    assert cleaned.body.confidence[[9, 10], 0, 0].tolist() == [0, 0]
    assert cleaned.canvas == pose.canvas


def with_people(frames, *people):
    """Return a clip of people (pose, frames where they are seen), in this order."""
    xy = np.concatenate([pose.body.xy for pose, _ in people], 1)
    confidence = np.concatenate([pose.body.confidence for pose, _ in people], 1)
    for slot, (_, seen) in enumerate(people):
        confidence[~np.isin(np.arange(frames), seen), slot] = 0
    return body_clip(Size(400, 200), xy, confidence)


def test_the_largest_person_is_kept_and_other_people_are_marked():
    main, other = pose_of(0, 12), pose_of(1, 12, moved=(180, 0))
    track = main_person(with_people(12, (other, [3, 4]), (main, range(12))))
    assert track.pose.body.xy.shape[1] == 1
    assert np.abs(track.pose.body.xy - main.body.xy)[track.pose.body.confidence > 0].max() < 1e-9
    assert np.flatnonzero(track.crowded).tolist() == [3, 4]


def test_distant_people_are_not_marked():
    small = pose_of(1, 12)
    small = replace(small, body=replace(small.body, xy=small.body.xy * 0.1 + (300, 20)))
    track = main_person(with_people(12, (pose_of(0, 12), range(12)), (small, range(12))))
    assert not track.crowded.any()


def test_a_clip_without_people_has_no_main_person():
    pose = pose_of(0, 5)
    pose.body.confidence[:] = 0
    track = main_person(pose)
    assert track.pose.body.xy.shape[:2] == (5, 0)
    assert find_spans(track.pose, track.crowded, NO_CUTS, 1).reason == "no person"


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_videos_and_picture_folders_are_found_at_any_depth(tmp_path):
    touch(
        tmp_path,
        *("b.mp4", "deep/er/a+1.webm", "odd.xyz", "notes.txt", ".hidden.mp4"),
        *("frames/0.png", "frames/1.png", "00001/images/1.png", "00001/masks/1.png"),
    )
    found = {each.name: each.path.relative_to(tmp_path) for each in find_clips(tmp_path)}
    assert {name: path.as_posix() for name, path in found.items()} == {
        "b": "b.mp4",
        "deep/er/a+1": "deep/er/a+1.webm",
        "odd": "odd.xyz",
        "frames": "frames",
        "00001": "00001/images",
    }


def test_clips_that_differ_only_in_their_suffix_keep_it(tmp_path):
    touch(tmp_path, "a.mp4", "a.mov", "b.mp4")
    assert [each.name for each in find_clips(tmp_path)] == ["a.mov", "a.mp4", "b"]


def test_clips_are_in_the_order_of_their_paths(tmp_path):
    names = ["a.mp4", "a/b.mp4", "a-b/c.mp4", "a/B.mp4", "b/0.png", "b/c/d.mp4", "B.mp4"]
    touch(tmp_path, *names)
    found = find_clips(tmp_path)
    paths = [each.path for each in found]
    assert paths == sorted(paths)
    assert len(paths) == len(names)
    assert [found[place] for place in range(len(found))] == list(found)
    assert [each.name for each in found[1::2]] == [each.name for each in list(found)[1::2]]
    some = found[1:].only(lambda each: "b" in each.name)
    assert list(some) == [each for each in list(found)[1:] if "b" in each.name]


@pytest.mark.parametrize("pictures", [".", "images"])
def test_a_folder_that_is_a_clip_has_its_own_name(tmp_path, pictures):
    folder = tmp_path / "dancer"
    touch(folder, f"{pictures}/0.png")
    (found,) = find_clips(folder)
    assert (found.name, found.path) == ("dancer", folder / pictures)
    if pictures == ".":
        touch(folder, "dancer.mp4")
        assert [each.name for each in find_clips(folder)] == [".", "dancer.mp4"]


def test_many_clips_take_few_bytes(tmp_path):
    touch(tmp_path, *(f"{number:04d}.mp4" for number in range(500)))
    find_clips(tmp_path)
    tracemalloc.start()
    try:
        found = find_clips(tmp_path)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept / len(found) < 60


def test_a_folder_without_clips_raises(tmp_path):
    touch(tmp_path, "readme.md")
    with pytest.raises(InputError, match="no clip"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_clips(tmp_path / "nowhere")


def test_shipped_splits_have_the_published_counts():
    counts = {name: recipe(name).split for name in RECIPES}
    assert {name: (len(s.train), len(s.test)) for name, s in counts.items()} == {
        "tiktok": (334, 6),
        "ubc": (500, 100),
    }
    assert "--split" in counts["tiktok"].note
    assert recipe("ubc").size == Size(768, 768)


def test_an_overlapping_split_raises_with_the_names():
    with pytest.raises(InputError, match="b"):
        Split(train=frozenset("ab"), test=frozenset("bc"))


def test_clips_are_matched_by_the_end_of_their_paths():
    split = Split(train=frozenset({"a", "x/c"}), test=frozenset({"y/c"}))
    names = ("a", "deep/a", "x/c", "y/c", "c", "ba")
    assert [split.part(name) for name in names] == ["train", "train", "train", "test", "", ""]
    tally = Tally(split)
    for name in ("deep/a", "y/c"):
        tally.add(Outcome(name=name, stamp=()))
    assert tally.missing == {"train": ("x/c",), "test": ()}


def test_splits_are_read_from_json_and_from_lists_of_urls(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({"train": ["a.mp4"], "test": ["b.c"]}))
    (tmp_path / "fashion_train.txt").write_text("https://host/I/91+a.mp4\n\n x/b.webm \r\n")
    (tmp_path / "fashion_test.txt").write_text("00335\n")
    of_json = read_split([tmp_path / "s.json"])
    assert (of_json.train, of_json.test) == ({"a"}, {"b.c"})
    of_text = read_split([tmp_path / "fashion_train.txt", tmp_path / "fashion_test.txt"])
    assert (of_text.train, of_text.test) == ({"91+a", "x/b"}, {"00335"})


@pytest.mark.parametrize(
    ("name", "text"),
    [("s.json", "{"), ("s.json", "[]"), ("s.json", '{"train": [1]}'), ("clips.txt", "a")],
)
def test_an_invalid_split_raises_with_its_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name):
        read_split([tmp_path / name])
    with pytest.raises(InputError, match="nowhere"):
        read_split([tmp_path / "nowhere.json"])


def test_folders_named_train_and_test_are_a_split():
    split = split_by_folder(["train/a", "test/b", "c"])
    assert split is not None
    assert [split.part(name) for name in ("train/a", "test/b", "c")] == ["train", "test", ""]
    assert split_by_folder(["a", "b"]) is None
