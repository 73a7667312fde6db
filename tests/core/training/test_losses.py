"""Losses on errors whose value is known."""

import pytest
import torch

from animate_anyone.training.losses import (
    channel_weights,
    difference_error,
    figure_error,
    figure_weights,
    weighted_error,
)

SHAPE = (1, 2, 4, 3, 3)


def test_the_figure_counts_more():
    target, masks = torch.zeros(SHAPE), torch.zeros(1, 1, 4, 3, 3)
    masks[..., 0] = 1.0
    inside = target.clone()
    inside[..., 0] = 1.0
    # a third of the pixels, each three times: 3 / (3 + 1 + 1)
    for weight, expected in ((2.0, 0.6), (0.0, 1 / 3)):
        weights = figure_weights(masks, target, weight)
        assert float(weighted_error(inside, target, weights)) == pytest.approx(expected)
    assert figure_error(inside, target, masks) == pytest.approx(1.0)


def test_channels_count_as_the_decoder_shows_them():
    shown = torch.tensor([2.0, 1.0, 0.0])

    def decode(latents):
        return (latents * shown[:, None, None]).sum(1, keepdim=True)

    latents = torch.rand(2, 3, 4, 4)
    by_sight = channel_weights(decode, latents, 1.0)
    torch.testing.assert_close(by_sight, shown.square() * 3 / 5)
    torch.testing.assert_close(channel_weights(decode, latents, 0.25), 0.75 + 0.25 * by_sight)
    target, weights = torch.zeros(SHAPE), torch.ones(1, 1, 4, 3, 3)
    wrong = target.clone()
    wrong[:, 0] = 1.0
    error = weighted_error(wrong, target, weights, channels=torch.tensor([1.5, 0.5]))
    assert float(error) == pytest.approx(0.75)


def test_a_still_error_is_no_flicker_and_an_alternating_one_is():
    target = torch.rand(SHAPE)
    assert float(difference_error(target + 0.5, target)) == pytest.approx(0, abs=1e-9)
    wobble = target.clone()
    wobble[:, :, 1::2] += 0.5
    assert float(difference_error(wobble, target)) == pytest.approx(0.25)
    assert float(difference_error(target[:, :, :1], target[:, :, :1])) == 0.0
