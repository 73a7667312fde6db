"""`prepare` from the command line, with the embedded pose networks and encoders."""

import json

import numpy as np
import pytest
from core.dataset.clips_material import character, write_character, write_clip

from animate_anyone.__main__ import main
from animate_anyone.dataset.manifest import ClipDataset, Span
from animate_anyone.dataset.report import shortened
from animate_anyone.dataset.splits import RECIPES, recipe
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.training.sources.batch import Draw
from animate_anyone.training.sources.prepared import ClipSource
from animate_anyone.types import Size

SIZE = Size(128, 128)


@pytest.fixture
def clips(tmp_path):
    """Return a folder with a training clip and a test clip, their keypoints beside it."""
    for seed, name in enumerate(("train/a.mp4", "test/b.mp4")):
        write_character(tmp_path / "clips", name, seed, 5, SIZE)
    return tmp_path / "clips"


def arguments(clips, *more):
    out = clips.with_name("set")
    return ["prepare", f"--clips={clips}", f"--out={out}", "--min-frames=3", *more]


def test_a_folder_of_clips_becomes_batches_with_the_embedded_networks(clips, capsys):
    caches = ("--size=64x64", "--cache=latents,tokens", "--device=cpu")
    assert main(arguments(clips, *caches)) == 0
    assert "2 of 2 clips are usable, with 10 frames at 64x64" in capsys.readouterr().out

    dataset = ClipDataset.open(clips.with_name("set"))
    assert [(entry.name, entry.split) for entry in dataset.clips] == [
        ("test/b", "test"),
        ("train/a", "train"),
    ]
    pose = character(0, 5, SIZE)[1]
    found = dataset.keypoints(dataset.clips[1])
    both = (pose.body.confidence > 0) & (found.body.confidence > 0.3)
    assert both.mean() > 0.5
    away = np.linalg.norm(found.body.xy - pose.body.xy / 2, axis=-1)[both]
    assert np.median(away) < 3  # pixels of 64; the embedded pair's usual error

    batch = ClipSource(dataset).batch(Draw(seed=0, examples=2, frames=3, consecutive=True), 0, (1,))
    assert batch.names == ("train/a",)
    assert batch.encoded
    assert batch.targets.shape == (1, 16, 3, 8, 8)
    assert 0.3 < float(batch.targets.std()) < 3
    assert batch.tokens is not None
    assert batch.tokens.shape[:2] == (1, 1)
    assert batch.poses.shape == (1, 3, 3, 64, 64)
    assert int(batch.poses.max()) > 100


def test_existing_keypoints_are_used_and_a_second_run_does_nothing(clips, caplog):
    kept = arguments(clips, "--size=64x64", f"--poses={clips.with_name('poses')}")
    assert main(kept) == 0
    out = clips.with_name("set")
    stamps = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    assert main([*kept, "--workers=2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()} == stamps
    dataset = ClipDataset.open(out)
    assert all(entry.spans == (Span(0, 5),) for entry in dataset.clips)
    corrected = clips.with_name("poses") / "train" / "a.json"
    corrected.write_text(corrected.read_text() + " ")
    assert main(kept) == 0
    after = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    assert {path.name for path in after if after[path] != stamps[path]} == {"train%2Fa"}


def test_a_recipe_has_a_split_and_lists_missing_clips(tmp_path, capsys):
    clips = tmp_path / "clips"
    for seed, number in enumerate(("00001", "00335")):
        frames, pose = character(seed, 4, SIZE)
        write_clip(clips, f"{number}/images", frames)
        write_clip(clips, f"{number}/masks", frames)
        write_clip(tmp_path / "spare" / "clips", f"{number}.mp4", frames, pose)
    poses = tmp_path / "spare" / "poses"
    told = ("--recipe=tiktok", "--size=64x64", "--pictures=jpg", f"--poses={poses}")
    assert main(arguments(clips, *told)) == 0
    dataset = ClipDataset.open(tmp_path / "set")
    assert dataset.manifest.fit == "crop"
    assert {entry.name: entry.split for entry in dataset.clips} == {
        "00001": "train",
        "00335": "test",
    }
    text = capsys.readouterr().out
    assert (
        "On the test list, but not in the folder (5): `00336`, `00337`, `00338`, `00339`, `00340`."
        in text
    )
    assert "On the train list, but not in the folder (333): `00002`" in text
    assert "and 325 more." in text
    assert "report.json names all of them" in text
    assert "name them with --split" in text


def test_long_lists_of_the_report_are_not_printed_whole():
    entries = [f"- clip {number}\n" for number in range(30)]
    report = ["# head\n", *entries[:12], "\n", *entries, "end\n", *entries[:14]]
    told = [f"- and {count} more, see report.md\n" for count in (18, 2)]
    short = [*report[:14], *entries[:12], told[0], "end\n", *entries[:12], told[1]]
    assert list(shortened(report)) == short


def test_a_named_fit_overrides_the_recipe(clips):
    told = ("--recipe=tiktok", "--fit=pad", "--size=64x64", f"--poses={clips.with_name('poses')}")
    assert main(arguments(clips, *told)) == 0
    assert ClipDataset.open(clips.with_name("set")).manifest.fit == "pad"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_prepares_frames_as_the_protocol_of_its_name_compares_them(name):
    assert recipe(name).fit == load_protocol(name).fit


def test_a_named_split_overrides_folders(clips):
    split = clips.with_name("mine.json")
    split.write_text(json.dumps({"train": ["b.mp4"], "test": ["a"]}))
    kept = f"--poses={clips.with_name('poses')}"
    assert main(arguments(clips, "--size=64x64", kept, f"--split={split}")) == 0
    entries = ClipDataset.open(clips.with_name("set")).clips
    assert {entry.name: entry.split for entry in entries} == {"train/a": "test", "test/b": "train"}


def test_no_usable_clips_give_exit_code_1(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_bytes(b"nothing")
    assert main(arguments(tmp_path / "clips", "--size=64x64")) == 1
    assert "0 of 1 clips are usable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size=60x64",), "multiples of 8"),
        (("--cache=depth",), "known are latents, tokens"),
        (("--workers=0",), "--workers got 0"),
        (("--poses=nowhere",), "no such folder"),
        (("--detector=d.onnx", "--estimator=e.onnx"), "no such file"),
        (("--split=clips.txt",), "cannot read it"),
        (("--detector=d.onnx",), "estimator got nothing"),
        (("--poses=.", "--detector=d.onnx", "--estimator=e.onnx"), "Leave one out"),
        (("--cache=latents", "--vae=nowhere.safetensors", "--device=cpu"), "nowhere"),
    ],
)
def test_contradicting_options_are_refused(clips, options, message, capsys):
    assert main(arguments(clips, *options)) == 2
    assert message in capsys.readouterr().err
    assert not (clips.with_name("set") / "clips").exists()
