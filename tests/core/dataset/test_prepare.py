"""Preparing data sets: usable clips, skipped clips with their reasons, and resuming."""

import errno
import gc
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.dataset.clips_material import (
    SIZE,
    MeanEncoder,
    StoredTools,
    character,
    write_character,
    write_clip,
)
from PIL import Image

from animate_anyone.dataset.ahead import ahead
from animate_anyone.dataset.clip import stamp_of, write_frame
from animate_anyone.dataset.manifest import ClipDataset, Span, clip_folder
from animate_anyone.dataset.prepare import prepare, prepare_shard
from animate_anyone.dataset.settings import PrepareConfig, check_settings
from animate_anyone.dataset.splits import Split
from animate_anyone.dataset.tools import StoredPoses, ToolMaker, Tools
from animate_anyone.dataset.tracks import Track, read_track, write_track
from animate_anyone.engines.engine import Lost
from animate_anyone.engines.processes import Processes
from animate_anyone.errors import ConfigError, InputError, MediaError
from animate_anyone.pose.files.keypoints import to_keypoints
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.shards import Shard, owned_by_shard
from animate_anyone.types import Size

CONFIG = PrepareConfig(size=SIZE, min_frames=6, poses="kept keypoints", cached={})
BOTH = replace(CONFIG, cached={"latents": "a", "tokens": "b"})


@pytest.fixture
def places(tmp_path):
    """Return the folders of the clips, of their keypoints, and of the data set."""
    (tmp_path / "clips").mkdir()
    (tmp_path / "poses").mkdir()
    return tmp_path / "clips", tmp_path / "poses", tmp_path / "set"


@pytest.fixture
def three(places):
    """Return the folders, with three clips of eight frames each."""
    for seed, name in enumerate(("a.mp4", "b.mp4", "c")):
        write_character(places[0], name, seed, 8)
    return places


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_videos_and_folders_of_pictures_become_a_data_set(three):
    clips, poses, out = three
    manifest, outcomes = prepare(clips, out, CONFIG, StoredTools(poses))
    dataset = ClipDataset.open(out)
    assert dataset.manifest == manifest
    assert [entry.name for entry in dataset.clips] == ["a", "b", "c"]
    assert [entry.file for entry in dataset.clips] == ["a.mp4", "b.mp4", "c"]
    assert all(entry.spans == (Span(0, 8),) and entry.fps == 30 for entry in dataset.clips)
    assert not any(outcome.skipped for outcome in outcomes)

    frames, pose = character(2, 8)  # c, whose pictures are stored without loss
    assert np.array_equal(dataset.frames(dataset.clips[2], 2, 5), frames[2:5])
    kept = dataset.keypoints(dataset.clips[2])
    seen = pose.body.confidence > 0
    np.testing.assert_allclose(kept.body.xy[seen], pose.body.xy[seen], atol=1e-3)


def test_caches_hold_the_encoded_values_of_every_frame(three):
    clips, poses, out = three
    prepare(clips, out, BOTH, StoredTools(poses, ("latents", "tokens")))
    dataset = ClipDataset.open(out)
    frames = character(2, 8)[0] / 255
    latents, tokens = dataset.latents(dataset.clips[2]), dataset.tokens(dataset.clips[2])
    assert latents.dtype == np.float16
    blocks = frames.reshape(8, 8, 8, 8, 8, 3).mean((2, 4)).transpose(0, 3, 1, 2) * 2 - 1
    np.testing.assert_allclose(latents, blocks, atol=2e-3)
    np.testing.assert_allclose(tokens[:, 0], frames.mean((1, 2)), atol=2e-3)


def test_a_stopped_run_resumes_and_gives_the_same_files(three):
    clips, poses, out = three
    whole, tools = out.with_name("whole"), StoredTools(poses, ("latents", "tokens"))
    prepare(clips, whole, BOTH, tools)

    failing = replace(tools, encoder=MeanEncoder(fails_at=2))  # in the second clip
    with pytest.raises(RuntimeError, match="out of memory"):
        prepare(clips, out, BOTH, failing)
    assert [path.name for path in (out / "clips").iterdir()] == ["a"]
    with pytest.raises(InputError, match="did not end"):
        ClipDataset.open(out)

    encoder, done = MeanEncoder(), []
    again = replace(tools, encoder=encoder)
    prepare(clips, out, BOTH, again, progress=lambda *count: done.append(count))
    assert done == [(2, 3), (3, 3)]
    assert encoder.calls == 2  # a is not encoded again
    assert files_of(out) == files_of(whole)


