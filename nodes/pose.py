"""Poses: loading, drawing, and turning them into features."""

from typing import Any

from comfy_api.input import VideoInput
from comfy_api.input_impl import VideoFromFile
from comfy_api.latest import io, ui

from ..animate_anyone.config import AA_MINI
from ..animate_anyone.types import Size
from . import convert, encoding, folders
from .checks import checked
from .clips import clip_inputs
from .examples import EXAMPLES, FOLDER, example
from .pose_stage import corrected, corrections_input, stage_ui
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


class LoadExampleVideo(io.ComfyNode):
    """Gives a clip that comes with the pack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadExampleVideo",
            display_name="Load Example Video (Animate Anyone)",
            category="animate_anyone/pose",
            description="A clip that comes with the pack, for a first run with "
            f"{AA_MINI.name}. Replace it with Load Video.",
            inputs=[
                io.Combo.Input(
                    "clip",
                    options=EXAMPLES.clips,
                    tooltip="driving.mp4 shows a drawn character, for Extract Pose. motion.mp4 "
                    "shows a drawn skeleton, for Encode Pose. costume.mp4 shows the example's "
                    "character in other clothes, for Extract Pose and Canny.",
                )
            ],
            outputs=[io.Video.Output(display_name="video")],
        )

    @classmethod
    @checked
    def execute(cls, clip: str) -> io.NodeOutput:
        return io.NodeOutput(VideoFromFile(str(FOLDER / clip)))


class LoadKeypoints(io.ComfyNode):
    """Reads a POSE_KEYPOINT file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadKeypoints",
            display_name="Load Keypoints (Animate Anyone)",
            category="animate_anyone/pose",
            description="Reads poses from a JSON file, as Save Keypoints and the extractors and "
            "pose editors of other packs write them.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[
                        *folders.input_files((".json",)),
                        *folders.output_files(folders.FOLDER, (".json",)),
                    ],
                    tooltip="A JSON file in ComfyUI's input folder, or in animate_anyone in its "
                    "output folder: one record per frame, or one record alone.",
                ),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=16384,
                    optional=True,
                    tooltip="Pixels of the picture on which the poses were found. Only for files "
                    "that do not name it themselves, as OpenPose's own; 0: the file names it.",
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
                    tooltip="A picture to lay below the skeletons on the pose stage.",
                ),
                corrections_input(),
            ],
            outputs=[KeypointsSocket.Output(display_name="keypoints")],
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
        from ..animate_anyone.pose.keypoints import read_keypoints, to_keypoints

        canvas = Size(width, height) if width and height else None
        clip = read_keypoints(folders.input_path(file), canvas)
        result, notes = corrected(clip, corrections)
        answer = stage_ui(clip, image, notes=notes, corrections=corrections or "")
        return io.NodeOutput(to_keypoints(result), ui=answer)

    @classmethod
    def fingerprint_inputs(cls, file: str, **others: Any) -> float:
        path = folders.input_path(file)
        return path.stat().st_mtime if path.is_file() else 0.0


class SaveKeypoints(io.ComfyNode):
    """Writes a POSE_KEYPOINT file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_SaveKeypoints",
            display_name="Save Keypoints (Animate Anyone)",
            category="animate_anyone/pose",
            description="Writes poses into a JSON file in the output folder, with confidences and "
            "what was done to the points. Load Keypoints and other packs read it.",
            inputs=[
                KeypointsSocket.Input("keypoints", tooltip="One record per frame."),
                io.String.Input(
                    "filename_prefix",
                    default="animate_anyone/pose",
                    tooltip="Folder and name in ComfyUI's output folder. Load Keypoints lists "
                    "what lies in animate_anyone there.",
                ),
            ],
            outputs=[io.String.Output(display_name="file")],
            is_output_node=True,
        )

    @classmethod
    @checked
    def execute(cls, keypoints: Any, filename_prefix: str) -> io.NodeOutput:
        from ..animate_anyone.pose.keypoints import parse_keypoints, write_keypoints

        clip = parse_keypoints(keypoints)
        size = clip.canvas
        path, folder = folders.output_path(filename_prefix, ".json", size.width, size.height)
        write_keypoints(path, clip)
        shown = ui.SavedResult(path.name, folder, io.FolderType.output)
        return io.NodeOutput(str(path), ui={"text": [str(path)], "keypoints": [shown]})


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
                io.Boolean.Input(
                    "body", default=True, optional=True, tooltip="Draw the limbs and joints."
                ),
                io.Boolean.Input(
                    "feet",
                    default=False,
                    optional=True,
                    tooltip="Draw toes and heels. The public weights never saw any.",
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
    ) -> io.NodeOutput:
        from ..animate_anyone.pose.draw import draw_pose
        from ..animate_anyone.pose.keypoints import parse_keypoints

        clip = parse_keypoints(keypoints)
        size = encoding.fitting_size(Size(width, height), clip.canvas)
        drawn = draw_pose(clip, size, body=body, hands=hands, face=face, feet=feet)
        return io.NodeOutput(convert.frames_to_image(drawn))


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
    ) -> io.NodeOutput:
        size = Size(width, height)
        return io.NodeOutput(encoding.encode_pose(image, video, pose_guider, size, keep))
