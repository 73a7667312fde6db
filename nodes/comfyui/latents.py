"""LATENTs that begin with known frames: made, recognised, and used by samplers."""

import torch
from torch import Tensor

from ...animate_anyone.animate.kept import fade_in
from ...animate_anyone.errors import InputError
from . import convert


def frame_latents(
    samples: Tensor,  # of a LATENT: (f, c, h, w), or (1, c, f, h, w) of other packs' video nodes
    name: str,  # of the socket, for messages
) -> Tensor:  # (f, c, h, w)
    """Return the samples of a LATENT with frames as batch."""
    if samples.ndim == 5 and len(samples) == 1:
        samples = convert.clips_to_rows(samples)
    if samples.ndim != 4 or 0 in samples.shape:
        raise InputError(
            f"{name} got shape {tuple(samples.shape)}; it must be frames, channels, rows, columns, "
            "none of them 0. Connect the latent of Animate, or of a sampler after Apply."
        )
    if not convert.is_finite(samples):
        raise InputError(f"{name} got NaN or infinite values; all must be finite. Sample again.")
    return samples


def continued_latent(
    latent: dict[str, Tensor],  # empty, of the whole clip
    known: Tensor,  # (n, c, h, w), its first frames
) -> dict[str, Tensor]:
    """Return a LATENT that begins with known frames, which its noise mask keeps."""
    samples = latent["samples"].clone()
    samples[: len(known)] = known.to(samples)
    mask = torch.ones_like(samples[:, :1])
    mask[: len(known)] = 0
    return {"samples": samples, "noise_mask": mask}


def held_frames(
    mask: Tensor | None,  # noise mask as samplers get it, (f, c, h, w) or broadcast to that
) -> int:
    """Return how many first frames a noise mask keeps as a whole; 0 if it keeps anything else."""
    if mask is None or mask.ndim != 4:
        return 0
    whole, free = mask.flatten(1).amax(1) == 0, mask.flatten(1).amin(1) == 1
    held = int(whole.sum())
    return held if bool(whole[:held].all()) and bool(free[held:].all()) else 0


def faded_in(
    clean: Tensor,  # (f, c, h, w), a sampler's estimate of the clean latents
    known: Tensor,  # (f, c, h, w), whose first frames are held
    held: int,
) -> Tensor:  # (f, c, h, w)
    """Return the core's `fade_in` of a sampler's rows."""
    return convert.clips_to_rows(
        fade_in(convert.rows_to_clips(clean, 1), convert.rows_to_clips(known, 1), held)
    )


def spread_latent(
    samples: Tensor,  # (f or 1, c, h, w)
    frames: int,
) -> Tensor:  # (frames, c, h, w), or as it was with another count
    """Return the latent of one picture for all frames."""
    return samples.expand(frames, *samples.shape[1:]) if len(samples) == 1 else samples
