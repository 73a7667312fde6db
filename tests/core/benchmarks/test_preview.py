"""The preview's cost is measured with the node's own code, without ComfyUI."""

import sys

import numpy as np
import pytest
import torch

from animate_anyone.weights.load import load_models
from benchmarks.preview import SIDE, TimedPreview, load_previews, measure_run, measure_sheet


def test_the_nodes_own_preview_runs_without_a_host():
    previews = load_previews()
    assert not {"comfy", "latent_preview", "server"} & set(sys.modules)
    assert not [name for name in sys.modules if name.startswith("pack_without_host")]
    preview = TimedPreview(previews, 24, 1)
    preview.after(0, torch.randn(24, 16, 16, 16))
    (sheet,) = preview.sheets
    assert SIDE - 5 < sheet.width <= SIDE
    assert sheet.getextrema()[0][1] > 0, "tiles are on it"


def test_the_time_of_a_sheet_is_the_sum_of_its_parts():
    found = measure_sheet(load_previews(), torch.randn(3, 16, 4, 4), repeats=2)
    assert found["sheet_ms"] == found["tiles_and_layout_ms"] + found["jpeg_ms"] > 0


def test_a_run_ends_with_a_sheet():
    poses = np.zeros((2, 64, 64, 3), np.uint8)
    inputs = load_models("aa-mini"), torch.rand(1, 3, 64, 64), poses, torch.randn(2, 16, 8, 8)
    found = measure_run(load_previews(), *inputs, steps=3)
    assert 1 <= found["sheets"] <= found["steps"] == 3
    share = 100 * found["preview_cpu_s"] / found["sampling_cpu_s"]
    assert found["share_percent"] == pytest.approx(share)
    assert share > 0
