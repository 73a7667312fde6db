"""Metrics against independent formulas and known values."""

import numpy as np
import pytest
import torch

from animate_anyone.errors import InputError
from animate_anyone.evaluation.metrics.frames import (
    intersection_over_union,
    psnr,
    psnr_inside,
    psnr_uint8_legacy,
    sharpness,
    silhouette,
    ssim,
)


@pytest.fixture
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(3, 3, 40, 36)
    return (truth + 0.1 * torch.randn_like(truth)).clamp(0, 1), truth


def test_psnr_and_ssim_agree_with_scikit_image(frames):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

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


def ssim_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return SSIM per pixel of one channel, straight from the definition."""
    steps = np.arange(-5, 6)
    bell = np.exp(-(steps**2) / (2 * 1.5**2))
    window = np.outer(bell, bell) / bell.sum() ** 2

    def local_mean(values):
        padded = np.pad(values, 5, mode="reflect")
        return (np.lib.stride_tricks.sliding_window_view(padded, (11, 11)) * window).sum((2, 3))

    mean_x, mean_y = local_mean(first), local_mean(second)
    var_x = local_mean(first**2) - mean_x**2
    var_y = local_mean(second**2) - mean_y**2
    covariance = local_mean(first * second) - mean_x * mean_y
    return ((2 * mean_x * mean_y + 0.01**2) * (2 * covariance + 0.03**2)) / (
        (mean_x**2 + mean_y**2 + 0.01**2) * (var_x + var_y + 0.03**2)
    )


def test_ssim_follows_its_definition_up_to_the_border(frames):
    from skimage.metrics import structural_similarity

    result, truth = frames
    for index in range(len(truth)):
        channels = zip(result[index].double().numpy(), truth[index].double().numpy(), strict=True)
        maps = np.stack([ssim_map(x, y) for x, y in channels])
        assert float(ssim(result, truth)[index]) == pytest.approx(maps.mean(), abs=1e-5)
        pictures = (x[index].permute(1, 2, 0).double().numpy() for x in (truth, result))
        inside = structural_similarity(
            *pictures, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        assert maps[:, 5:-5, 5:-5].mean() == pytest.approx(inside, abs=1e-9)


def test_half_precision_frames_are_measured_in_float(frames):
    result, truth = (x.half() for x in frames)
    assert torch.equal(psnr(result, truth), psnr(result.float(), truth.float()))
    assert torch.equal(ssim(result, truth), ssim(result.float(), truth.float()))
    near = torch.full((1, 3, 16, 16), 0.5, dtype=torch.float16)
    # 0.0005 squared is nothing in half precision.
    assert 60 < float(psnr(near, near + torch.tensor(0.0005, dtype=torch.float16))) < 70


def uint8_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def to_frames(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def test_legacy_psnr_is_that_of_8_bit_arithmetic():
    first, second = uint8_picture(1), uint8_picture(2)
    wrapped = np.multiply(first - second, first - second, dtype=np.uint8)
    want = 20 * np.log10(255 / np.sqrt(wrapped.mean()))
    got = float(psnr_uint8_legacy(to_frames(first), to_frames(second)))
    assert got == pytest.approx(want, abs=1e-9)
    assert got == pytest.approx(27.9, abs=0.1)  # unrelated noise
    assert float(psnr(to_frames(first), to_frames(second))) == pytest.approx(7.75, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "wrapped_square"),
    [(0, None), (16, None), (-32, None), (15, 225), (-15, 225), (17, 33), (-100, 16), (5, 25)],
)
def test_legacy_psnr_ignores_whole_multiples_of_256(levels, wrapped_square):
    first = torch.full((1, 3, 8, 8), 128 / 255)
    got = float(psnr_uint8_legacy(first + levels / 255, first))
    want = 100.0 if wrapped_square is None else 10 * np.log10(255**2 / wrapped_square)
    assert got == pytest.approx(want, abs=1e-9)


def test_legacy_psnr_has_a_floor_and_is_right_for_near_pictures():
    squares = (np.arange(256, dtype=np.int64) ** 2) % 256
    assert 10 * np.log10(255**2 / squares.max()) == pytest.approx(24.17, abs=0.01)
    first = uint8_picture(3) // 2 + 60
    second = (first + np.random.default_rng(4).integers(-15, 16, first.shape)).astype(np.uint8)
    frames = to_frames(first), to_frames(second)
    assert float(psnr_uint8_legacy(*frames)) == pytest.approx(float(psnr(*frames)), abs=1e-4)


@pytest.mark.parametrize("metric", [psnr, psnr_uint8_legacy, ssim])
def test_frames_that_cannot_be_compared_are_refused(metric):
    frames = torch.zeros(2, 3, 16, 16)
    with pytest.raises(InputError, match="same frames"):
        metric(frames[:1], frames)
    with pytest.raises(InputError, match="floats"):
        metric(frames.to(torch.uint8), frames.to(torch.uint8))


def waves(period: float, size: int = 64, amplitude: float = 0.2) -> torch.Tensor:
    """Return two frames of upright stripes."""
    stripes = 0.5 + amplitude * torch.cos(2 * torch.pi * (torch.arange(size) + 0.5) / period)
    return stripes.expand(2, 3, size, size).contiguous()


def test_sharpness_is_the_ratio_of_energies_of_fine_detail():
    fine, coarse = waves(4) - 0.5, waves(32)
    assert sharpness(coarse + fine, coarse + fine) == 1
    assert sharpness(coarse + fine / 2, coarse + fine) == pytest.approx(0.25, rel=1e-3)
    assert sharpness(coarse + 2 * fine, coarse + fine) == pytest.approx(4, rel=1e-3)
    assert sharpness(coarse + fine.mT, coarse + fine) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(("period", "counts"), [(4, True), (7, True), (9, False), (16, False)])
def test_structures_of_fewer_than_8_pixels_are_fine(period, counts):
    truth = waves(4) + waves(period) - 0.5
    ratio = sharpness(truth + waves(period) - 0.5, truth)
    assert (ratio > 1.5) == counts


def test_borders_are_no_edges_and_a_plain_truth_has_no_sharpness(frames):
    ramp = torch.linspace(0, 1, 64).expand(2, 3, 64, 64)
    assert sharpness(frames[0], torch.full_like(frames[1], 0.4)) is None
    assert sharpness(waves(64), waves(64)) is None
    assert sharpness(ramp + waves(4) - 0.5, waves(4)) == pytest.approx(1, rel=0.02)


def test_sharpness_agrees_with_cosines_of_the_whole_frame(frames):
    from scipy.fft import dctn

    def energy(clip: torch.Tensor) -> float:
        values = dctn(clip.double().numpy(), axes=(2, 3), norm="ortho")
        rows, columns = (np.arange(n) / (2 * n) for n in clip.shape[2:])
        fine = np.hypot(rows[:, None], columns) > 0.125
        return float((values[..., fine] ** 2).sum())

    result, truth = frames
    assert sharpness(result, truth) == pytest.approx(energy(result) / energy(truth), rel=1e-4)
