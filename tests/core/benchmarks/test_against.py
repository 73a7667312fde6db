"""Comparing with the public implementation: two processes that answer lines, in turn."""

import sys

import pytest

from animate_anyone.errors import InputError
from benchmarks.against import PUBLIC_PAIR, check_checkout, compare

ANSWERS = """
import json, sys
print("imports may print")
print(json.dumps({{"ready": 1}}), flush=True)
for number, _ in enumerate(sys.stdin):
    print(json.dumps({{"seconds": {seconds} + number, "peak_mb": {peak}}}), flush=True)
"""

# A checkout with the two classes of the public implementation that are called.
UNET = """
import torch

class UNet3DConditionModel(torch.nn.Module):
    def __init__(self, block_out_channels, **_):
        super().__init__()
        self.layer = torch.nn.Linear(4, block_out_channels[0])

    def forward(self, latents, moment, encoder_hidden_states, pose_cond_fea, return_dict):
        assert latents.shape == (2, 4, 2, 4, 4) and pose_cond_fea.shape == (2, 8, 2, 4, 4)
        return self.layer(latents.movedim(1, -1)),
"""
CONTROL = """
class ReferenceAttentionControl:
    def __init__(self, unet, **_):
        assert not unet.training
"""


def process(seconds, peak):
    return [sys.executable, "-c", ANSWERS.format(seconds=seconds, peak=peak)]


def test_the_least_time_and_the_peak_of_both_are_compared():
    results = compare(process(3.0, 100), process(2.0, 80), pairs=2)
    assert results == {
        "public": {"seconds": 3.0, "peak_mb": 100},
        "ours": {"seconds": 2.0, "peak_mb": 80},
        "ratio": {"seconds": 1.5, "peak_mb": 1.25},
    }


def test_whole_runs_are_compared_with_as_many_pairs():
    ours = [sys.executable, "-m", "benchmarks.speed", "--answer", "--size", "32x32"]
    ours += ["--width", "32", "--frames", "1", "--steps", "4"]
    ratios = compare(process(1e6, 100), ours, pairs=1, steps=4)["ratio of runs"]
    assert "last half, cache 4" in ratios  # a cache of 5 does not fit 4 steps
    assert "interval, cache 5" not in ratios
    assert min(ratios.values()) > 1


def test_a_process_that_ends_is_reported():
    with pytest.raises(InputError, match="--against got a checkout whose process has ended with 3"):
        compare([sys.executable, "-c", "raise SystemExit(3)"], process(1.0, 1), pairs=1)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"--against got .* name a checkout of Moore-Animate"):
        check_checkout(tmp_path)


def test_the_public_side_runs_a_checkout(tmp_path):
    models = tmp_path / "src" / "models"
    models.mkdir(parents=True)
    (models / "unet_3d.py").write_text(UNET)
    (models / "mutual_self_attention.py").write_text(CONTROL)
    shape = (tmp_path, 8, 2, 4, 4, "cpu")  # width, frames, rows and columns of the latents
    theirs = [sys.executable, *PUBLIC_PAIR, *map(str, shape)]
    results = compare(theirs, process(1e9, 1.0), pairs=1)
    assert 0 < results["public"]["seconds"] < 60
    assert results["public"]["peak_mb"] > 50
