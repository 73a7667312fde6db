"""The command `ablations`: it trains and measures every row and writes a table."""

import json
from dataclasses import replace

import pytest

from animate_anyone.__main__ import main
from animate_anyone.training import recipes
from animate_anyone.training.ablations import settings
from animate_anyone.training.sources.shards import write_shard
from animate_anyone.types import Size
from animate_anyone.weights.load import load_mini

TITLES = ["CLIP + ControlNet", "ReferenceNet"]  # the others differ in their networks alone


def tiny(folder, monkeypatch):
    """Prepare a folder, and recipes for two rows and steps of two pictures; return the command."""
    for variant in ("clip", "blind_controlnet"):
        monkeypatch.delitem(settings.TITLES, variant)
    for name in ("ABLATION", "PRETRAINING"):
        small = replace(getattr(recipes, name), examples=1, frames=2)
        monkeypatch.setattr(recipes, name, small)
    facts = {"clips": 1, "frames": 3, "consecutive": False, "cast": "patterned"}
    path = folder / "examples/frames-patterned-64x64-03000"
    autoencoder = load_mini().autoencoder
    write_shard(path, autoencoder, seed=1, size=Size(64, 64), **facts)
    path.rename(path.with_name("frames-patterned-128x128-03000"))
    command = ["ablations", "--folder", str(folder), "--shards", "1", "--steps", "1"]
    command += ["--pretraining-steps", "1", "--pairs", "2", "--sampling-steps", "1"]
    return [*command, "--seeds", "1"]


@pytest.mark.slow
def test_every_row_is_trained_and_measured_and_a_second_start_repeats_nothing(
    tmp_path, capsys, monkeypatch
):
    command = tiny(tmp_path, monkeypatch)
    assert main(command) == 0
    table = json.loads((tmp_path / "table.json").read_text())
    others = ["copy of the reference", "autoencoder round trip"]
    mini = ["aa-mini without temporal layers", "aa-mini"]
    assert list(table["rows"]) == [*TITLES, *others, *mini]
    for row in table["rows"].values():
        assert {"psnr", "ssim", "pck"} <= set(row)
    assert table["settings"]["steps"] == 1
    assert table["paper"]["rows"]["ReferenceNet"]["fvd"] == 81.6
    assert list(table["characters"]) == [f"{title}, seed 0" for title in TITLES]
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "table.md").read_text()

    def written():
        parts = ("pretrained/*", "seed0/*/stage1/weights.*", "seed0/*/figures/rows/*")
        paths = [path for part in parts for path in tmp_path.glob(part) if path.is_file()]
        return {path: path.stat().st_mtime_ns for path in paths}

    before = written()
    assert len([path for path in before if path.suffix != ".lock"]) == 1 + 3 * len(TITLES)
    # A kill before the last row was measured leaves it to a second start, and nothing else.
    last = tmp_path / "seed0/reference_net/figures/rows/000000.json"
    last.unlink()
    assert main(command) == 0
    after = written()
    assert {path for path, time in before.items() if after[path] != time} == {last}
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--shards", "0"], "--shards got 0"),
        (["--seeds", "0"], "--seeds got 0"),
        (["--pairs", "1"], "--pairs got 1; it must be 2 or more"),
        (["--models", "v0"], "--models got 'v0'; it must be NAME=SOURCE"),
    ],
)
def test_wrong_options_are_refused_before_any_training(tmp_path, capsys, changed, words):
    assert main(["ablations", "--folder", str(tmp_path), *changed]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_other_settings_in_the_same_folder_are_refused(tmp_path, capsys):
    own = settings.AblationSettings(
        pretraining_steps=1200, steps=10, shards=20, pairs=96, sampling_steps=10
    )
    own.claim(tmp_path)
    own.claim(tmp_path)
    assert main(["ablations", "--folder", str(tmp_path), "--steps", "20"]) == 2
    assert "steps is 10 there and 20 here" in capsys.readouterr().err
