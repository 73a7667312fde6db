"""Work of the Pose Mask node: masks of the people in keypoints or in drawn poses."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.pose.drawing.hull import PoseMask
from ...animate_anyone.types import Size
from ..comfyui import convert
from ..comfyui.room import FLOAT_BYTES, require_room_for_images
from ..models.encode import fitting_size

log = logging.getLogger(__name__)

CHUNK_FRAMES = 8


def pose_masks(
    keypoints: list[dict[str, Any]] | None,  # POSE_KEYPOINT
    image: Tensor | None,  # or IMAGE, skeletons on black
    size: Size,  # pixels; a side of 0 follows the poses
    shape: PoseMask,
) -> tuple[Tensor, Tensor]:  # MASK of that size; MASK of the latents' size
    """Return the masks of all frames, and which places of the latents are sampled for them."""
    if (keypoints is None) == (image is None):
        raise InputError(
            f"keypoints and image got {'nothing' if image is None else 'both'}; connect the poses "
            "to one of them."
        )
    found = _of_drawings(image, size, shape) if image is not None else None
    masks = np.stack(list(found or _of_keypoints(keypoints or [], size, shape)))
    empty = int((masks.max((1, 2)) == 0).sum())
    full = int((masks.min((1, 2)) > 0).sum())
    for count, word in ((empty, "empty"), (full, "full")):
        if count:
            log.warning("Pose Mask: %d of %d masks are %s.", count, len(masks), word)
    return convert.bytes_to_mask(masks), convert.cells_mask(masks)


def _of_keypoints(
    keypoints: list[dict[str, Any]], size: Size, shape: PoseMask
) -> Iterator[np.ndarray]:
    from ...animate_anyone.pose.files.keypoints import parse_keypoints

    clip = parse_keypoints(keypoints)
    size = fitting_size(size, clip.canvas)
    require_room_for_images("Pose Mask", size, len(clip), 1 + FLOAT_BYTES)
    for frame in range(len(clip)):
        yield shape.of_frame(clip, frame, size)


def _of_drawings(image: Tensor, size: Size, shape: PoseMask) -> Iterator[np.ndarray]:
    from ...animate_anyone.media import fit_drawing

    size = fitting_size(size, convert.image_size(image))
    for chunk in convert.image_chunks(image, "image", CHUNK_FRAMES, "black"):
        for picture in chunk:
            yield shape.of_drawing(fit_drawing(picture, size))
