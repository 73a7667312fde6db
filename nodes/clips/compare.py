"""Work of the Compare node: put clips side by side and write the video that the page plays."""

from typing import Any

from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.media import VideoWriter, fit_picture
from ...animate_anyone.types import Size
from ..comfyui import convert, folders

CRF = 10  # finer than for a result: the difference view shows the encoder's own error
CHUNK_FRAMES = 32


def fit_parts(
    result: Tensor,  # IMAGE
    *,
    other: Tensor | None,  # IMAGE
    reference: Tensor | None,  # IMAGE
) -> dict[str, Tensor]:  # (f or 1, 3, H, W) of one even height and even widths
    """Return the parts to show, by title, in order from left to right."""
    made = convert.pad_to_even(convert.image_to_frames(result, "result"))
    parts = {}
    for title, image in (("reference", reference), ("other", other)):
        if image is None:
            continue
        if len(image) not in (1, len(made)):
            raise InputError(
                f"{title} got {len(image)} frames and result {len(made)}; each frame needs its "
                "counterpart, or one picture for all. Cut the longer one with ImageFromBatch."
            )
        frames = convert.image_to_frames(image, title)
        parts[title] = fit_picture(frames, _part_size(frames, made, own_width=title != "other"))
    return parts | {"result": made}


def _part_size(frames: Tensor, made: Tensor, *, own_width: bool) -> Size:
    """Return the result's size, or its height with the width that keeps the frames' own shape."""
    height, width = made.shape[-2:]
    if own_width:
        width = max(2, 2 * round(frames.shape[-1] * height / frames.shape[-2] / 2))
    return Size(width, height)


def write_video(
    image: Tensor,  # IMAGE, the parts side by side
    parts: dict[str, Tensor],
    fps: float,
) -> dict[str, Any]:
    """Write the video that the page plays; return its name and the position of each part in it."""
    path, shown = folders.temporary_path("compare.mp4")
    with VideoWriter(path, convert.image_size(image), fps, crf=CRF) as writer:
        for chunk in convert.image_chunks(image, "result", CHUNK_FRAMES):
            writer.write(chunk)
    placed, left = [], 0
    for title, part in parts.items():
        placed.append({"title": title, "left": left, "width": part.shape[-1]})
        left += part.shape[-1]
    size = {"width": left, "height": image.shape[1]}
    return {**shown, **size, "parts": placed, "fps": fps, "frames": len(image)}