def test_only_changed_clips_are_prepared_again(three):
    clips, poses, out = three
    prepare(clips, out, CONFIG, StoredTools(poses))
    stamps = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    write_character(clips, "b.mp4", 5, 7)
    manifest, _ = prepare(clips, out, CONFIG, StoredTools(poses))
    assert [entry.frames for entry in manifest.clips] == [8, 7, 8]
    changed = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {"b"}
    shown = ClipDataset.open(out).frames(manifest.clips[1], 0, 7)
    assert np.abs(shown.astype(int) - character(5, 7)[0]).mean() < 6  # H.264 at these few pixels


def test_other_settings_raise_with_their_names(three):
    clips, poses, out = three
    prepare(clips, out, CONFIG, StoredTools(poses))
    before = files_of(out)
    with pytest.raises(ConfigError, match=r"min_frames 6 instead of 7.*--poses"):
        prepare(clips, out, replace(CONFIG, min_frames=7), StoredTools(poses))
    cached = {"latents": "0123456789ab", "tokens": "fedcba987654"}
    told = r"cached nothing instead of latents \(01234567\) and tokens \(fedcba98\)\)"
    with pytest.raises(ConfigError, match=told):
        check_settings(out, replace(CONFIG, cached=cached))
    assert files_of(out) == before


def test_keypoints_of_a_data_set_are_reused_for_another_size(three):
    clips, poses, out = three
    prepare(clips, out, CONFIG, StoredTools(poses))
    larger = replace(CONFIG, size=Size(96, 128))
    prepare(clips, out.with_name("larger"), larger, StoredTools(out))
    small, large = ClipDataset.open(out), ClipDataset.open(out.with_name("larger"))
    np.testing.assert_allclose(
        large.keypoints(large.clips[0]).body.xy,
        small.keypoints(small.clips[0]).body.xy * 1.5 + (0, 16),
        atol=1e-3,
    )
    assert large.frames(large.clips[0], 0, 1).shape == (1, 128, 96, 3)


def crowd(frames, pose):
    """Return the character twice in a frame of double width, and both poses."""
    both = body_clip(
        Size(2 * SIZE.width, SIZE.height),
        np.concatenate([pose.body.xy, pose.body.xy + np.array([SIZE.width, 0])], 1),
        np.concatenate([pose.body.confidence] * 2, 1),
    )
    return np.concatenate([frames, frames], 2), both


def write_bad_clips(clips: Path) -> None:
    """Write one clip for each reason to skip it."""
    frames, pose = character(3, 8)
    write_clip(clips, "short.mp4", frames[:4], character(3, 4)[1])
    nobody = body_clip(SIZE, np.zeros((8, 1, 18, 2)), np.zeros((8, 1, 18)))
    write_clip(clips, "empty.mp4", np.zeros_like(frames), nobody)
    write_clip(clips, "two.mp4", *crowd(frames, pose))
    few = body_clip(SIZE, pose.body.xy, pose.body.confidence * (np.arange(18) < 5))
    write_clip(clips, "few.mp4", frames, few)
    cut = frames.copy()
    cut[4:] = 255 - cut[4:]
    write_clip(clips, "cut.mp4", cut, pose)
    write_clip(clips, "unposed.mp4", frames)
    write_clip(clips, "shorter.mp4", frames[:5], pose)
    (clips / "broken.mp4").write_bytes(b"no video at all")
    cut_short = write_clip(clips, "damaged.mp4", frames)
    cut_short.write_bytes(cut_short.read_bytes()[:600])
    for number, picture in enumerate((frames[0], frames[0][:32])):
        write_clip(clips / "uneven", str(number), picture[None])
        (clips / "uneven" / str(number) / "0.png").rename(clips / "uneven" / f"{number}.png")
        (clips / "uneven" / str(number)).rmdir()


