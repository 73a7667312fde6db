"""Work of the Keep Background node: what stays is put back after decoding."""

import logging

from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.media import fit_picture
from ...animate_anyone.types import Size
from ..comfyui import convert

log = logging.getLogger(__name__)


def kept(
    image: Tensor,  # IMAGE, the result
    background: Tensor,  # IMAGE, one picture or one per frame
    mask: Tensor,  # MASK, one or one per frame: 1 where the result stays
) -> Tensor:  # IMAGE
    """Return the background with the result where the mask is."""
    frames, size = convert.image_to_frames(image, "image"), convert.image_size(image)
    mask = convert.checked_mask(mask, "mask", len(frames), size)
    behind = convert.image_to_frames(background, "background")
    if len(behind) not in (1, len(frames)):
        raise InputError(
            f"background got {len(behind)} frames and image {len(frames)}; each frame needs its "
            "own, or one picture for all. Cut the longer one with ImageFromBatch."
        )
    own = Size(behind.shape[3], behind.shape[2])
    if own != size:
        sides = (own.width, own.height, size.width, size.height)
        log.info("Keep Background: a background of %dx%d pixels is fitted to %dx%d.", *sides)
        behind = fit_picture(behind, size)
    _tell(mask)
    shown = (convert.frames_to_image(frames), convert.frames_to_image(behind))
    return convert.composite(*shown, mask)


def _tell(mask: Tensor) -> None:
    """Log how many masks are empty or full."""
    empty, full = convert.empty_and_full(mask)
    for count, word, result in ((empty, "empty", "image"), (full, "full", "background")):
        if count:
            log.warning(
                "Keep Background: %d of %d masks are %s; nothing of %s is seen there.",
                *(count, len(mask), word, result),
            )
