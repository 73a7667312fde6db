"""Nodes that load, save and draw keypoints."""

from typing import Any

from comfy_api.latest import io, ui

from ...animate_anyone.types import Size
from ..comfyui import folders
from ..comfyui.checks import checked
from ..comfyui.sockets import KeypointsSocket
from ..models import encode as encoding
from ..page.pose_stage import corrections_input
from . import keypoint

LARGEST_SIDE = encoding.LARGEST_SIDE


class LoadKeypoints(io.ComfyNode):
    """Reads a POSE_KEYPOINT file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadKeypoints",
            display_name="Load Keypoints (Animate Anyone)",
            category="animate_anyone/pose",
            description="Reads poses from a JSON file, or from a folder with one file per frame, "
            "as Save Keypoints, OpenPose, AlphaPose, mmpose, MediaPipe, COCO's tools and pose "
            "editors write them. Says what it assumed, and refuses what it does not understand.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=keypoint.keypoint_files(),
                    tooltip="A JSON file in ComfyUI's input folder, or in the folder "
                    "animate_anyone of its output folder; or a folder in the input folder, with "
                    "one JSON file per frame. It ends with a slash here.",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=16384,
                    optional=True,
                    tooltip="Width in pixels of the picture on which the poses were found. Needed "
                    "only for files that do not hold it, such as OpenPose's own; 0 if the file "
                    "holds it.",
                ),
                io.Int.Input(
                    "height",
                    default=0,
                    min=0,
                    max=16384,
                    optional=True,
                    tooltip="Pixels, as for width.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A picture to show behind the skeletons on the pose stage.",
                ),
                corrections_input(),
            ],
            outputs=[
                KeypointsSocket.Output(display_name="keypoints"),
                io.Float.Output(display_name="fps"),
            ],
            is_output_node=True,
        )

    @classmethod
    @checked
    def execute(
        cls,
        file: str,
        width: int = 0,
        height: int = 0,
        image: io.Image.Type | None = None,
        corrections: str | None = None,
    ) -> io.NodeOutput:
        keypoints, fps, answer = keypoint.load(file, width, height, image, corrections)
        return io.NodeOutput(keypoints, fps, ui=answer)

    @classmethod
    def fingerprint_inputs(cls, file: str, **others: Any) -> float:
        return keypoint.changed_at(file)


class SaveKeypoints(io.ComfyNode):
    """Writes a POSE_KEYPOINT file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_SaveKeypoints",
            display_name="Save Keypoints (Animate Anyone)",
            category="animate_anyone/pose",
            description="Writes poses into a JSON file in the output folder, with confidences and "
            "with marks on points that were changed. Load Keypoints and other packs can read it.",
            inputs=[
                KeypointsSocket.Input("keypoints", tooltip="One record per frame."),
                io.String.Input(
                    "filename_prefix",
                    default="animate_anyone/pose",
                    tooltip="Folder and name in ComfyUI's output folder. "
                    "%date:yyyy-MM-dd% becomes the date. Load Keypoints lists the files of its "
                    "folder animate_anyone.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    optional=True,
                    tooltip="Frames per second of the clip, written into the file, so that Load "
                    "Keypoints and the command animate know it. 0 writes what the keypoints "
                    "themselves name, mostly nothing. Connect fps of Load Keypoints or of Get "
                    "Video Components.",
                ),
            ],
            outputs=[io.String.Output(display_name="file")],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        return folders.prefix_fault(filename_prefix, ".json")

    @classmethod
    @checked
    def execute(cls, keypoints: Any, filename_prefix: str, fps: float = 0.0) -> io.NodeOutput:
        from ...animate_anyone.pose.files.keypoints import parse_with_notes, write_keypoints

        reading = parse_with_notes(keypoints)
        clip, size = reading.clip, reading.clip.canvas
        path, folder = folders.output_path(filename_prefix, ".json", size.width, size.height)
        write_keypoints(path, clip, fps or (reading.speed and reading.fps))
        shown = ui.SavedResult(path.name, folder, io.FolderType.output)
        return io.NodeOutput(
            str(path), ui={"text": ["\n".join([str(path), *reading.notes])], "keypoints": [shown]}
        )


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
                    max=LARGEST_SIDE,
                    step=8,
                    tooltip="Pixels, also of the video to make. The poses are fitted in and "
                    "centred. 0 keeps the canvas on which they were found, up to 4096 pixels a "
                    "side.",
                ),
                io.Int.Input(
                    "height",
                    default=0,
                    min=0,
                    max=LARGEST_SIDE,
                    step=8,
                    tooltip="Pixels, as for width.",
                ),
                io.Boolean.Input("hands", default=True, tooltip="Draw the fingers."),
                io.Boolean.Input("face", default=True, tooltip="Draw the points of the face."),
                io.Boolean.Input(
                    "body", default=True, optional=True, tooltip="Draw the limbs and joints."
                ),
                io.Boolean.Input(
                    "feet",
                    default=False,
                    optional=True,
                    tooltip="Draw toes and heels. The public weights were trained without them.",
                ),
                io.Boolean.Input(
                    "dim",
                    default=False,
                    optional=True,
                    tooltip="Draw points darker the less confident they are. Only for weights that "
                    "were trained on such skeletons; the public ones were not.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        keypoints: Any,
        width: int,
        height: int,
        hands: bool,
        face: bool,
        body: bool = True,
        feet: bool = False,
        dim: bool = False,
    ) -> io.NodeOutput:
        parts = {"body": body, "hands": hands, "face": face, "feet": feet}
        image, notes = keypoint.draw(keypoints, Size(width, height), parts, dim)
        return io.NodeOutput(image, ui=ui.PreviewText("\n".join(notes)) if notes else None)


NODES = {100: LoadKeypoints, 110: SaveKeypoints, 120: DrawPose}  # by place in the menu
