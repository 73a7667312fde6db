"""Metrics that compare generated frames with the true ones."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import InputError, PackageError

Ssim = Literal["gaussian", "grey flat 7"]  # the usual one, or DisCo's
_FLAT = 7  # pixels of the side of the flat window
# Shares of red, green and blue in OpenCV's grey, in units of 2^-15.
_GREY = (9798, 19235, 3735)
FLAT = 1e-7  # mean squared value of fine detail, with pixels in 0..1: less is rounding


def psnr(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,)
    """Return the peak signal-to-noise ratio of each frame in dB, 100 at most.

    This is -10 log10 of the mean squared difference, computed in float32 or better.
    """
    result, truth = same_clip(result, truth)
    return -10 * (result - truth).square().mean((1, 2, 3)).clamp(min=1e-10).log10()


def psnr_uint8_legacy(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,), float64
    """Return the value that this field's tables call PSNR; it is wrong, only for comparison.

    DisCo's evaluation, from which later papers took the 29 to 38 dB of their tables, subtracts
    and squares pictures as 8-bit integers (Wangt-CN/DisCo, issue 86). Both steps wrap modulo 256:
    a difference of 16 levels, or of any multiple of 16, counts as none, and 15 as 225. The mean
    of the wrapped squares cannot exceed 249, so no pair of pictures falls below 24.2 dB, and
    unrelated noise has 27.9 instead of 7.8. Equal frames count as 100 dB. Below 16 levels of
    difference everywhere it equals `psnr` of the rounded frames.
    """
    result, truth = same_clip(result, truth)
    levels = [(x.clamp(0, 1) * 255).round().to(torch.int64) for x in (result, truth)]
    wrapped = (levels[0] - levels[1]).square() % 256  # as 8 bits give: (d mod 256)^2 mod 256
    mean = wrapped.double().mean((1, 2, 3))
    return torch.where(mean > 0, 10 * (255**2 / mean).log10(), 100.0)


def same_clip(result: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return both clips in float32 or better; InputError if their shapes or types do not fit."""
    if result.shape != truth.shape or result.ndim != 4 or not len(result):
        raise InputError(
            f"result got shape {tuple(result.shape)} and truth {tuple(truth.shape)}; both must be "
            "(f, 3, H, W) with the same frames. Cut and resize one to the other."
        )
    if not (result.is_floating_point() and truth.is_floating_point()):
        raise InputError(
            f"result got {result.dtype} and truth {truth.dtype}; both must be floats in 0..1. "
            "Divide 8-bit frames by 255."
        )
    kind = torch.promote_types(torch.promote_types(result.dtype, truth.dtype), torch.float32)
    return result.to(kind), truth.to(kind)


def psnr_inside(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
    mask: Tensor,  # (f, H, W), bool
) -> Tensor:  # (f,)
    """Return the peak signal-to-noise ratio in dB of the pixels inside a mask."""
    result, truth = same_clip(result, truth)
    error = (result - truth).square().mean(1) * mask
    mean = error.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)
    return -10 * mean.clamp(min=1e-10).log10()


def ssim(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,)
    """Return the structural similarity of each frame (Gaussian window of 11, sigma 1.5).

    Wang et al. 2004, per channel, biased covariance, averaged over the whole frame with a
    reflected border; DisCo's tables use `ssim_grey_flat` instead.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise PackageError(
            "ssim needs torchmetrics, which is not installed; install it (pip install "
            "torchmetrics)."
        ) from error

    frames = same_clip(result, truth)
    # In this order torch filters the frames in less time.
    result, truth = (v.contiguous(memory_format=torch.channels_last) for v in frames)
    values = structural_similarity_index_measure(result, truth, data_range=1.0, reduction="none")
    assert isinstance(values, Tensor)
    return values.reshape(-1)


def ssim_grey_flat(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,), float64
    """Return the structural similarity as DisCo's script: grey 8-bit frames, flat window of 7.

    These are the defaults of scikit-image: unbiased covariance, averaged over all windows that lie
    inside the frame. Grey is OpenCV's, rounded to whole levels. InputError for smaller frames.
    """
    result, truth = same_clip(result, truth)
    if min(result.shape[-2:]) < _FLAT:
        raise InputError(
            f"result got frames of {result.shape[-1]}x{result.shape[-2]}; this SSIM has windows of "
            f"{_FLAT}x{_FLAT} pixels. Compare larger frames."
        )
    x, y = (_grey(frames) for frames in (result, truth))
    means = [functional.avg_pool2d(v, _FLAT, 1) for v in (x, y, x * x, y * y, x * y)]
    mean_x, mean_y, square_x, square_y, product = means
    unbiased = _FLAT**2 / (_FLAT**2 - 1)
    var_x, var_y = unbiased * (square_x - mean_x**2), unbiased * (square_y - mean_y**2)
    both = unbiased * (product - mean_x * mean_y)
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_x * mean_y + small) * (2 * both + smaller)
    below = (mean_x**2 + mean_y**2 + small) * (var_x + var_y + smaller)
    return (above / below).mean((1, 2, 3))


def _grey(frames: Tensor) -> Tensor:  # (f, 1, H, W), float64, whole levels of 0..255
    levels = (frames.clamp(0, 1) * 255).round().to(torch.int64)
    shares = torch.tensor(_GREY, device=frames.device)[:, None, None]
    return ((levels * shares).sum(1, keepdim=True) + 2**14 >> 15).double()


SSIMS = {"gaussian": ssim, "grey flat 7": ssim_grey_flat}


def silhouette(
    frames: Tensor,  # (f, 3, H, W), 0..1
    background: Tensor,  # (3, H, W), 0..1
    threshold: float = 0.1,
) -> Tensor:  # (f, H, W), bool
    """Return where frames differ from a known background by more than a threshold."""
    return (frames - background).abs().amax(1) > threshold


def intersection_over_union(
    first: Tensor,  # (f, H, W), bool
    second: Tensor,  # (f, H, W), bool
) -> Tensor:  # (f,)
    """Return intersection over union of two masks per frame; 1 if both are empty."""
    both = (first & second).sum((1, 2))
    either = (first | second).sum((1, 2))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def sharpness(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> float | None:
    """Return the energy of fine detail of a clip divided by that of the true clip; 1: as sharp.

    Fine detail is everything above a quarter of the Nyquist frequency, in any direction: structures
    with a period of fewer than 8 pixels. Frames are continued by their mirror image, so that their
    borders are no edges. Blur gives less than 1; noise counts as detail and gives more. None if the
    truth has no fine detail.
    """
    result, truth = same_clip(result, truth)
    ours, true = (sum(_fine_energy(frame) for frame in clip) for clip in (result, truth))
    return ours / true if true > FLAT * truth.numel() else None


def _fine_energy(
    frame: Tensor,  # (3, H, W)
) -> float:
    """Return the energy of a frame above a quarter of the Nyquist frequency, summed over pixels."""
    mirrored = torch.cat([frame, frame.flip(1)], 1)
    mirrored = torch.cat([mirrored, mirrored.flip(2)], 2)
    H, W = mirrored.shape[1:]
    rows, columns = (
        torch.fft.fftfreq(H, device=frame.device),
        torch.fft.rfftfreq(W, device=frame.device),
    )
    fine = rows[:, None].square() + columns[None].square() > (0.25 * 0.5) ** 2
    weight = torch.full_like(columns, 2.0)  # rfft leaves out the mirrored half of these columns
    weight[0] = weight[-1] = 1.0  # W is even
    power = torch.fft.rfft2(mirrored).abs().square() * (fine * weight)
    return float(power.sum(dtype=torch.float64)) / (4 * H * W)
