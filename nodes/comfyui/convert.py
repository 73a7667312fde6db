"""Conversion between ComfyUI's tensors and core values; the only file that knows channels-last.

IMAGE is (f, H, W, c) in 0..1. LATENT and everything inside a sampler is (b*f, c, h, w), with the
clips of a guidance pair one after the other.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image as PictureFile
from torch import Tensor, nn

from ...animate_anyone.animate.keeping import sampled_cells
from ...animate_anyone.errors import InputError
from ...animate_anyone.media import fitting
from ...animate_anyone.media.pictures import Background
from ...animate_anyone.types import Size

log = logging.getLogger(__name__)

_MOST_BRIGHT = 2.0  # filters overshoot 1 a little; more are numbers of another range


def image_to_frames(
    image: Tensor,  # (f, H, W, 1, 3 or 4)
    name: str,  # of the socket, for messages
    background: Background = "white",  # behind transparent parts; black for drawn skeletons
) -> Tensor:  # (f, 3, H, W), float32, 0..1
    """Return an IMAGE as RGB frames; transparent parts are filled, grey fills all channels."""
    frames = _rgb(image, name, background).movedim(-1, 1)
    return frames.clone(memory_format=torch.contiguous_format)


def _rgb(
    image: Tensor,  # (f, H, W, 1, 3 or 4)
    name: str,
    background: Background,
) -> Tensor:  # (f, H, W, 3), float32, 0..1
    """Return an IMAGE with three channels, which may share its memory; InputError if it is none.

    One pass over the pixels finds NaN, infinity and other ranges; they are copied only to be cut.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise InputError(
            f"{name} got a picture of shape {tuple(image.shape)}; an IMAGE has frames, rows, "
            "columns and 1, 3 or 4 channels, none of them empty. Connect a Load Image node."
        )
    if not image.is_floating_point():
        raise InputError(
            f"{name} got pixels of {image.dtype}; an IMAGE holds numbers in 0..1. Divide whole "
            "numbers by 255 first."
        )
    image = image.float()
    least, most = map(float, torch.aminmax(image))
    if not math.isfinite(least + most):
        raise InputError(f"{name} got NaN or infinite pixels; they must lie in 0..1.")
    _tell_range(most, name, "pixels", "an IMAGE")
    if image.shape[-1] == 4:
        log.info("%s: transparent parts become %s.", name, background)
        ground = 1.0 if background == "white" else 0.0
        image = image[..., :3] * image[..., 3:] + ground * (1 - image[..., 3:])
    elif 0 <= least <= most <= 1:
        return image.expand(*image.shape[:3], 3)
    return image.expand(*image.shape[:3], 3).clamp(0, 1)


def _tell_range(most: float, name: str, what: str, kind: str) -> None:
    """Log values of another range than 0..1, such as 0..255, before they are cut."""
    if most > _MOST_BRIGHT:
        log.warning("%s: %s up to %.3g; %s lies in 0..1, the rest is cut.", name, what, most, kind)


def with_mask(
    image: Tensor,  # IMAGE (f, H, W, c)
    mask: Tensor | None,  # MASK (f or 1, H, W) of Load Image: 1 where the picture is transparent
    name: str,  # of the socket, for messages
) -> Tensor:  # IMAGE with 4 channels, or as it was
    """Return an IMAGE whose transparency is a MASK beside it.

    Load Image gives a small empty mask for a picture without transparency; it changes nothing.
    """
    if mask is None or not mask.any():
        return image
    mask = mask[None] if mask.ndim == 2 else mask
    if mask.shape[1:] != image.shape[1:3] or len(mask) not in (1, len(image)):
        raise InputError(
            f"mask got {len(mask)} of {mask.shape[-1]}x{mask.shape[-2]}, but {name} has "
            f"{len(image)} of {image.shape[2]}x{image.shape[1]}; they must have the same size. "
            "Connect both from the same Load Image node."
        )
    _tell_range(float(mask.amax()), "mask", "values", "a MASK")
    shown = (1 - mask.to(image)).clamp(0, 1)[..., None].expand(*image.shape[:3], 1)
    if image.shape[-1] == 4:
        shown = torch.minimum(shown, image[..., 3:])
    return torch.cat([image[..., :3].expand(*image.shape[:3], 3), shown], dim=-1)


