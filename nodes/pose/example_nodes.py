"""Nodes that load the bundled examples."""

from comfy_api.input_impl import VideoFromFile
from comfy_api.latest import io

from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ..comfyui import convert
from ..comfyui.checks import checked
from ..comfyui.sockets import KeypointsSocket
from .example import EXAMPLES, FOLDER, example


class LoadExample(io.ComfyNode):
    """Loads a picture and a motion that come with the pack."""

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
                    "character", options=EXAMPLES.characters, tooltip="The character to animate."
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
    """Loads a clip that comes with the pack."""

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


NODES = {20: LoadExample, 50: LoadExampleVideo}  # by place in the menu
