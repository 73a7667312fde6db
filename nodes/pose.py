"""Poses: loading, drawing, and turning them into features."""

from typing import Any

from comfy_api.input import VideoInput
from comfy_api.latest import io

from ..animate_anyone.config import AA_MINI
from ..animate_anyone.types import Size
from . import convert, encoding, host
from .checks import checked
from .examples import EXAMPLES, example
from .sockets import KeypointsSocket, Network, PoseGuiderSocket, PoseSocket


class LoadExample(io.ComfyNode):
    """Gives a picture and a motion that come with the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadExample",
            display_name="Load Example (Animate Anyone)",
            category="animate_anyone/pose",
            description="A drawn character and a driving motion that come with the pack, for a "
            f"first run with {AA_MINI.name}. Replace it with Load Image and Load Keypoints.",
            inputs=[
                io.Combo.Input(
                    "character", options=EXAMPLES.characters, tooltip="Whom to animate."
                ),
                io.Combo.Input("motion", options=EXAMPLES.motions, tooltip="The driving motion."),
            ],
            outputs=[
                io.Image.Output(display_name="image"),
                KeypointsSocket.Output(display_name="keypoints"),
            ],
        )

    @classmethod
    @checked
    def execute(cls, character: str, motion: str) -> io.NodeOutput:
        picture, keypoints = example(character, motion)
        return io.NodeOutput(convert.frames_to_image(picture), keypoints)


class LoadKeypoints(io.ComfyNode):
    """Reads a POSE_KEYPOINT file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadKeypoints",
            display_name="Load Keypoints (Animate Anyone)",
            category="animate_anyone/pose",
            description="Reads poses from a JSON file in the input folder, as pose extractors and "
            "pose editors of other packs write them.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=host.input_files((".json",)),
                    tooltip="A JSON file in ComfyUI's input folder: one record per frame, or one "
                    "record alone.",
                )
            ],
            outputs=[KeypointsSocket.Output(display_name="keypoints")],
        )

    @classmethod
    @checked
    def execute(cls, file: str) -> io.NodeOutput:
        from ..animate_anyone.pose.keypoints import read_keypoints, to_keypoints

        return io.NodeOutput(to_keypoints(read_keypoints(host.input_path(file))))

    @classmethod
    def fingerprint_inputs(cls, file: str) -> float:
        path = host.input_path(file)
        return path.stat().st_mtime if path.is_file() else 0.0


class DrawPose(io.ComfyNode):
    """Draws keypoints as the Pose Guider expects them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_DrawPose",
            display_name="Draw Pose (Animate Anyone)",
            category="animate_anyone/pose",
            description="Draws keypoints as coloured skeletons on black, in the style on which the "
            "public weights were trained.",
            inputs=[
                KeypointsSocket.Input("keypoints", tooltip="One record per frame."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Pixels, also of the video to make. The poses are fitted in and "
                    "centred. 0 keeps the canvas on which they were found.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Boolean.Input("hands", default=True, tooltip="Draw the fingers."),
                io.Boolean.Input("face", default=True, tooltip="Draw the points of the face."),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    @checked
    def execute(
        cls, keypoints: Any, width: int, height: int, hands: bool, face: bool
    ) -> io.NodeOutput:
        from ..animate_anyone.pose.draw import draw_pose
        from ..animate_anyone.pose.keypoints import parse_keypoints

        clip = parse_keypoints(keypoints)
        size = encoding.fitting_size(Size(width, height), clip.canvas)
        return io.NodeOutput(convert.frames_to_image(draw_pose(clip, size, hands=hands, face=face)))


class EncodePose(io.ComfyNode):
    """Turns drawn poses into features."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_EncodePose",
            display_name="Encode Pose (Animate Anyone)",
            category="animate_anyone/pose",
            description="Runs the Pose Guider over drawn poses. Their number is the number of "
            "frames of the video, their size is its size.",
            inputs=[
                PoseGuiderSocket.Input("pose_guider", tooltip="From Load Models."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=4096,
                    step=8,
                    tooltip="Pixels of the video. 0 keeps the size of the pictures, or their shape "
                    "if height is given. Both sides become multiples of 8.",
                ),
                io.Int.Input(
                    "height", default=0, min=0, max=4096, step=8, tooltip="Pixels, as for width."
                ),
                io.Combo.Input(
                    "keep",
                    options=list(encoding.KEEP),
                    tooltip="What to hold in memory: features (3.9 MB a frame at 512x768, nothing "
                    "left to do while sampling) or pictures (a tenth of it, features are computed "
                    "for each window again). Automatic holds features up to 512 MB.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="Drawn poses, one per frame of the video."
                ),
                io.Video.Input(
                    "video",
                    optional=True,
                    tooltip="A clip of drawn poses instead of image; it is read frame by frame, so "
                    "that a long one needs no memory.",
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
    ) -> io.NodeOutput:
        size = Size(width, height)
        return io.NodeOutput(encoding.encode_pose(image, video, pose_guider, size, keep))
