"""Smoothing of tracks by local fits whose width follows the motion."""

from functools import lru_cache

import numpy as np

# Half widths of the fits, relative to the widest one; each fit is tried after all narrower ones.
_WIDTHS = tuple(2 ** (step / 2) for step in range(-8, 1))
_LEAST_FRAMES = 2.1  # half width of the narrowest fit; with fewer, a parabola meets every point
# A wider fit is used while it differs from narrower ones by no more than noise explains: this
# factor on the variance, and this share of a torso that nobody sees.
_NOISE_FACTOR, _UNSEEN_TORSOS = 1.7, 0.003
_ORDER = 6  # of the differences in time that remove motion and leave noise
_LEAST_NOISE_FRAMES = 12  # for an estimate of a point's own noise
_MOST_NOISE_TORSOS = 0.04  # more is motion that is too fast for the frame rate
_ROUNDING = 1e-9  # relative to the torso; smaller changes are none


def smooth_tracks(
    xy: np.ndarray,  # (f, c, 2), pixels
    state: np.ndarray,  # (f, c), int; 0: no value; a track ends where this changes
    torso: np.ndarray,  # (c,), pixels
    widest: float,  # frames, half width of the widest fit
    patience: float = 1.0,  # above 1, wider fits may differ more from the narrowest one
) -> np.ndarray:  # (f, c, 2)
    """Return tracks smoothed by parabolas that are fitted around each frame.

    Around each frame and for each point the widest fit is used that does not contradict narrower
    ones, as far as the noise of the point tells; a fast motion keeps its course, and if even the
    narrowest fit contradicts the points, they stay as they are.
    """
    result = xy.copy()
    widths = [width * widest for width in _WIDTHS if width * widest >= _LEAST_FRAMES]
    if not widths:
        return result
    noise = _noise(xy, state, torso)
    change = np.concatenate([np.ones((1, state.shape[1]), bool), state[1:] != state[:-1]])
    columns, starts = np.nonzero(change.T & (state.T > 0))
    next_change = np.full(state.shape, len(xy))
    changes = np.where(change, np.arange(len(xy))[:, None], len(xy))
    next_change[:-1] = np.minimum.accumulate(changes[::-1], axis=0)[::-1][1:]
    lengths = next_change[starts, columns] - starts
    for length in np.unique(lengths[lengths > 3]).tolist():
        chosen = lengths == length
        column = columns[chosen]
        rows = starts[chosen] + np.arange(length)[:, None]  # (length, m)
        tracks = xy[rows, column]  # (length, m, 2)
        moves = _moves(tracks - tracks[0], noise[column], torso[column], widths, patience)
        result[rows, column] = tracks + moves
    return result


def _noise(xy: np.ndarray, state: np.ndarray, torso: np.ndarray) -> np.ndarray:  # (c,), pixels
    """Return the standard deviation of each point's noise, per coordinate."""
    least = 0.1 * _UNSEEN_TORSOS * torso
    if len(xy) <= _ORDER:
        return least
    size = np.sqrt(np.square([1, 6, 15, 20, 15, 6, 1]).sum()) * 0.6745  # median of a Gaussian
    steady = state > 0
    for shift in range(1, _ORDER + 1):
        steady = steady[: len(xy) - shift] & (state[shift:] == state[: len(xy) - shift])
    differences = np.abs(np.diff(xy, _ORDER, axis=0))
    count = np.count_nonzero(steady, axis=0)
    enough = count >= _LEAST_NOISE_FRAMES
    values = np.where(steady[..., None], differences, np.nan)[:, enough]
    noise = np.full(len(torso), np.nan)
    if enough.any():
        noise[enough] = np.nanmedian(np.moveaxis(values, 2, 0).reshape(-1, enough.sum()), 0) / size
        typical = np.median(noise[enough] / torso[enough])
        noise = np.where(enough, noise, typical * torso)
    return np.clip(np.fmax(noise, least), None, _MOST_NOISE_TORSOS * torso)