REASONS = {
    "short": "too short",
    "empty": "no person",
    "two": "several people",
    "few": "too few joints",
    "cut": "cuts",
    "unposed": "no keypoints",
    "shorter": "no keypoints",
    "broken": "unreadable",
    "damaged": "unreadable",
    "uneven": "unreadable",
}


def test_unusable_clips_are_reported_with_their_reason_and_do_not_stop_the_run(places):
    clips, poses, out = places
    write_bad_clips(clips)
    write_character(clips, "good.mp4", 0, 8)
    manifest, outcomes = prepare(clips, out, CONFIG, StoredTools(poses))
    assert [entry.name for entry in manifest.clips] == ["good"]
    assert {each.name: each.skipped for each in outcomes if each.skipped} == REASONS

    data = json.loads((out / "report.json").read_text())
    assert (data["clips"], data["usable"], data["usable_frames"]) == (11, 1, 8)
    assert {name: each["reason"] for name, each in data["skipped"].items()} == REASONS
    text = (out / "report.md").read_text()
    assert all(f"- `{name}`: " in text for name in REASONS)
    assert "the longest run of usable frames has 4 of 4; 6 are needed" in text
    assert "## Skipped: unreadable (3)" in text


def test_a_folder_of_unusable_clips_gives_a_report_and_no_data_set(places):
    clips, poses, out = places
    write_bad_clips(clips)
    manifest, _ = prepare(clips, out, CONFIG, StoredTools(poses))
    assert manifest.clips == ()
    with pytest.raises(InputError, match=r"report\.md"):
        ClipDataset.open(out)


def test_a_clip_whose_keypoints_are_added_later_is_tried_again(places):
    clips, poses, out = places
    frames, pose = character(0, 8)
    write_clip(clips, "a.mp4", frames)
    assert prepare(clips, out, CONFIG, StoredTools(poses))[1][0].skipped == "no keypoints"
    write_clip(clips, "a.mp4", frames, pose)
    assert prepare(clips, out, CONFIG, StoredTools(poses))[1][0].skipped == ""


def test_doubtful_skeletons_are_listed_in_the_report_and_kept_on_resuming(three):
    clips, poses, out = three

    class Uncertain:
        def read(self, found, frames, fps):
            track = StoredPoses(poses).read(found, frames, fps)
            body = track.pose.body
            if found.name == "a":
                body = replace(body, confidence=body.confidence * 0.5)
            return replace(track, pose=replace(track.pose, body=body), drawn=True)

    for _ in range(2):
        outcomes = prepare(clips, out, CONFIG, lambda: Tools(Uncertain()))[1]
        (line,) = outcomes[0].doubts
        assert "knows drawn figures only" in line
        assert [outcome.doubts for outcome in outcomes[1:]] == [(), ()]
    assert f"## Doubtful skeletons (1)\n\n- `{outcomes[0].name}`: {line}" in (
        out / "report.md"
    ).read_text(encoding="utf-8")
    assert json.loads((out / "report.json").read_text())["doubtful"] == {outcomes[0].name: [line]}


def test_clips_of_any_size_and_aspect_get_the_same_size(places):
    clips, poses, out = places
    sizes = {"tall": Size(48, 96), "wide": Size(112, 64), "large": Size(128, 128)}
    for name, size in sizes.items():
        write_character(clips, f"{name}.mp4", 1, 6, size)
    manifest, _ = prepare(clips, out, replace(CONFIG, size=Size(64, 48)), StoredTools(poses))
    dataset = ClipDataset.open(out)
    assert {entry.name for entry in manifest.clips} == set(sizes)
    for entry in manifest.clips:
        assert dataset.frames(entry, 0, 6).shape == (6, 48, 64, 3)
        assert dataset.keypoints(entry).canvas == Size(64, 48)


def test_frames_between_spans_are_not_stored(places):
    clips, poses, out = places
    frames, pose = character(0, 16)
    absent = body_clip(SIZE, pose.body.xy, pose.body.confidence.copy())
    absent.body.confidence[7:9] = 0  # a gap of at most 8 frames, which is filled
    crowded, both = crowd(frames, absent)
    both.body.confidence[:7, 1] = both.body.confidence[8:, 1] = 0
    both.body.confidence[7, :] = character(0, 16)[1].body.confidence[7, 0]
    write_clip(clips, "a.mp4", crowded, both)
    manifest, _ = prepare(clips, out, CONFIG, StoredTools(poses))
    entry = manifest.clips[0]
    assert entry.spans == (Span(0, 7), Span(8, 16))
    kept = sorted(path.stem for path in (clip_folder(out, "a") / "frames").iterdir())
    assert [int(stem) for stem in kept] == entry.usable.tolist()
    assert "Left out of usable clips: 1 several people." in (out / "report.md").read_text()


