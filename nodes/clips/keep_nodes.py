"""The node that puts a background back."""

from comfy_api.latest import io

from ..comfyui.checks import checked
from .keep import kept


class KeepBackground(io.ComfyNode):
    """Puts a background back outside a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_KeepBackground",
            display_name="Keep Background (Animate Anyone)",
            category="animate_anyone/decoding",
            description="Puts the driving clip or another background back where the mask is 0, "
            "without any change to its pixels. Sample with the same background as latent and the "
            "output sampled of Pose Mask as noise mask, so that the seam fits.",
            inputs=[
                io.Image.Input("image", tooltip="The result, from Decode Frames."),
                io.Image.Input(
                    "background",
                    tooltip="What stays: the frames of the driving clip, or one picture for all. "
                    "Of another size, it is fitted as Encode Reference does.",
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="From Pose Mask: 1 where the result is seen, 0 where the background "
                    "stays; one per frame, or one for all.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    @checked
    def execute(
        cls, image: io.Image.Type, background: io.Image.Type, mask: io.Mask.Type
    ) -> io.NodeOutput:
        return io.NodeOutput(kept(image, background, mask))


NODES = {195: KeepBackground}  # by place in the menu
