"""The overlap of moved regions on clips whose motion is known."""

import pytest
import torch

from animate_anyone.errors import InputError
from animate_anyone.evaluation.metrics.following import following


def sweep(width: int, brightness: float, offset: int = 0) -> torch.Tensor:
    """Return 16 frames in which a bar walks from left to right."""
    frames = torch.zeros(16, 3, 40, 64)
    for index, frame in enumerate(frames):
        left = (4 * index + offset) % 64
        frame[:, :, max(left - width, 0) : left + width + 1] = brightness
    return frames


def test_a_body_around_its_skeleton_overlaps_fully():
    found = following(sweep(3, 0.8), sweep(2, 1.0), reach=1 / 40)
    assert found["iou"] == pytest.approx(1.0)
    assert found["skeleton_covered"] == pytest.approx(1.0)
    assert found["iou_other_time"] < 0.1


def test_a_body_elsewhere_does_not():
    found = following(sweep(3, 0.8, offset=24), sweep(2, 1.0), reach=1 / 40)
    assert found["iou"] < 0.1
    assert found["skeleton_covered"] < 0.1


def test_a_still_result_follows_nothing():
    still = torch.full((16, 3, 40, 64), 0.5)
    assert following(still, sweep(2, 1.0))["iou"] < 0.1


def test_clips_of_different_size_are_refused():
    with pytest.raises(InputError, match="the same clip"):
        following(torch.zeros(4, 3, 8, 8), torch.zeros(4, 3, 8, 16))