def test_the_split_is_in_the_manifest_and_missing_clips_in_the_report(three):
    clips, poses, out = three
    split = Split(train=frozenset({"a", "gone"}), test=frozenset({"b"}), note="Known in part.")
    manifest, _ = prepare(clips, out, CONFIG, StoredTools(poses), split=split)
    assert [entry.split for entry in manifest.clips] == ["train", "test", ""]
    text = (out / "report.md").read_text()
    assert "For training 1 of 2 listed clips, for testing 1 of 1; 1 are on neither list" in text
    assert "On the train list, but not in the folder (1): `gone`" in text
    assert "Known in part." in text
    other = Split(train=frozenset("b"), test=frozenset("c"))
    manifest, _ = prepare(clips, out, CONFIG, StoredTools(poses), split=other)  # nothing is redone
    assert [entry.split for entry in manifest.clips] == ["", "train", "test"]


@pytest.mark.slow
def test_several_processes_make_the_same_files(three):
    clips, poses, out = three
    maker = ToolMaker(stored=poses)
    prepare(clips, out, CONFIG, maker)
    prepare(clips, out.with_name("two"), CONFIG, maker, engine=Processes(2, threads=1))
    assert files_of(out.with_name("two")) == files_of(out)


class Dying:
    """An engine whose workers die of one clip."""

    workers = 1

    def __init__(self, deadly: str) -> None:
        self.deadly = deadly

    def run(self, make, work):
        worker = make()
        for found in work:
            if found.name == self.deadly:
                left = (Path(found.path).parents[1] / "set/clips") / f".{found.name}.0123abcd.part"
                left.mkdir()
                yield found, Lost(3)
            else:
                yield found, worker(found)


def test_a_clip_whose_workers_died_is_reported_and_tried_again(three):
    clips, poses, out = three
    manifest, outcomes = prepare(clips, out, CONFIG, StoredTools(poses), engine=Dying("b"))
    assert [entry.name for entry in manifest.clips] == ["a", "c"]
    assert [each.skipped for each in outcomes] == ["", "worker died", ""]
    assert "its worker died 3 times" in (out / "report.md").read_text()
    assert sorted(path.name for path in (out / "clips").iterdir()) == ["a", "b", "c"]
    prepare(clips, out, CONFIG, StoredTools(poses))
    prepare(clips, out.with_name("one"), CONFIG, StoredTools(poses))
    assert files_of(out) == files_of(out.with_name("one"))


def test_frames_are_read_ahead_in_order_and_up_to_a_limit():
    read = []
    frames = ahead((read.append(number) or number for number in range(100)), 4)
    assert next(frames) == 0
    assert [next(frames) for _ in range(9)] == list(range(1, 10))
    frames.close()
    assert len(read) <= 10 + 4 + 2
    assert list(ahead(iter(range(20)), 3)) == list(range(20))


def test_an_error_of_a_source_that_is_read_ahead_comes_in_its_place():
    def source():
        yield 1
        raise InputError("the second is damaged")

    frames = ahead(source())
    assert next(frames) == 1
    with pytest.raises(InputError, match="the second"):
        next(frames)


def test_a_data_set_inside_the_folder_of_clips_raises(three):
    clips, poses, _ = three
    with pytest.raises(InputError, match="outside"):
        prepare(clips, clips / "set", CONFIG, StoredTools(poses))


