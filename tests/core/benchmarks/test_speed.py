"""Interval and step cache measured on tiny networks."""

import json

import pytest
import torch

from animate_anyone.types import Size
from benchmarks import speed

CLIP = (Size(16, 24), 2, 4)  # size, frames, steps


@pytest.fixture(scope="module")
def models():
    return speed.random_networks(32, torch.device("cpu"), torch.float32)


def test_runs_are_compared_with_the_exact_one(models):
    results = speed.measure(models, *CLIP, ["exact", "interval, cache 3"])
    assert results["exact"]["relative_error"] == 0
    found = results["interval, cache 3"]
    assert 0 < found["relative_error"] < 1
    assert (found["full_steps"], found["guided_steps"]) == (2, 2)
    lines = speed.table(results).splitlines()
    assert lines[0].split() == ["setting", "full", "guided", "seconds", "faster", "error"]
    assert len(lines) == 3


def test_calls_are_added_up_by_their_kinds(models, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(speed, "seconds", lambda _: 2.0 ** next(clock))
    results = speed.measure_calls(models, *CLIP, repeats=1)
    # A call takes, by that clock: two rows in full 1, cached 4, one row in full 16, cached 64.
    assert results["exact"]["seconds"] == 4 * 1
    assert results["interval"]["seconds"] == 2 * 1 + 2 * 16
    assert results["cache 3"]["seconds"] == 2 * 1 + 2 * 4
    # Step 1 enters the interval, so it is full.
    assert results["interval, cache 3"]["seconds"] == 16 + 1 + 4 + 16
    assert json.dumps(results)
