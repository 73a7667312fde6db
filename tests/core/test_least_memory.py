"""The least memory that a clip is refused by, against the memory that a process really takes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from animate_anyone.animate import sampling_of
from animate_anyone.animate.room import frames_of_call

SCRIPT = Path(__file__).parent / "measure_calls.py"
CALLS = (
    ("denoiser", 384, 384, 2),
    ("denoiser", 512, 256, 3),
    ("denoiser", 256, 512, 4),
    ("decoder", 256, 256, 4),
    ("decoder", 512, 384, 2),
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process as Linux tells it")
def test_a_call_takes_more_than_the_least_and_not_much_more():
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], input=json.dumps(CALLS), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for call, (most, least) in zip(CALLS, json.loads(done.stdout), strict=True):
        assert 0.25 * most < least < most, call


@pytest.mark.parametrize(
    ("frames", "changes", "expected"),
    [
        (3, {"guidance": 1.0}, 3),
        (3, {}, 6),  # both rows of guidance in one call
        (9, {}, 8),  # windows of 4
        (9, {"windows_per_call": 2}, 16),
        (9, {"windows_per_call": 9}, 24),
    ],
)
def test_a_call_has_all_rows_and_windows(tiny, frames, changes, expected):
    sampling = replace(sampling_of(tiny.preset), guidance=2.0)
    sampling = replace(sampling, windows=replace(sampling.windows, overlap=1))
    assert frames_of_call(frames, replace(sampling, **changes)) == expected