def frames_to_image(
    frames: Tensor | np.ndarray,  # (f, 3, H, W) 0..1, or (f, H, W, 3) uint8
) -> Tensor:  # (f, H, W, 3), float32, 0..1
    """Return frames as an IMAGE."""
    if isinstance(frames, np.ndarray):
        return torch.from_numpy(frames).float().div_(255)
    return frames.float().movedim(1, -1).contiguous()


def image_to_bytes(
    image: Tensor,  # (f, H, W, 3), 0..1
) -> np.ndarray:  # (f, H, W, 3), uint8
    """Return an IMAGE as 8-bit pictures, for example for a video encoder."""
    return image.float().clamp(0, 1).mul_(255).round_().to("cpu", torch.uint8).numpy()


def _levels(
    values: Tensor,  # 0..1; they stay as they are
) -> np.ndarray:  # uint8
    return values.mul(255).round_().to("cpu", torch.uint8).numpy()


def mask_to_bytes(
    mask: Tensor,  # MASK: (f or 1, H, W) or (H, W), 0..1
    name: str,  # of the socket, for messages
    frames: int,  # of the clip that it belongs to
    size: Size,  # of that clip
) -> np.ndarray:  # (f or 1, H, W), uint8
    """Return a MASK as alpha, 255 where it is white; InputError if it does not fit the clip."""
    mask = checked_mask(mask, name, frames, size)
    return _levels(mask.float().clamp(0, 1))


def checked_mask(
    mask: Tensor,  # MASK: (f or 1, H, W) or (H, W), 0..1
    name: str,  # of the socket, for messages
    frames: int,  # of the clip that it belongs to
    size: Size,  # of that clip
) -> Tensor:  # (f or 1, H, W)
    """Return a MASK; InputError if it does not fit the clip."""
    mask = mask[None] if mask.ndim == 2 else mask
    wanted = (size.height, size.width)
    if mask.ndim != 3 or mask.shape[1:] != wanted or len(mask) not in (1, frames):
        raise InputError(
            f"{name} got shape {tuple(mask.shape)}; the clip needs ({frames} or 1, {wanted[0]}, "
            f"{wanted[1]}): frames, rows, columns. Make it from the frames of Decode Frames."
        )
    if not is_finite(mask):
        raise InputError(f"{name} got NaN or infinite values; they must lie in 0..1.")
    _tell_range(float(mask.amax()), name, "values", "a MASK")
    return mask.clamp(0, 1)


def checked_noise_mask(
    mask: Tensor,  # of a LATENT: (f or 1, 1, h, w), (f or 1, h, w) or (h, w), of any size
    frames: int,  # of the clip
) -> Tensor:  # (f or 1, 1, h, w), 0..1, floating
    """Return the noise mask of a LATENT; InputError if it is not one of this clip."""
    if mask.ndim < 2 or 0 in mask.shape:
        raise InputError(
            f"noise mask got shape {tuple(mask.shape)}; it has frames, rows and columns, none of "
            "them empty. Make it with Set Latent Noise Mask."
        )
    mask = mask.reshape(-1, 1, *mask.shape[-2:])
    if len(mask) not in (1, frames):
        raise InputError(
            f"noise mask got {len(mask)} masks for {frames} frames; give one for each, or one for "
            "all. Make it from the same poses."
        )
    mask = mask if mask.is_floating_point() else mask.float()
    if not is_finite(mask):
        raise InputError("noise mask got NaN or infinite values; they must lie in 0..1.")
    _tell_range(float(mask.amax()), "noise mask", "values", "a MASK")
    return mask.clamp(0, 1)


def empty_and_full(mask: Tensor) -> tuple[int, int]:
    """Return how many frames of a MASK are 0 everywhere, and how many are above 0 everywhere."""
    flat = mask.flatten(1)
    return int((flat.amax(1) == 0).sum()), int((flat.amin(1) > 0).sum())


