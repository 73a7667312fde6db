"""Work of Clean Plate and Change Background: people are painted over, or cut out and set on."""

import logging
from typing import Any

import numpy as np
from torch import Tensor

from ...animate_anyone.animate.plates import clean_plate, figure_in, person_in, set_on
from ...animate_anyone.errors import InputError
from ...animate_anyone.media import fit_frame
from ...animate_anyone.types import PoseClip, Size
from ..comfyui import convert

log = logging.getLogger(__name__)


def filled(
    image: Tensor,  # IMAGE; of a clip the first frame
    keypoints: list[dict[str, Any]] | None,  # POSE_KEYPOINT of the people in it
    mask: Tensor | None,  # or MASK: 1 where they are
) -> Tensor:  # IMAGE of one picture
    """Return a background in which the people are painted over from around them."""
    if (keypoints is None) == (mask is None):
        raise InputError(
            f"keypoints and mask got {'nothing' if mask is None else 'both'}; connect what says "
            "where the person is to one of them."
        )
    picture = _first(image, "image")
    if mask is not None:
        size = Size(picture.shape[1], picture.shape[0])
        figure = convert.mask_to_bytes(mask, "mask", len(image), size)[0]
    else:
        figure = person_in(picture, _people(keypoints), "image")
    plate = clean_plate(picture, figure)
    log.info("Clean Plate: %s.", plate.text())
    return convert.frames_to_image(plate.picture[None])


def on_background(
    image: Tensor,  # IMAGE of the character; only its first picture is used
    keypoints: list[dict[str, Any]],  # POSE_KEYPOINT of the character in it
    background: Tensor,  # IMAGE; of a clip the first frame
) -> Tensor:  # IMAGE of one picture, of the background's size
    """Return the character of a picture, cut out, on another background."""
    behind = _first(background, "background")
    size = Size(behind.shape[1], behind.shape[0])
    picture = fit_frame(_first(image, "image"), size, "pad")
    figure = figure_in(picture, _people(keypoints), "image")
    share = 100 * (figure > 0).mean()
    log.info("Change Background: the character was cut out, %.1f%% of the picture.", share)
    return convert.frames_to_image(set_on(picture, figure, behind)[None])


def _first(image: Tensor, name: str) -> np.ndarray:  # (H, W, 3) uint8
    """Return the first picture of an IMAGE; the log tells if there are more."""
    pictures = next(convert.image_chunks(image[:1], name, 1))
    if len(image) > 1:
        log.info("%s: the first of %d frames is used.", name, len(image))
    return pictures[0]


def _people(keypoints: list[dict[str, Any]] | None) -> PoseClip:
    """Return the people of the first frame; the whole clip is read, since it tells the units."""
    from ...animate_anyone.pose.files.keypoints import parse_keypoints

    return parse_keypoints(keypoints).at(slice(0, 1))
