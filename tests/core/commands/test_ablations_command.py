"""The command `ablations`: it trains and measures every variant and writes a table."""

import json
from dataclasses import replace

import pytest

from animate_anyone.__main__ import main
from animate_anyone.training import recipes
from animate_anyone.training.sources.shards import write_shard
from animate_anyone.types import Size
from animate_anyone.weights.load import load_mini


@pytest.mark.slow
def test_every_row_is_trained_and_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(recipes, "ABLATION", replace(recipes.ABLATION, examples=1, frames=2))
    autoencoder = load_mini().autoencoder
    for name, size in (("128x128-03000", Size(128, 128)), ("128x192-05300", Size(128, 192))):
        path = tmp_path / "data" / f"frames-{name}"
        write_shard(path, autoencoder, seed=1, clips=1, frames=3, consecutive=False, size=size)
    command = ["ablations", "--folder", str(tmp_path), "--shards", "1", "--steps", "1"]
    command += ["--pairs", "1", "--clips", "1", "--frames", "2", "--sampling-steps", "1"]
    assert main(command) == 0
    table = json.loads((tmp_path / "table.json").read_text())
    titles = ["CLIP only", "ControlNet", "CLIP + ControlNet", "ReferenceNet"]
    assert list(table["rows"]) == [*titles, "aa-mini without temporal layers", "aa-mini"]
    for row in table["rows"].values():
        assert {"psnr", "ssim", "pck", "flicker"} <= set(row)
    assert table["trained"]["steps"] == 1
    assert table["paper"]["rows"]["ReferenceNet"]["fvd"] == 81.6
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "table.md").read_text()


def test_zero_shards_are_refused(tmp_path, capsys):
    assert main(["ablations", "--folder", str(tmp_path), "--shards", "0"]) == 2
    assert "--shards got 0" in capsys.readouterr().err


def test_a_row_without_a_source_is_refused_before_any_training(tmp_path, capsys):
    assert main(["ablations", "--folder", str(tmp_path), "--models", "v0"]) == 2
    assert "--models got 'v0'; it must be NAME=SOURCE" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
