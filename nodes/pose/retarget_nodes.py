"""The node that gives the driving skeleton the proportions of the reference."""

from typing import Any

from comfy_api.latest import io

from ..comfyui.checks import checked
from ..comfyui.sockets import KeypointsSocket
from ..page.pose_stage import corrections_input
from .retarget import PREVIEW_FRAMES, fit_to_reference


class RetargetPose(io.ComfyNode):
    """Fits driving poses to a reference."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        from ...animate_anyone.pose.retarget.modes import MODES, USUAL_MODE, describe_modes
        from ...animate_anyone.pose.retarget.placement import ANCHORS

        return io.Schema(
            node_id="AnimateAnyone_RetargetPose",
            display_name="Retarget Pose (Animate Anyone)",
            category="animate_anyone/pose",
            description="Gives the driving skeleton the proportions, the position and the canvas "
            "of the reference, while every bone keeps its direction. The report lists by how much "
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
                    default=USUAL_MODE,
                    tooltip=f"{describe_modes()}.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="For the mode limb: 0 scales all bones alike, 1 gives every bone the "
                    "reference's proportions. Use less if the reference's pose is hard to read.",
                ),
                io.Combo.Input(
                    "anchor",
                    options=list(ANCHORS),
                    tooltip="The joint that is placed on the same joint of the reference. auto "
                    "takes the best one that both show.",
                ),
                io.Int.Input(
                    "match_frame",
                    default=-1,
                    min=-1,
                    max=1_000_000,
                    tooltip="The number of the driving frame, from 0, that is compared with the "
                    "reference and placed on it. -1 finds the frame with the most similar pose.",
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
                io.Boolean.Input(
                    "contacts",
                    default=False,
                    optional=True,
                    tooltip="Bend the arms so that hands touch the head, the hips and each other "
                    "where they do so in the driver. Off, every bone keeps its direction, and "
                    "hands may miss a head of another size. The report lists the touches. "
                    "A hand that passes in front of the body counts as a touch: depth cannot be "
                    "seen.",
                ),
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
        contacts: bool = False,
    ) -> io.NodeOutput:
        options = {
            "mode": mode,
            "strength": strength,
            "anchor": anchor,
            "match_frame": None if match_frame < 0 else match_frame,
            "lock_x": lock_x,
            "lock_y": lock_y,
            "fit_canvas": fit_canvas,
            "contacts": contacts,
        }
        fitted = fit_to_reference(keypoints, reference, image, options, corrections)
        return io.NodeOutput(*fitted[:3], ui=fitted[3])


NODES = {90: RetargetPose}  # by place in the menu