def test_a_full_disk_stops_the_run_and_leaves_no_partial_clip(three, monkeypatch):
    clips, poses, out = three

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(MediaError, match="No space left"):
        prepare(clips, out, CONFIG, StoredTools(poses))
    assert list((out / "clips").iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"size": Size(60, 64)},
        {"min_frames": 0},
        {"fps": 0},
        {"fit": "squash"},
        {"pictures": "gif"},
        {"cached": {"depth": "a"}},
    ],
)
def test_invalid_settings_raise(changes):
    with pytest.raises(ConfigError):
        replace(CONFIG, **changes)


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without a full device")
def test_a_frame_on_a_full_disk_says_so(kind, monkeypatch):
    usual = Image.Image.save

    def save(picture, file, *more, **options):
        if isinstance(file, Path):  # older versions of Pillow do not say why
            raise OSError("encoder error -2 when writing image file")
        usual(picture, file, *more, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(OSError, match="No space left") as raised:
        write_frame(Image.new("RGB", (64, 64)), Path("/dev/full"), kind)
    assert raised.value.errno == errno.ENOSPC


def test_jpeg_frames_take_less_space_and_are_nearly_the_same(three):
    clips, poses, out = three
    prepare(clips, out, CONFIG, StoredTools(poses))
    prepare(clips, out.with_name("jpg"), replace(CONFIG, pictures="jpg"), StoredTools(poses))
    exact, near = ClipDataset.open(out), ClipDataset.open(out.with_name("jpg"))
    shown = [each.frames(each.clips[0], 0, 8).astype(int) for each in (exact, near)]
    assert 0 < np.abs(shown[0] - shown[1]).mean() < 4


def test_keypoints_on_a_canvas_of_another_aspect_raise(places):
    clips, poses, out = places
    frames, pose = character(0, 8)
    write_clip(clips, "a.mp4", frames, replace(pose, canvas=Size(64, 90)))
    write_clip(clips, "b.mp4", frames, replace(pose, canvas=Size(128, 128)))
    _, outcomes = prepare(clips, out, CONFIG, StoredTools(poses))
    assert [outcome.skipped for outcome in outcomes] == ["no keypoints", ""]
    assert "64x90" in outcomes[0].detail
    entry = ClipDataset.open(out).clips[0]
    kept = ClipDataset.open(out).keypoints(entry).body
    seen = pose.body.confidence > 0
    np.testing.assert_allclose(kept.xy[seen], pose.body.xy[seen] / 2, atol=1e-3)


def test_stamps_change_with_the_files(three):
    clips = three[0]
    before = stamp_of(clips / "c")
    (clips / "c" / "0.png").write_bytes(b"x")
    assert stamp_of(clips / "c") != before


class Emptily:
    """An engine that writes the outcome of a clip without reading it."""

    workers = 1

    def run(self, make, work):
        for found in work:
            facts = {"name": found.name, "stamp": stamp_of(found.path), "frames": 200}
            odd = {"skipped": "cuts"} if found.name.endswith("7") else {}
            spans = [{"start": 0, "stop": 100}, {"start": 120, "stop": 200}]
            folder = clip_folder(make.out, found.name)
            folder.mkdir(parents=True)
            (folder / "clip.json").write_text(json.dumps({**facts, **odd, "spans": spans}))
            yield found, None


def alive():
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects())


def test_many_clips_take_little_memory(places):
    clips, poses, out = places
    for number in range(200):
        (clips / f"{number}.mp4").touch()
    more: dict[str, Any] = {
        "engine": Emptily(),
        "split": Split(train=frozenset("12"), test=frozenset({"8", "x"})),
    }
    prepare(clips, out, CONFIG, StoredTools(poses), **more)
    before = alive()
    manifest, outcomes = prepare(clips, out, CONFIG, StoredTools(poses), **more)
    kept = alive() - before
    assert (kept["Outcome"], kept["ClipEntry"], kept["Found"]) == (0, 0, 0)
    assert (len(manifest.clips), len(outcomes)) == (180, 200)
    data = json.loads((out / "report.json").read_text())
    assert (data["usable"], data["usable_frames"], len(data["skipped"])) == (180, 32400, 20)
    assert data["split"] == {"neither": 177, "train": 2, "test": 1}
    assert data["left_out_frames"] == {"in runs too short": 180 * 20}
    assert data["listed_but_missing"] == {"train": [], "test": ["x"]}
    entries = ClipDataset.open(out).clips
    assert entries == tuple(manifest.clips)
    assert entries[-1].spans == outcomes[-1].spans == (Span(0, 100), Span(120, 200))


