import subprocess
import sys

import numpy as np
import pytest
import torch

from animate_anyone.evaluation.pairs import Pair
from benchmarks import going_on


def pair_of(frames=20):
    truth = torch.full((frames, 3, 8, 8), 0.5)
    near = torch.zeros(frames, 8, 8, dtype=torch.bool)
    near[:, 2:4, 2:4] = True
    return Pair(
        name="",
        reference=truth[:1],
        poses=np.zeros((frames, 8, 8, 3), np.uint8),
        skeletons=None,
        truth=truth,
        fps=12,
        near=near,
    )


def test_a_step_at_a_seam_and_a_drift_are_measured():
    pair = pair_of()
    result = pair.truth.clone()
    result[1::2] += 1 / 255  # flicker of one level
    result[10:] += 4 / 255  # from the seam on
    found = going_on.figures(result, pair, [10])
    assert found["inside"] == pytest.approx(1, abs=1e-3)
    assert found["seam"] == pytest.approx(3, abs=1e-3)  # 4 up, 1 down
    assert found["seam_ratio"] == pytest.approx(3, abs=1e-2)
    assert found["mean_first"] == pytest.approx(0.5, abs=1e-3)
    assert found["mean_last"] == pytest.approx(4.5, abs=1e-3)
    assert found["figure_last"] > found["figure_first"]


def test_what_exceeds_its_limit_is_listed():
    same = {"seam_ratio": 1.0, "mean_last": 1.0, "spread_last": 1.0, "figure_last": 10.0}
    result = {
        "windows": same,
        "pieces": {**same, "seam_ratio": 1.2},
        "pieces through pictures": {**same, "mean_last": 1.3},
        "kept": {"largest_difference_outside": 1.0},
        "two characters": {"own regions": 16.0, "swapped references": 15.0, "no regions": 15.5},
        "memory": {"grown_mb": 120},
    }
    assert [line.split(":")[0] for line in going_on.faults(result)] == [
        "pieces",
        "pieces through pictures",
        "kept",
        "two characters",
        "memory grows by 120 MB",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of one process")
def test_the_peak_of_a_process_is_without_that_of_its_parent():
    words = """
import subprocess, sys
whole = bytearray(200_000_000)
code = "from benchmarks.peak_memory import peak_mb; print(peak_mb())"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 150
