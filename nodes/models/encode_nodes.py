"""Nodes that run ReferenceNet and Pose Guider: Encode Reference and Encode Pose."""

from comfy_api.input import VideoInput
from comfy_api.latest import io

from ...animate_anyone.types import Size
from ..clips.read import clip_inputs, mask_input
from ..comfyui import convert, host
from ..comfyui.checks import checked
from ..comfyui.sockets import (
    Network,
    PoseGuiderSocket,
    PoseSocket,
    ReferenceNetSocket,
    ReferenceSocket,
)
from .encode import KEEP, encode_pose, encode_reference


class EncodeReference(io.ComfyNode):
    """Turns the picture of a character into features for the denoiser."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_EncodeReference",
            display_name="Encode Reference (Animate Anyone)",
            category="animate_anyone/models",
            description="Runs ReferenceNet once over the picture of the character.",
            inputs=[
                io.Image.Input("image", tooltip="One picture of the whole character."),
                io.Vae.Input("vae", tooltip="The autoencoder that belongs to the weights."),
                io.ClipVision.Input(
                    "clip_vision", tooltip="The image encoder that belongs to the weights."
                ),
                ReferenceNetSocket.Input("reference_net", tooltip="From Load Models."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Width in pixels. The picture is fitted into this size; the rest is "
                    "filled by repeating its borders. 0 takes the size of pose_image, or the size "
                    "that suits the weights.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Image.Input(
                    "pose_image",
                    optional=True,
                    tooltip="The drawn poses, of which only the size is used: reference and video "
                    "then have the same size, as in training.",
                ),
                mask_input("image"),
            ],
            outputs=[ReferenceSocket.Output(display_name="reference")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        image: io.Image.Type,
        vae: host.Vae,
        clip_vision: host.ClipVision,
        reference_net: Network,
        width: int,
        height: int,
        pose_image: io.Image.Type | None = None,
        mask: io.Mask.Type | None = None,
    ) -> io.NodeOutput:
        size = Size(width, height)
        if size == Size(0, 0) and pose_image is not None:
            size = convert.image_size(pose_image)
        networks = (vae, clip_vision, reference_net)
        return io.NodeOutput(encode_reference(image, *networks, size, mask))


class EncodePose(io.ComfyNode):
    """Turns drawn poses into features."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_EncodePose",
            display_name="Encode Pose (Animate Anyone)",
            category="animate_anyone/pose",
            description="Runs the Pose Guider over drawn poses. Their number and size become the "
            "number of frames and the size of the video.",
            inputs=[
                PoseGuiderSocket.Input("pose_guider", tooltip="From Load Models."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Width of the video in pixels. 0 keeps the size of the pictures, or "
                    "their aspect ratio if height is given. Both sides become multiples of 8.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Combo.Input(
                    "keep",
                    options=list(KEEP),
                    tooltip="What to keep in memory: features (3.9 MB a frame at 512x768, no "
                    "further work while sampling) or pictures (a tenth of that, but features are "
                    "computed again for each window). automatic keeps features up to 512 MB.",
                ),
                *clip_inputs("Drawn poses"),
            ],
            outputs=[PoseSocket.Output(display_name="pose")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        pose_guider: Network,
        width: int,
        height: int,
        keep: str,
        image: io.Image.Type | None = None,
        video: VideoInput | None = None,
        mask: io.Mask.Type | None = None,
    ) -> io.NodeOutput:
        size = Size(width, height)
        return io.NodeOutput(encode_pose(image, video, pose_guider, size, keep, mask))


NODES = {30: EncodeReference, 130: EncodePose}  # by place in the menu
