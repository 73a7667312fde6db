"""Work of the Retarget Pose node: the core's retargeting, a preview, and the pose stage."""

from typing import TYPE_CHECKING, Any

import numpy as np
from comfy_api.latest import ui
from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.types import PoseClip, Size
from ..comfyui import convert
from ..page.pose_stage import corrected, stage_ui

if TYPE_CHECKING:
    from ...animate_anyone.pose.files.keypoints import Reading

PREVIEW_FRAMES = 48
PREVIEW_PX = 512  # longer side of the preview


def fit_to_reference(
    keypoints: Any,  # POSE_KEYPOINT
    reference: Any,  # POSE_KEYPOINT
    image: Tensor | None,  # IMAGE, for the preview
    options: dict[str, Any],  # fields of RetargetConfig
    corrections: str | None = None,  # made by hand on the pose stage
) -> tuple[list[dict[str, Any]], str, Tensor, dict[str, Any]]:
    """Return POSE_KEYPOINT, report, an IMAGE of both skeletons and the result, and the `ui`."""
    from ...animate_anyone.pose.files.keypoints import to_keypoints
    from ...animate_anyone.pose.retarget.retarget import RetargetConfig, retarget

    motion, pose = _named("keypoints", keypoints), _named("reference", reference)
    driver, target = motion.clip, pose.clip
    fitted, report = retarget(driver, target, RetargetConfig(**options))
    result, notes = corrected(fitted, corrections)
    notes = (*motion.lines("keypoints"), *pose.lines("reference"), *notes)
    text = "\n".join((report.text(), *notes))
    shown = {"driver": driver, "reference": target, "report": report.data(), "notes": notes}
    shown["corrections"] = corrections or ""
    answer = ui.PreviewText(text).as_dict() | stage_ui(fitted, image, **shown)
    return to_keypoints(result), text, _preview([driver, result, target], image), answer


def _named(name: str, keypoints: Any) -> "Reading":
    """Return POSE_KEYPOINT as a clip with notes; error messages name its socket."""
    from ...animate_anyone.pose.files.keypoints import parse_with_notes

    try:
        return parse_with_notes(keypoints)
    except InputError as error:
        raise InputError(str(error).replace("keypoints", name, 1)) from error


def _preview(
    clips: list[PoseClip],  # driver, result, reference
    image: Tensor | None,
) -> Tensor:  # IMAGE
    from ...animate_anyone.media import spread
    from ...animate_anyone.media.fitting import fit_drawing
    from ...animate_anyone.pose.drawing.overlay import overlay

    canvas = clips[-1].canvas
    scale = min(1.0, PREVIEW_PX / max(canvas.width, canvas.height))
    size = Size(max(1, round(canvas.width * scale)), max(1, round(canvas.height * scale)))
    background = np.zeros((size.height, size.width, 3), np.uint8)
    if image is not None:
        picture = next(convert.image_chunks(image[:1], "image", 1))[0]
        background = fit_drawing(picture, size)
    pictures = overlay(background, clips, frames=spread(len(clips[1]), PREVIEW_FRAMES))
    return convert.frames_to_image(np.stack(list(pictures)))
