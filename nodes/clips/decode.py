"""Decoding latents to frames, a few at a time, and frames to a video file."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from comfy_api.input import VideoInput
from comfy_api.input_impl import VideoFromFile
from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.types import Size
from ..comfyui import convert, folders, host, looks
from ..comfyui.room import require_room_to_decode

CHUNK_FRAMES = 8
FORMATS = ["mp4", "webm", "mov"]
TRANSPARENT = ("webm", "mov")  # formats that can hold alpha


def decode_frames(
    latent: dict[str, Tensor], vae: host.Vae, chunk: int, skip: int = 0
) -> Tensor:  # IMAGE
    """Return all decoded frames; at most `chunk` of them are decoded together."""
    require_room_to_decode(vae, shown_samples(latent, vae, skip), together=True)
    return convert.join(list(decode_chunks(latent, vae, chunk, skip)))


def decode_chunks(
    latent: dict[str, Tensor],
    vae: host.Vae,
    chunk: int,
    skip: int = 0,  # first frames that are left out
) -> Iterator[Tensor]:
    """Yield the decoded frames as IMAGEs of at most `chunk` frames; reports progress."""
    samples = shown_samples(latent, vae, skip)
    report, done = host.progress(len(samples)), 0
    for part in samples.split(chunk):
        yield looks.decode(vae, part)
        done += len(part)
        report(done, len(samples))


def shown_samples(
    latent: dict[str, Tensor], vae: host.Vae, skip: int
) -> Tensor:  # (f - skip, c, h, w)
    """Return the samples of a LATENT without its first frames."""
    samples = checked_samples(latent, vae)
    if skip >= len(samples):
        raise InputError(
            f"skip got {skip}, but latent has {len(samples)} frames; one or more must be left. "
            "Connect held of Continue, or set skip to 0."
        )
    return samples[skip:]


def checked_samples(latent: dict[str, Tensor], vae: host.Vae) -> Tensor:  # (f, c, h, w)
    """Return the samples of a LATENT; InputError unless they are frames that this VAE decodes."""
    samples = latent["samples"]
    if samples.ndim != 4 or 0 in samples.shape:
        raise InputError(
            f"latent got shape {tuple(samples.shape)}; it must be frames, channels, rows, columns, "
            "none of them 0. Connect the latent of Animate, or of a sampler after Apply."
        )
    wanted = getattr(vae, "latent_channels", samples.shape[1])  # other packs' VAEs may not tell
    if samples.shape[1] != wanted:
        raise InputError(
            f"latent got {samples.shape[1]} channels; the VAE decodes {wanted}. "
            "Connect the VAE that belongs to the weights."
        )
    if not convert.is_finite(samples):
        raise InputError(
            "latent got NaN or infinite values; all must be finite. Sample again, with other "
            "settings, or with the models loaded as bf16 or fp32."
        )
    return samples


def decode_video(
    latent: dict[str, Tensor],
    vae: host.Vae,
    *,
    fps: float,  # frames per second; a driving clip's own speed takes precedence
    prefix: str,  # of the file in the output folder
    chunk: int,
    driving: VideoInput | None,  # its speed and sound are used
    suffix: str = "mp4",  # one of FORMATS
    mask: Tensor | None = None,  # MASK; the clip is transparent where it is black
    skip: int = 0,  # first frames of the latent that are left out
) -> tuple[Path, str]:
    """Write the video into the output folder; return the file and its subfolder there.

    No more than `chunk` decoded frames are in memory. An unfinished file is removed.
    """
    from ...animate_anyone.media import VideoWriter, clip_info, with_alpha

    if mask is not None and suffix not in TRANSPARENT:
        raise InputError(
            f"foreground_mask got a mask, but format is {suffix}, which holds no transparency. "
            "Set format to webm or mov, or disconnect the mask."
        )
    samples = shown_samples(latent, vae, skip)
    require_room_to_decode(vae, samples, together=False)
    rows, columns = samples.shape[2:]
    size = Size(8 * columns, 8 * rows)
    path, subfolder = folders.output_path(prefix, f".{suffix}", size.width, size.height)
    count, done = len(samples), 0
    alpha = None if mask is None else convert.mask_to_bytes(mask, "foreground_mask", count, size)
    with video_file(driving) as source:
        rate = (source and clip_info(source).fps) or Fraction(fps).limit_denominator(1001)
        more = {"audio_from": source, "alpha": alpha is not None, "expected": count}
        with VideoWriter(path, size, rate, **more) as writer:
            for image in decode_chunks(latent, vae, chunk, skip):
                frames = convert.image_to_bytes(image)
                if alpha is not None:
                    part = alpha if len(alpha) == 1 else alpha[done : done + len(frames)]
                    frames = with_alpha(frames, part)
                writer.write(frames)
                done += len(frames)
    return path, subfolder


@contextmanager
def video_file(video: VideoInput | None) -> Iterator[Path | None]:
    """Yield the file of a VIDEO; for one that is in memory or trimmed, a temporary copy."""
    if video is None:
        yield None
        return
    source = _own_file(video)
    if source is not None:
        yield source
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "driving.mp4"
        video.save_to(str(path))
        yield path


def _own_file(video: VideoInput) -> Path | None:
    """Return the file of a VIDEO, or None if it is in memory or only a part of a file."""
    if not isinstance(video, VideoFromFile):
        return None
    source = video.get_stream_source()
    start, duration = getattr(video, "get_active_trim_window", lambda: (0, 0))()
    return None if start or duration or not isinstance(source, str) else Path(source)