def _moves(
    tracks: np.ndarray,  # (n, m, 2), pixels
    noise: np.ndarray,  # (m,), pixels
    torso: np.ndarray,  # (m,), pixels
    widths: list[float],  # ascending, frames
    patience: float,
) -> np.ndarray:  # (n, m, 2)
    """Return by how much to move each point of tracks of one length."""
    moved = np.zeros_like(tracks)
    narrower = np.zeros_like(tracks)
    allowed = np.ones(tracks.shape[:2], bool)
    level = np.zeros((len(widths), *tracks.shape[:2]))
    fits = []
    for number, width in enumerate(widths):
        fit = _fit(tracks, width) - tracks
        around = max(1, round(width / 2))
        unlike = [(fit, _kernel_size(width), patience if number else 1.0)]
        if number:
            unlike.append((fit - narrower, _kernel_size(width, widths[number - 1]), patience))
        for difference, size, factor in unlike:
            square = _mean_around(np.square(difference).sum(-1), around)
            limit = _NOISE_FACTOR * 2 * size * (factor * noise) ** 2
            allowed = allowed & (square <= limit + (_UNSEEN_TORSOS * torso) ** 2)
        if not allowed.any():
            break
        level[number] = allowed
        fits.append(fit)
        narrower = fit
    # Level k counts where k is the widest fit allowed; the change of width is gradual.
    for number, fit in enumerate(fits):
        wider = level[number + 1] if number + 1 < len(widths) else 0.0
        share = _mean_around(level[number] - wider, 2)
        moved += share[..., None] * fit
    return np.where(np.abs(moved) <= _ROUNDING * torso[:, None], 0.0, moved)


def _mean_around(values: np.ndarray, frames: int) -> np.ndarray:
    """Return the mean over some frames before and after, as many as there are."""
    total = np.concatenate([np.zeros((1, *values.shape[1:])), values.cumsum(0)])
    at = np.arange(len(values))
    low, high = (at - frames).clip(0), (at + frames + 1).clip(max=len(values))
    return (total[high] - total[low]) / (high - low).reshape(-1, *[1] * (values.ndim - 1))


def _fit(tracks: np.ndarray, width: float) -> np.ndarray:  # (n, m, 2)
    """Return the values of parabolas that are fitted around each frame; near frames weigh more."""
    from scipy.ndimage import correlate1d

    reach = int(np.ceil(width)) - 1
    if len(tracks) <= 2 * reach + 1:
        return np.tensordot(_hat(len(tracks), width), tracks, axes=1)
    ends = _hat(2 * reach + 1, width)
    result = correlate1d(tracks, ends[reach], axis=0, mode="nearest")
    result[:reach] = np.tensordot(ends[:reach], tracks[: 2 * reach + 1], axes=1)
    result[-reach:] = np.tensordot(ends[-reach:], tracks[-2 * reach - 1 :], axes=1)
    return result


@lru_cache(maxsize=256)
def _hat(frames: int, width: float) -> np.ndarray:  # (frames, frames)
    """Return the matrix of local fits: row t has the weights of all frames in the fit at t."""
    at = np.arange(frames, dtype=float)
    hat = np.zeros((frames, frames))
    for row in range(frames):
        offset = (at - row) / width
        weight = np.clip(1 - np.abs(offset) ** 3, 0, None) ** 3
        powers = np.stack([np.ones(frames), offset, offset**2])
        hat[row] = np.linalg.lstsq((powers * weight) @ powers.T, powers * weight, rcond=None)[0][0]
    hat.setflags(write=False)
    return hat


@lru_cache(maxsize=256)
def _kernel_size(width: float, other: float | None = None) -> float:
    """Return the variance of the difference of two fits, or of a fit and the points."""
    reach = int(np.ceil(width)) - 1
    frames = 2 * reach + 1
    kernel = _hat(frames, width)[reach].copy()
    if other is None:
        kernel[reach] -= 1
    else:
        inner = int(np.ceil(other)) - 1
        kernel[reach - inner : reach + inner + 1] -= _hat(2 * inner + 1, other)[inner]
    return float(np.square(kernel).sum())
