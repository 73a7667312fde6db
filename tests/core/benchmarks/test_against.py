"""Comparing with the public implementation: two processes that answer lines, in turn."""

import sys

import pytest

from animate_anyone.errors import InputError
from benchmarks.against import check_checkout, compare

ANSWERS = """
import json, sys
print("imports may print")
print(json.dumps({{"ready": 1}}), flush=True)
for number, _ in enumerate(sys.stdin):
    print(json.dumps({{"seconds": {seconds} + number, "peak_mb": {peak}}}), flush=True)
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


def test_a_process_that_ends_is_reported():
    with pytest.raises(InputError, match="--against got a checkout whose process has ended with 3"):
        compare([sys.executable, "-c", "raise SystemExit(3)"], process(1.0, 1), pairs=1)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"--against got .* name a checkout of Moore-Animate"):
        check_checkout(tmp_path)
