"""`animate --jobs`: many clips by one command, in shards and by several workers."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from animate_anyone.__main__ import main
from animate_anyone.commands.jobs import command
from animate_anyone.media import clip_info
from animate_anyone.pose.files.keypoints import write_keypoints
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size


@pytest.fixture(scope="module")
def listed(tmp_path_factory, tiny_bundle):
    """Return a folder with a list of four jobs, the options for it, and what one process makes."""
    folder = tmp_path_factory.mktemp("jobs")
    rng = np.random.default_rng(0)
    for name in ("anna", "bert"):
        picture = rng.integers(0, 255, (48, 32, 3), np.uint8)
        Image.fromarray(picture).save(folder / f"{name}.png")
    xy = rng.uniform(10, 60, (3, 1, 18, 2))
    write_keypoints(folder / "poses.json", body_clip(Size(64, 96), xy))
    jobs = [
        {"name": f"{name}/{seed}", "reference": f"{name}.png", "seed": seed}
        for seed in (1, 2)
        for name in ("anna", "bert")
    ]
    (folder / "jobs.jsonl").write_text("\n".join(map(json.dumps, jobs)))
    options = [f"--poses={folder / 'poses.json'}", f"--models={tiny_bundle}", "--device=cpu"]
    options += ["--steps=1", "--overlap=1", "--threads=1"]
    assert animate(folder, options, "one") == 0
    return folder, options


def animate(folder, options, out, *more, jobs="jobs.jsonl"):
    return main(["animate", f"--jobs={folder / jobs}", f"--out={folder / out}", *options, *more])


def frames_of(folder):
    """Return the hash of each job's frames."""
    found = {}
    for path in sorted(folder.rglob("*.mp4.json")):
        record = json.loads(path.read_text())
        assert record["state"] == "done", record["error"]
        found[record["name"]] = record["frames_sha256"]
    return found


def test_each_job_has_a_clip_and_a_record_and_neighbours_share_the_reference(listed):
    folder, _ = listed
    hashes = frames_of(folder / "one")
    assert sorted(hashes) == ["anna/1", "anna/2", "bert/1", "bert/2"]
    assert len(set(hashes.values())) == 4
    assert clip_info(folder / "one" / "anna" / "1.mp4").frames == 3
    rows = (folder / "one" / "jobs-done.jsonl").read_text().splitlines()
    names = [json.loads(row)["name"] for row in rows]
    assert names == ["anna/1", "anna/2", "bert/1", "bert/2"]


def test_a_job_alone_gives_the_frames_of_the_single_command(listed):
    folder, options = listed
    alone = [f"--reference={folder / 'bert.png'}", "--seed=2", *options]
    assert main(["animate", f"--out={folder / 'alone.mp4'}", *alone]) == 0
    size = clip_info(folder / "alone.mp4").size
    assert clip_info(folder / "one" / "bert" / "2.mp4").size == size


def test_no_earlier_table_stands_beside_results_that_are_made_again(listed, tmp_path, monkeypatch):
    folder, options = listed
    out = tmp_path / "out"
    shutil.copytree(folder / "one", out)
    (out / "anna" / "1.mp4").unlink()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_jobs", interrupted)
    assert (out / "jobs-done.jsonl").exists()
    assert animate(folder, options, out) == 130
    assert not (out / "jobs-done.jsonl").exists()


@pytest.mark.slow
def test_shards_and_workers_give_the_same_and_a_second_start_does_what_is_left(listed, capsys):
    folder, options = listed
    assert animate(folder, options, "two", "--shard=2/2") == 0
    assert not (folder / "two" / "jobs-done.jsonl").exists()
    assert sorted(frames_of(folder / "two")) == ["bert/1", "bert/2"]
    assert animate(folder, options, "two", "--dry-run") == 0
    assert "2 were done before; 2 are left" in capsys.readouterr().out
    assert animate(folder, options, "two", "--workers=2") == 0
    assert "2 jobs made, 0 failed" in capsys.readouterr().out
    assert frames_of(folder / "two") == frames_of(folder / "one")
    assert (folder / "two" / "jobs-done.jsonl").exists()
    assert not list((folder / "two").glob(".lock*"))


