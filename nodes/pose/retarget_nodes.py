"""The driving skeleton with the proportions of the reference."""

from typing import Any

import numpy as np
from comfy_api.latest import io, ui
from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.types import PoseClip, Size
from ..comfyui import convert
from ..comfyui.checks import checked
from ..comfyui.sockets import KeypointsSocket
from ..page.pose_stage import corrected, corrections_input, stage_ui

PREVIEW_FRAMES = 48
PREVIEW_PX = 512  # longer side of the preview


class RetargetPose(io.ComfyNode):
    """Fits driving poses to a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        from ...animate_anyone.pose.retarget.placement import ANCHORS
        from ...animate_anyone.pose.retarget.retarget import MODES

        return io.Schema(
            node_id="AnimateAnyone_RetargetPose",
            display_name="Retarget Pose (Animate Anyone)",
            category="animate_anyone/pose",
            description="Gives the driving skeleton the proportions, the place and the canvas of "
            "the reference, while every bone keeps its direction. The report tells by how much "
            f"each bone changes and why. The preview shows up to {PREVIEW_FRAMES} frames, spread "
            "over the clip: driver grey, result in colours, reference white.",
            inputs=[
                KeypointsSocket.Input("keypoints", tooltip="The driving poses."),
                KeypointsSocket.Input(
                    "reference", tooltip="The pose of the reference picture, from Extract Pose."
                ),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default="limb",
                    tooltip="limb: every bone gets the length that the reference asks for. "
                    "uniform: one scale for all. none: the clip is only fitted into the canvas.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How far limb goes from one scale for all bones (0) to the reference's "
                    "own proportions (1). Less if the reference's pose is hard to read.",
                ),
                io.Combo.Input(
                    "anchor",
                    options=list(ANCHORS),
                    tooltip="Which joint is laid on the reference's. Auto takes the best one that "
                    "both show.",
                ),
                io.Int.Input(
                    "match_frame",
                    default=-1,
                    min=-1,
                    max=1_000_000,
                    tooltip="The driving frame that is compared with the reference and laid on it, "
                    "from 0. -1 finds the one whose pose is most alike.",
                ),
                io.Boolean.Input(
                    "lock_x", default=False, tooltip="Keep the body in place sideways."
                ),
                io.Boolean.Input(
                    "lock_y", default=False, tooltip="Keep the body in place up and down."
                ),
                io.Boolean.Input(
                    "fit_canvas",
                    default=False,
                    tooltip="Shrink and move the whole clip so that no joint leaves the picture.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The reference picture, for the preview only."
                ),
                corrections_input(),
            ],
            outputs=[
                KeypointsSocket.Output(display_name="retargeted"),
                io.String.Output(display_name="report"),
                io.Image.Output(display_name="preview"),
            ],
            is_output_node=True,
        )

    @classmethod
    @checked
    def execute(
        cls,
        keypoints: Any,
        reference: Any,
        mode: str,
        strength: float,
        anchor: str,
        match_frame: int,
        lock_x: bool,
        lock_y: bool,
        fit_canvas: bool,
        image: io.Image.Type | None = None,
        corrections: str | None = None,
    ) -> io.NodeOutput:
        options = {
            "mode": mode,
            "strength": strength,
            "anchor": anchor,
            "match_frame": None if match_frame < 0 else match_frame,
            "lock_x": lock_x,
            "lock_y": lock_y,
            "fit_canvas": fit_canvas,
        }
        fitted = fit_to_reference(keypoints, reference, image, options, corrections)
        return io.NodeOutput(*fitted[:3], ui=fitted[3])


def fit_to_reference(
    keypoints: Any,  # POSE_KEYPOINT
    reference: Any,  # POSE_KEYPOINT
    image: Tensor | None,  # IMAGE, for the preview
    options: dict[str, Any],  # of RetargetConfig
    corrections: str | None = None,  # made by hand on the pose stage
) -> tuple[list[dict[str, Any]], str, Tensor, dict[str, Any]]:
    """Return POSE_KEYPOINT, report, an IMAGE of both skeletons and the result, and the `ui`."""
    from ...animate_anyone.pose.files.keypoints import to_keypoints
    from ...animate_anyone.pose.retarget.retarget import RetargetConfig, retarget

    driver, target = _named("keypoints", keypoints), _named("reference", reference)
    fitted, report = retarget(driver, target, RetargetConfig(**options))
    result, notes = corrected(fitted, corrections)
    text = "\n".join((report.text(), *notes))
    shown = {"driver": driver, "reference": target, "report": report.data(), "notes": notes}
    shown["corrections"] = corrections or ""
    answer = ui.PreviewText(text).as_dict() | stage_ui(fitted, image, **shown)
    return to_keypoints(result), text, _preview([driver, result, target], image), answer


def _named(name: str, keypoints: Any) -> PoseClip:
    """Return POSE_KEYPOINT as a clip; messages name the socket that it came from."""
    from ...animate_anyone.pose.files.keypoints import parse_keypoints

    try:
        return parse_keypoints(keypoints)
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
