"""What a data set will take on the disk, told before the work begins."""

import io
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError, MediaError
from ..media import clip_info, frames_of
from ..media.fitting import fit_frame
from .clip import write_frame
from .find import Found
from .settings import PrepareConfig

logger = logging.getLogger(__name__)

LOOKED_AT = 24  # clips that are opened for the estimate, at most
_LATENT, _TOKEN = 8, 1536  # bytes: four numbers of a latent; an image token of 768 numbers
_KEYPOINTS = 134 * 3 * 4  # bytes of a frame's keypoints


@dataclass(frozen=True, kw_only=True)
class Space:
    """An estimate from some clips."""

    clips: int  # that are to be prepared
    looked_at: int  # of them, evenly spread; those that cannot be read are left out
    frames: int  # of all
    bytes: int  # of all, if all frames are usable


def estimate_space(pending: Sequence[Found], config: PrepareConfig) -> Space | None:
    """Return what clips will take, by the length of some and the size of a picture of each.

    None if none of those that were looked at can be read.
    """
    step = max(1, len(pending) // LOOKED_AT)
    frames: list[int] = []
    pictures: list[int] = []
    for found in pending[::step][:LOOKED_AT]:
        try:
            info = clip_info(found.path)
            written = _written(next(iter(frames_of(info))), config)
        except (InputError, MediaError, OSError, StopIteration):
            continue  # it will be reported when it is prepared
        frames.append(info.frames)
        pictures.append(written)
    if not frames:
        return None
    per_frame = float(np.average(pictures, weights=frames)) + _KEYPOINTS
    latents = config.size.width * config.size.height // 64 * _LATENT
    per_frame += latents * ("latents" in config.cached) + _TOKEN * ("tokens" in config.cached)
    total = len(pending) * float(np.mean(frames))
    return Space(
        clips=len(pending),
        looked_at=len(frames),
        frames=round(total),
        bytes=round(total * per_frame),
    )


def tell_space(
    out: Path,  # an existing folder
    pending: Sequence[Found],
    config: PrepareConfig,
) -> None:
    """Log what the clips will take on the disk of a folder; warn if that is more than there is."""
    space = estimate_space(pending, config) if pending else None
    if space is None:
        return
    free = shutil.disk_usage(out).free
    enough = space.bytes <= free
    logger.log(
        logging.INFO if enough else logging.WARNING,
        "%s: %d clips of about %d frames will take up to %.2f GB (estimated from %d of them), "
        "%.2f GB are free%s",
        *(out, space.clips, space.frames, space.bytes / 1e9, space.looked_at, free / 1e9),
        ""
        if enough
        else ". That is not enough: free some space, or choose a smaller --size, or --pictures jpg",
    )


def _written(frame: np.ndarray, config: PrepareConfig) -> int:
    """Return the bytes of a frame as it will be stored."""
    file = io.BytesIO()
    write_frame(Image.fromarray(fit_frame(frame, config.size, config.fit)), file, config.pictures)
    return file.tell()