def test_a_lora_changes_its_own_jobs_alone_and_another_file_is_noticed(listed, capsys):
    folder, options = listed

    def write(value):
        tensors = {
            "up.weight": torch.full((8, 1, 1, 1), value),
            "down.weight": torch.ones(1, 4, 3, 3),
        }
        named = {f"lora_unet_conv_in.lora_{key}": each for key, each in tensors.items()}
        save_file(named, folder / "ink.safetensors")

    write(1.0)
    loras = {"a": [], "b": ["ink.safetensors:0.5"], "c": ["ink.safetensors:0"], "d": []}
    jobs = [
        {"name": name, "reference": "anna.png", "seed": 1} | ({"lora": lora} if lora else {})
        for name, lora in loras.items()
    ]
    (folder / "ink.jsonl").write_text("\n".join(map(json.dumps, jobs)))
    assert animate(folder, options, "ink", jobs="ink.jsonl") == 0
    plain = frames_of(folder / "one")["anna/1"]
    found = frames_of(folder / "ink")
    assert {name for name, frames in found.items() if frames == plain} == {"a", "c", "d"}
    # The same as the command for a single clip makes.
    flags = [f"--lora={folder / 'ink.safetensors'}:0.5", f"--reference={folder / 'anna.png'}"]
    alone = folder / "alone.jsonl"
    alone.write_text(json.dumps({"name": "b"}))
    more = [*flags, "--seed=1"]
    assert animate(folder, options, "given", *more, jobs="alone.jsonl") == 0
    assert frames_of(folder / "given")["b"] == found["b"]
    capsys.readouterr()
    write(2.0)
    assert animate(folder, options, "ink", "--dry-run", jobs="ink.jsonl") == 0
    assert "2 have changed since" in capsys.readouterr().out


def test_parts_of_other_settings_and_weights_are_told(listed, tiny_bundle, capsys, caplog):
    folder, options = listed
    lines = [{"name": name, "reference": "anna.png", "seed": 1} for name in "ab"]
    (folder / "both.jsonl").write_text("\n".join(map(json.dumps, lines)))
    models = folder / "models.safetensors"
    models.write_bytes(tiny_bundle.read_bytes())
    options = [word for word in options if not word.startswith("--models")] + [f"--models={models}"]
    one, two = ["--shard=1/2"], ["--shard=2/2", "--pose-strength=0.9"]
    caplog.set_level("INFO")
    assert animate(folder, options, "both", *one, jobs="both.jsonl") == 0
    assert "jobs-done.jsonl: not written yet" in caplog.text
    assert animate(folder, options, "both", *two, jobs="both.jsonl") == 0
    assert "1 of 2 results were made from other settings" in caplog.text
    table = folder / "both" / "jobs-done.jsonl"
    states = [json.loads(line)["state"] for line in table.read_text().splitlines()]
    assert states == ["changed", "done"]
    with models.open("r+b") as file:  # a layer somewhere is trained further
        file.seek(models.stat().st_size * 3 // 4)
        file.write(b"\x11\x11")
    capsys.readouterr()
    assert animate(folder, options, "both", "--dry-run", jobs="both.jsonl") == 0
    assert "2 have changed since" in capsys.readouterr().out
    assert animate(folder, options, "both", *one, jobs="both.jsonl") == 0
    states = [json.loads(line)["state"] for line in table.read_text().splitlines()]
    assert states == ["done", "changed"]


def test_a_failed_job_is_a_record_in_words(listed, capsys):
    folder, options = listed
    lines = [
        {"name": "bad", "reference": "nobody.png"},
        {"name": "good", "reference": "anna.png"},
    ]
    (folder / "some.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert animate(folder, options, "some", jobs="some.jsonl") == 1
    told = capsys.readouterr().out
    assert "1 jobs made, 1 failed" in told
    assert "nobody.png" in told
    record = json.loads((folder / "some" / "bad.mp4.json").read_text())
    assert record["state"] == "failed"
    assert "nobody.png" in record["error"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"steps": "many"}, "steps got 'many'; it must be a whole number"),
        ({"stepz": 3}, "stepz is no option of animate; did you mean steps?"),
        ({"sampler": "magic"}, "sampler got 'magic'; it must be one of"),
        ({"loop": 1}, "loop got 1; it must be true or false"),
        ({"guidance-interval": [0.1]}, "it must be a list of 2 values"),
        ({"device": "cuda"}, "device is not of one job but of the whole run"),
        ({"size": "big"}, "size got 'big'"),
        ({"reference": True}, "reference got true"),
        ({"reference": "a\ud800.png"}, "a sign that no file's name can have"),
        ({"poses": "a\0.json"}, "a sign that no file's name can have"),
        ({"seed": 1, "pose-strength": 1, "pose_strength": 1}, "stands in it twice"),
    ],
)
def test_bad_settings_are_named_before_anything_starts(listed, capsys, line, message):
    folder, options = listed
    (folder / "bad.jsonl").write_text(json.dumps({"name": "a", "reference": "anna.png", **line}))
    assert animate(folder, options, "bad", jobs="bad.jsonl") == 2
    said = capsys.readouterr().err
    assert "line 1: " in said
    assert message in said
    assert not (folder / "bad").exists()


def test_a_single_clip_needs_its_inputs_and_has_no_shards(listed, capsys):
    folder, options = listed
    assert main(["animate", "--out=a.mp4"]) == 2
    assert "reference got nothing" in capsys.readouterr().err
    both = [f"--reference={folder / 'anna.png'}", f"--out={folder / 'a.mp4'}", *options]
    assert main(["animate", *both, "--shard=1/2"]) == 2
    assert "shard got 1/2 for a single clip" in capsys.readouterr().err
