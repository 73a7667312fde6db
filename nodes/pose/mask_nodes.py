"""The node that makes masks from poses."""

from typing import Any

from comfy_api.latest import io

from ...animate_anyone.pose.drawing.hull import PoseMask as Shape
from ...animate_anyone.types import Size
from ..comfyui.checks import checked
from ..comfyui.sockets import KeypointsSocket
from .mask import pose_masks


class PoseMask(io.ComfyNode):
    """Makes masks of the people in poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_PoseMask",
            display_name="Pose Mask (Animate Anyone)",
            category="animate_anyone/pose",
            description="Makes a mask for every frame: the hulls of the limbs with a margin and a "
            "soft edge. Connect mask to Keep Background, or to foreground_mask of Decode to Video; "
            "and sampled to Set Latent Noise Mask.",
            inputs=[
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Width of the video in pixels, as in Encode Pose. 0 follows the poses.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Float.Input(
                    "margin",
                    default=Shape.margin,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Margin around the limbs, as a share of the shorter side. Limbs run "
                    "along the bones, so it must cover body, hair and clothes.",
                ),
                io.Float.Input(
                    "feather",
                    default=Shape.feather,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Width of the soft edge outside the margin, as a share of the shorter "
                    "side.",
                ),
                KeypointsSocket.Input("keypoints", optional=True, tooltip="One record per frame."),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Drawn poses, instead of keypoints. The mask is then what is drawn, "
                    "with the same margin.",
                ),
            ],
            outputs=[
                io.Mask.Output(display_name="mask"),
                io.Mask.Output(display_name="sampled"),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        width: int,
        height: int,
        margin: float,
        feather: float,
        keypoints: list[dict[str, Any]] | None = None,
        image: io.Image.Type | None = None,
    ) -> io.NodeOutput:
        shape = Shape(margin=margin, feather=feather)
        return io.NodeOutput(*pose_masks(keypoints, image, Size(width, height), shape))


NODES = {125: PoseMask}  # by place in the menu
