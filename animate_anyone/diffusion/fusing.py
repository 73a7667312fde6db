"""Combine the predictions of single windows into one prediction of the whole clip."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from ..errors import InputError
from .windows import Window

WindowModel = Callable[[Tensor, Sequence[Window]], Tensor]


def fuse_windows(
    predictions: Iterable[Tensor],  # one per window: (b, c, len(window), h, w)
    windows: Sequence[Window],  # together they cover 0..total-1
    total: int,  # frames of the clip
    *,
    dim: int = 2,  # the dimension of the frames
) -> Tensor:  # (b, c, total, h, w)
    """Average overlapping predictions with the windows' weights.

    Predictions are added one at a time; with a generator they are never all in memory. Sums are
    computed in float32 or wider.
    """
    fused: Tensor | None = None
    for prediction, window in zip(predictions, windows, strict=True):
        if prediction.shape[dim] != len(window):
            raise InputError(
                f"prediction got {prediction.shape[dim]} frames for a window of {len(window)}; "
                f"the two must agree."
            )
        dtype, wide = prediction.dtype, torch.promote_types(prediction.dtype, torch.float32)
        if fused is None:
            shape = list(prediction.shape)
            shape[dim] = total
            fused = prediction.new_zeros(shape, dtype=wide)
        weights = _values_along(prediction, window.weights, dim)
        index = torch.tensor(window.frames, device=prediction.device)
        fused.index_add_(dim, index, prediction.to(wide) * weights)
    if fused is None:
        raise InputError("windows got no window; a clip needs one window or more.")
    fused /= _values_along(fused, _weight_sums(windows, total), dim)
    return fused.to(dtype)


def predict_in_windows(
    model: WindowModel,  # ((k*b, c, n, h, w), k windows) -> (k*b, c, n, h, w)
    latents: Tensor,  # (b, c, f, h, w)
    windows: Sequence[Window],
    *,
    windows_per_call: int = 1,  # higher values use the device better and need more memory
) -> Tensor:  # (b, c, f, h, w)
    """Return the model's prediction of a whole clip, fused from predictions of its windows.

    The windows of a call are concatenated along the batch. If batch rows do not influence each
    other in the model, `windows_per_call` changes only the speed.
    """
    if windows_per_call < 1:
        raise InputError(f"windows_per_call got {windows_per_call}; it must be 1 or more.")
    parts = _predictions(model, latents, windows, windows_per_call)
    return fuse_windows(parts, windows, latents.shape[2])


def _predictions(
    model: WindowModel, latents: Tensor, windows: Sequence[Window], per_call: int
) -> Iterator[Tensor]:
    waiting = iter(windows)
    while group := list(islice(waiting, per_call)):
        if len({len(window) for window in group}) > 1:
            raise InputError(
                "windows_per_call got windows of different lengths in one call; "
                "choose windows_per_call 1."
            )
        batch = torch.cat([latents[:, :, list(window.frames)] for window in group])
        yield from model(batch, group).chunk(len(group))


def _weight_sums(windows: Sequence[Window], total: int) -> list[float]:
    """Return the sum of the windows' weights at each frame."""
    sums = [0.0] * total
    for window in windows:
        for frame, weight in zip(window.frames, window.weights, strict=True):
            sums[frame] += weight
    if min(sums) <= 0:
        raise InputError(
            f"windows got no window over frame {sums.index(min(sums))} of {total}; "
            f"plan them for the clip's own length."
        )
    return sums


def _values_along(like: Tensor, values: Sequence[float], dim: int) -> Tensor:
    """Return the values as a tensor that broadcasts against `like` along one dimension."""
    shape = [1] * like.ndim
    shape[dim] = len(values)
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.tensor(values, device=like.device, dtype=dtype).reshape(shape)
