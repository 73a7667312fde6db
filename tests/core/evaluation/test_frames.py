"""Metrics against independent formulas and known values."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from animate_anyone.evaluation.frames import (
    flicker,
    intersection_over_union,
    psnr,
    psnr_inside,
    silhouette,
    ssim,
)


@pytest.fixture
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(3, 3, 40, 36)
    return (truth + 0.1 * torch.randn_like(truth)).clamp(0, 1), truth


def test_psnr_and_ssim_agree_with_scikit_image(frames):
    result, truth = frames
    for index in range(len(truth)):
        ours, theirs = (x[index].permute(1, 2, 0).double().numpy() for x in (result, truth))
        want = peak_signal_noise_ratio(theirs, ours, data_range=1)
        assert float(psnr(result, truth)[index]) == pytest.approx(want, abs=1e-3)
        want = structural_similarity(
            theirs, ours, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        # The two treat the border differently; the picture's inside decides.
        assert float(ssim(result, truth)[index]) == pytest.approx(want, abs=0.02)


def test_psnr_inside_looks_at_the_mask_alone():
    truth = torch.zeros(1, 3, 8, 8)
    result = truth.clone()
    result[..., :4] = 0.1
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    assert float(psnr_inside(result, truth, mask)) == pytest.approx(20.0, abs=1e-4)
    assert float(psnr_inside(result, truth, ~mask)) == pytest.approx(100.0)


def test_silhouette_is_what_differs_from_the_background():
    background = torch.full((3, 6, 6), 0.5)
    frames = background.repeat(2, 1, 1, 1)
    frames[1, 2, 1:3, 1:3] = 0.9
    shown = silhouette(frames, background)
    assert shown[0].sum() == 0
    assert shown[1].nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_intersection_over_union_of_halves_and_of_nothing():
    first = torch.zeros(2, 4, 4, dtype=torch.bool)
    second = first.clone()
    first[0, :, :2] = True
    second[0, :, 1:3] = True
    assert intersection_over_union(first, second).tolist() == pytest.approx([1 / 3, 1.0])


def test_flicker_ignores_a_still_error_and_counts_alternation():
    truth = torch.rand(4, 3, 8, 8)
    assert flicker(truth + 0.2, truth) == pytest.approx(0, abs=1e-3)
    wobble = truth.clone()
    wobble[1::2] += 0.1
    assert flicker(wobble, truth) == pytest.approx(25.5, abs=1e-2)
    assert flicker(wobble, truth) == pytest.approx(
        np.abs(np.diff(wobble.numpy(), axis=0) - np.diff(truth.numpy(), axis=0)).mean() * 255, 1e-4
    )
