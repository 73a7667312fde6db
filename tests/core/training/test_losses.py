"""Losses on errors whose value is known."""

import pytest
import torch

from animate_anyone.training.loop.losses import (
    difference_error,
    figure_error,
    figure_weights,
    weighted_error,
)

SHAPE = (1, 2, 4, 3, 3)


def test_errors_inside_the_figure_weigh_more():
    target, masks = torch.zeros(SHAPE), torch.zeros(1, 1, 4, 3, 3)
    masks[..., 0] = 1.0
    inside = target.clone()
    inside[..., 0] = 1.0
    # a third of the pixels, each three times: 3 / (3 + 1 + 1)
    for weight, expected in ((2.0, 0.6), (0.0, 1 / 3)):
        weights = figure_weights(masks, target, weight)
        assert float(weighted_error(inside, target, weights)) == pytest.approx(expected)
    assert figure_error(inside, target, masks) == pytest.approx(1.0)


def test_only_an_alternating_error_counts_as_flicker():
    target = torch.rand(SHAPE)
    assert float(difference_error(target + 0.5, target)) == pytest.approx(0, abs=1e-9)
    wobble = target.clone()
    wobble[:, :, 1::2] += 0.5
    assert float(difference_error(wobble, target)) == pytest.approx(0.25)
    assert float(difference_error(target[:, :, :1], target[:, :, :1])) == 0.0