def test_pictures_that_changed_places_are_another_clip(three):
    clips, poses, out = three
    prepare(clips, out, CONFIG, StoredTools(poses))
    folder = clips / "c"
    (folder / "0.png").rename(folder / "x")
    (folder / "1.png").rename(folder / "0.png")
    (folder / "x").rename(folder / "1.png")
    made = (out / "clips" / "c" / "clip.json").stat().st_mtime_ns
    prepare(clips, out, CONFIG, StoredTools(poses))
    assert (out / "clips" / "c" / "clip.json").stat().st_mtime_ns != made
    # Stamps of earlier versions had three parts.
    record = out / "clips" / "c" / "clip.json"
    values = json.loads(record.read_text())
    record.write_text(json.dumps({**values, "stamp": values["stamp"][:3]}))
    made = record.stat().st_mtime_ns
    prepare(clips, out, CONFIG, StoredTools(poses))
    assert record.stat().st_mtime_ns == made


def test_a_clip_whose_stored_keypoints_changed_is_prepared_again(three):
    clips, poses, out = three
    prepare(clips, out, CONFIG, StoredTools(poses), keypoints=poses)
    records = [out / "clips" / name / "clip.json" for name in "ac"]
    before = [record.stat().st_mtime_ns for record in records]
    corrected = json.loads((poses / "a.json").read_text())
    corrected[0]["people"][0]["pose_keypoints_2d"][0] += 3
    (poses / "a.json").write_text(json.dumps(corrected))
    done = []
    count = {"progress": lambda *at: done.append(at), "keypoints": poses}
    prepare(clips, out, CONFIG, StoredTools(poses), **count)
    assert done == [(3, 3)]
    after = [record.stat().st_mtime_ns for record in records]
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


def test_the_report_tells_how_clips_were_read(three):
    clips, poses, out = three
    (clips / "c" / "notes.txt").write_text("take 2")
    (clips / "c" / "._0.png").write_bytes(b"of macOS")
    prepare(clips, out, CONFIG, StoredTools(poses))
    report = (out / "report.md").read_text()
    assert "passed over: 1 (notes.txt). (`c`)" in report
    assert "c" in json.loads((out / "report.json").read_text())["read_as"].popitem()[1]


def test_shards_give_the_files_of_one_process_and_the_last_writes_the_manifest(three):
    clips, poses, out = three
    tools = StoredTools(poses)
    (clips / "damaged.mp4").write_bytes(b"no video")  # an outcome that is tried again
    prepare(clips, out, CONFIG, tools)
    parts = out.with_name("parts")
    assert prepare_shard(clips, parts, CONFIG, tools, Shard(2, 2)) is None
    assert not (parts / "manifest.json").exists()
    with owned_by_shard(parts, Shard(2, 2)):  # the other part is still at work
        assert prepare_shard(clips, parts, CONFIG, tools, Shard(1, 2)) is not None
        with pytest.raises(InputError, match="another process"):
            prepare(clips, parts, CONFIG, tools)
    assert files_of(parts) == files_of(out)


def test_what_reading_keypoints_assumed_is_in_the_report(places):
    clips, poses, out = places
    frames, pose = character(0, 8)
    write_clip(clips, "a.mp4", frames)
    poses.mkdir(exist_ok=True)
    records = [{"people": one["people"]} for one in to_keypoints(pose)]
    for person in (person for record in records for person in record["people"]):
        del person["aa_scores"]
    records[0] |= {"canvas_width": pose.canvas.width, "canvas_height": pose.canvas.height}
    (poses / "a.json").write_text(json.dumps(records))
    _, (outcome,) = prepare(clips, out, CONFIG, StoredTools(poses))
    assert "keypoints: 7 of 8 frames name no canvas: 64x64 as given" in outcome.notes
    assert "7 of 8 frames name no canvas" in (out / "report.md").read_text()


def test_a_track_tells_later_that_its_networks_know_drawn_figures_only(tmp_path):
    pose = character(0, 2)[1]
    for drawn in (False, True):
        write_track(tmp_path / "keypoints.npz", Track(pose, np.zeros(2, bool), drawn))
        assert read_track(tmp_path / "keypoints.npz").drawn is drawn
