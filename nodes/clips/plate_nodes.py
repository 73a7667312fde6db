"""The nodes for backgrounds without a person, and for characters on another background."""

from typing import Any

from comfy_api.latest import io

from ..comfyui.checks import checked
from ..comfyui.sockets import KeypointsSocket
from .plate import filled, on_background


class CleanPlate(io.ComfyNode):
    """Paints over the people in a background."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_CleanPlate",
            display_name="Clean Plate (Animate Anyone)",
            category="animate_anyone/pose",
            description="Makes a background without anybody in it: the people of a picture are "
            "painted over from around them, and nothing else is changed. The log says how large "
            "the filled share is. If you have a picture of the background itself, use that.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="A picture, or a clip, of which the first frame is used. All people "
                    "in it should be in keypoints or mask.",
                ),
                KeypointsSocket.Input(
                    "keypoints",
                    optional=True,
                    tooltip="Of the people in image, from Extract Pose; of a clip the first frame "
                    "counts. Their outline is found by colours around the limbs.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Instead of keypoints: above 0 where the people are. It is used as it "
                    "is, so it should be a little larger than they are.",
                ),
            ],
            outputs=[io.Image.Output(display_name="plate")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        image: io.Image.Type,
        keypoints: list[dict[str, Any]] | None = None,
        mask: io.Mask.Type | None = None,
    ) -> io.NodeOutput:
        return io.NodeOutput(filled(image, keypoints, mask))


class ChangeBackground(io.ComfyNode):
    """Sets the character of a picture on another background."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_ChangeBackground",
            display_name="Change Background (Animate Anyone)",
            category="animate_anyone/pose",
            description="Cuts out the character of a picture and sets it on another background, "
            "at its size. Connect the result to Encode Reference: then the weights paint this "
            "background around the new figure, and no halo of the picture's own stays.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The picture of the character. Of another size than the background, "
                    "it is fitted as Encode Reference does.",
                ),
                KeypointsSocket.Input(
                    "keypoints",
                    tooltip="Of the character in image, from Extract Pose. The outline is found "
                    "by colours around the limbs.",
                ),
                io.Image.Input(
                    "background",
                    tooltip="What stands behind the character: the output of Clean Plate, or a "
                    "picture of your own. Of a clip the first frame is used.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        image: io.Image.Type,
        keypoints: list[dict[str, Any]],
        background: io.Image.Type,
    ) -> io.NodeOutput:
        return io.NodeOutput(on_background(image, keypoints, background))


NODES = {127: CleanPlate, 128: ChangeBackground}  # by place in the menu