def image_size(image: Tensor) -> Size:
    """Return the size of an IMAGE in pixels."""
    return Size(image.shape[2], image.shape[1])


def image_chunks(
    image: Tensor,  # IMAGE
    name: str,  # of the socket, for messages
    frames: int,  # in a chunk
    background: Background = "white",  # as in image_to_frames
) -> Iterator[np.ndarray]:  # (f', H, W, 3), uint8
    """Yield an IMAGE as 8-bit pictures, `frames` at a time."""
    _rgb(image[:1], name, background)  # refuses a shape that cannot be split
    for part in image.split(frames):
        yield _levels(_rgb(part, name, background))


def save_picture(
    image: Tensor,  # IMAGE; only its first picture is written
    name: str,  # of the socket, for messages
    path: Path,
    longest: int,  # pixels of the longer side; a smaller picture keeps its size
) -> None:
    """Write a picture file that the page can show."""
    pixels = next(image_chunks(image[:1], name, 1))[0]
    picture = PictureFile.fromarray(pixels)
    picture.thumbnail((longest, longest))
    picture.save(path, quality=85)


def as_tensor(pictures: np.ndarray) -> Tensor:
    """Return a tensor that shares the memory of an array."""
    return torch.from_numpy(pictures)


def bytes_to_frames(
    pictures: Tensor,  # (f, H, W, 3), uint8
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:  # (f, 3, H, W), 0..1
    """Return 8-bit pictures as input for a network."""
    return pictures.to(device).movedim(-1, 1).to(dtype).div_(255)


def rows_to_clips(
    rows: Tensor,  # (b*f, c, h, w)
    clips: int,  # b
) -> Tensor:  # (b, c, f, h, w)
    """Return the sampler's rows, one per frame, as clips for the networks."""
    return rearrange(rows, "(b f) c h w -> b c f h w", b=clips)


def clips_to_rows(
    clips: Tensor,  # (b, c, f, h, w)
) -> Tensor:  # (b*f, c, h, w)
    """Return clips as the sampler's rows, one per frame."""
    return rearrange(clips, "b c f h w -> (b f) c h w")


def first_frames(
    values: Tensor,  # (b*f, ...)
    clips: int,  # b
) -> Tensor:  # (b, ...)
    """Return one value per clip of values that the host has repeated for every frame."""
    return rearrange(values, "(b f) ... -> b f ...", b=clips)[:, 0]


def to_denoiser_scale(latents: Tensor, latent_scale: float) -> Tensor:
    """Return a VAE's latents in the denoiser's scale."""
    return latents * latent_scale


def to_vae_scale(latents: Tensor, latent_scale: float) -> Tensor:
    """Return the denoiser's latents in the VAE's scale."""
    return latents / latent_scale


def take_frames(values: Tensor, frames: Sequence[int]) -> Tensor:
    """Return the entries with these indices along the first dimension."""
    return values[list(frames)]


def crop(
    values: Tensor,  # (..., h, w)
    area: tuple[int, int, int, int] | None,  # height, width, top, left; None is everything
) -> Tensor:
    """Return the part of a map that a conditioning area covers."""
    if area is None:
        return values
    height, width, top, left = area
    return values[..., top : top + height, left : left + width]


def nearest_step(
    sigmas: Tensor,  # (steps + 1,), falling
    sigma: Tensor,  # (f,), the noise level of this call
) -> int:
    """Return the number of the sampling step that a noise level belongs to."""
    return int((sigmas.to(sigma) - sigma.flatten()[0]).abs().argmin())


def step_at(
    sigmas: Tensor,  # (steps + 1,), falling
    sigma: Tensor,  # (f,), the noise level of this call
) -> int:
    """Return the number of the step that a noise level lies in: from its own down to the next."""
    level = sigma.flatten()[0]
    # The host computes levels from timesteps and back, which changes their last digits.
    return int((sigmas[1:-1].to(level) >= level * (1 - 1e-4)).sum())


def noise_to_rows(
    noise: Tensor,  # (1, c, f, h, w)
    like: Tensor,  # (f, c, h, w), the latent it is for
) -> Tensor:  # (f, c, h, w)
    """Return a clip's noise as the sampler's rows, in the dtype of the latent."""
    return clips_to_rows(noise).to(like.dtype)


def empty_latent(
    frames: int,
    channels: int,
    size: Size,
    device: torch.device,
) -> dict[str, Tensor]:
    """Return a LATENT of zeros for a video of this size."""
    shape = (frames, channels, -(-size.height // 8), -(-size.width // 8))
    return {"samples": torch.zeros(shape, device=device)}


def bytes_to_mask(
    masks: np.ndarray,  # (f, H, W), uint8
) -> Tensor:  # MASK
    """Return 8-bit masks as a MASK."""
    return torch.from_numpy(masks).float().div_(255)


def cells_mask(
    masks: np.ndarray,  # (f, H, W), uint8, both multiples of 8
) -> Tensor:  # MASK of the latents' size: 1 where they are sampled
    """Return which places of the latents are sampled for what masks cover."""
    return sampled_cells(masks)[0, 0].float()


def composite(
    image: Tensor,  # IMAGE (f, H, W, 3)
    background: Tensor,  # IMAGE (f or 1, H, W, 3)
    mask: Tensor,  # MASK (f or 1, H, W)
) -> Tensor:  # IMAGE
    """Return the background with the image where the mask is; exactly so where the mask is 0."""
    share = mask[..., None].to(image)
    mixed = share * image + (1 - share) * background.to(image)
    return torch.where(share > 0, mixed, background.to(image))


def root_mean_square(values: Tensor) -> float:
    """Return the root mean square of all values."""
    return float(values.detach().float().square().mean().sqrt())


def is_finite(values: Tensor) -> bool:
    """Return whether no value is NaN or infinite."""
    return bool(torch.isfinite(values).all())


def overwrite(target: Tensor, values: Tensor) -> None:
    """Copy values into an existing tensor, in place."""
    with torch.no_grad():
        target.copy_(values)


def taesd_keys(weights: Mapping[str, Tensor], latent_scale: float) -> dict[str, Tensor]:
    """Return the tensors of a diffusers AutoencoderTiny under the names that the host uses.

    The host counts the decoder's clamp as its first layer. A tiny autoencoder's latents are already
    in the denoiser's scale, other VAEs' latents are not; `vae_scale` corrects for that.
    """
    renamed = {}
    for key, value in weights.items():
        part, _, number, *rest = key.split(".")
        shift = 1 if part == "decoder" else 0
        renamed[".".join([f"taesd_{part}", str(int(number) + shift), *rest])] = value.float()
    return renamed | {"vae_scale": torch.tensor(latent_scale), "vae_shift": torch.tensor(0.0)}


def join(parts: Sequence[Tensor]) -> Tensor:
    """Return the parts of a clip joined along the frames."""
    return torch.cat(list(parts))


def side_by_side(
    parts: Sequence[Tensor],  # (f or 1, 3, H, W), all with the same height
) -> Tensor:  # IMAGE
    """Return clips next to each other, from left to right; a single picture is repeated."""
    frames = max(map(len, parts))
    columns = [part.expand(frames, *part.shape[1:]) for part in parts]
    return frames_to_image(torch.cat(columns, dim=-1))


def pad_to_even(
    frames: Tensor,  # (f, 3, H, W)
) -> Tensor:  # (f, 3, H, W), both even
    """Return frames whose odd sides are padded by repeating the last row or column.

    Video encoders need even sides.
    """
    odd = (0, frames.shape[-1] % 2, 0, frames.shape[-2] % 2)
    return nn.functional.pad(frames, odd, mode="replicate") if any(odd) else frames


def squash(
    picture: Tensor,  # (1, 3, H, W), 0..1
    side: int,  # pixels
) -> Tensor:  # IMAGE (1, side, side, 3)
    """Return a picture squashed to a square, by the same method as in the core."""
    return frames_to_image(fitting.squash(image_to_bytes(frames_to_image(picture)), side))
