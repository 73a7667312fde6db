"""Nodes that run ReferenceNet and Pose Guider: Encode Reference and Encode Pose."""

from typing import Any

from comfy_api.input import VideoInput
from comfy_api.latest import io

from ...animate_anyone.types import Size
from ..clips.read import clip_inputs, mask_input
from ..comfyui import convert, host
from ..comfyui.checks import check_alone, checked
from ..comfyui.sockets import (
    KeypointsSocket,
    Network,
    Pose,
    PoseGuiderSocket,
    PoseSocket,
    Reference,
    ReferenceNetSocket,
    ReferenceSocket,
)
from .encode import (
    KEEP,
    combine_references,
    encode_keypoints,
    encode_pose,
    encode_reference,
)

MOST_STRENGTH = 10.0  # of a picture or a condition


class EncodeReference(io.ComfyNode):
    """Turns the pictures of a character into features for the denoiser."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_EncodeReference",
            display_name="Encode Reference (Animate Anyone)",
            category="animate_anyone/models",
            description="Runs ReferenceNet once over each picture of the character.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="One picture of the whole character, or a batch of up to 8: from the "
                    "front, from behind, of the hands. All are looked at while sampling, which "
                    "costs about 7 % of a step at 512x768 for each more. The first one should "
                    "show the face.",
                ),
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
                    "filled by repeating its borders. 0 takes the size of pose_image or pose, or "
                    "the size that suits the weights.",
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
                PoseSocket.Input(
                    "pose",
                    optional=True,
                    tooltip="The output of Encode Pose, instead of pose_image; only its size is "
                    "used.",
                ),
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
        pose: Pose | None = None,
    ) -> io.NodeOutput:
        size = Size(width, height)
        if pose is not None:
            check_alone("pose", pose_image=pose_image)
        if size == Size(0, 0):
            size = size if pose is None else pose.size
            size = size if pose_image is None else convert.image_size(pose_image)
        networks = (vae, clip_vision, reference_net)
        return io.NodeOutput(encode_reference(image, *networks, size, mask))


class CombineReferences(io.ComfyNode):
    """Joins the pictures of one character."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_CombineReferences",
            display_name="Combine References (Animate Anyone)",
            category="animate_anyone/models",
            description="Joins up to 8 encoded pictures of one character, of any sizes, each with "
            "a strength. What one picture does not show, such as the back, may come from another.",
            inputs=[
                ReferenceSocket.Input(
                    "reference_1",
                    tooltip="From Encode Reference; the first picture also gives the image token, "
                    "so it should show the face.",
                ),
                _strength_input(1),
                ReferenceSocket.Input(
                    "reference_2", tooltip="Another picture of the character, from another side."
                ),
                _strength_input(2),
                *(part for number in (3, 4) for part in _more_references(number)),
                KeypointsSocket.Input(
                    "keypoints",
                    optional=True,
                    tooltip="The keypoints that are drawn, if they show several persons: then each "
                    "reference belongs to one of them, in their order, and inside a person's "
                    "outline attention looks at that person's pictures alone. Two persons take "
                    "about 1.4 times the operations of one.",
                ),
            ],
            outputs=[ReferenceSocket.Output(display_name="reference")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        reference_1: Reference,
        strength_1: float,
        reference_2: Reference,
        strength_2: float,
        reference_3: Reference | None = None,
        strength_3: float = 1.0,
        reference_4: Reference | None = None,
        strength_4: float = 1.0,
        keypoints: list[dict] | None = None,
    ) -> io.NodeOutput:
        references = (reference_1, reference_2, reference_3, reference_4)
        strengths = (strength_1, strength_2, strength_3, strength_4)
        return io.NodeOutput(combine_references(references, strengths, keypoints))


def _strength_input(number: int, *, optional: bool = False) -> io.Input:
    return io.Float.Input(
        f"strength_{number}",
        default=1.0,
        min=0.0,
        max=MOST_STRENGTH,
        step=0.05,
        optional=optional,
        tooltip=f"How much reference_{number} counts beside the others. 2 counts like the picture "
        "twice, 0.5 like half of it, 0 leaves it out.",
    )


def _more_references(number: int) -> list[io.Input]:
    tooltip = "One more, or the output of another Combine References."
    one = ReferenceSocket.Input(f"reference_{number}", optional=True, tooltip=tooltip)
    return [one, _strength_input(number, optional=True)]


class EncodePose(io.ComfyNode):
    """Turns drawn poses into features."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_EncodePose",
            display_name="Encode Pose (Animate Anyone)",
            category="animate_anyone/pose",
            description="Runs the Pose Guider over poses: drawn ones, or keypoints that it draws "
            "itself. Their number and size become the number of frames and the size of the video.",
            inputs=[
                PoseGuiderSocket.Input("pose_guider", tooltip="From Load Models."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Width of the video in pixels. 0 keeps the size of the pictures (of "
                    "keypoints their canvas), or their aspect ratio if height is given. Both sides "
                    "become multiples of 8.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Combo.Input(
                    "keep",
                    options=list(KEEP),
                    tooltip="What to keep in memory: features (3.9 MB a frame at 512x768, no "
                    "further work while sampling) or pictures (a tenth of that, but features are "
                    "computed again for each window; of keypoints no pictures are kept, they are "
                    "drawn again). automatic keeps features up to 512 MB.",
                ),
                *clip_inputs("Drawn poses"),
                KeypointsSocket.Input(
                    "keypoints",
                    optional=True,
                    tooltip="Poses as keypoints, instead of image or video. They are drawn a few "
                    "frames at a time, as these weights were trained, so a long clip needs next to "
                    "no memory. Draw Pose is needed only for other styles, or to see them.",
                ),
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
        keypoints: list[dict[str, Any]] | None = None,
    ) -> io.NodeOutput:
        size = Size(width, height)
        if keypoints is None:
            return io.NodeOutput(encode_pose(image, video, pose_guider, size, keep, mask))
        check_alone("keypoints", image=image, video=video, mask=mask)
        return io.NodeOutput(encode_keypoints(keypoints, pose_guider, size, keep))


NODES = {30: EncodeReference, 35: CombineReferences, 130: EncodePose}  # by place in the menu
