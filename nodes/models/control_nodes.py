"""The node that loads the ControlNet that comes with aa-mini."""

from comfy_api.latest import io

from ..comfyui.checks import checked
from .control import load_control

EDGES = "edges (Canny)"


class LoadExampleControl(io.ComfyNode):
    """Loads the ControlNet that comes with aa-mini."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_LoadExampleControl",
            display_name="Load Example ControlNet (Animate Anyone)",
            category="animate_anyone/models",
            description="Loads a small ControlNet for aa-mini that comes with the pack: the shape "
            "of skirt or trousers follows the edges in another video. For networks of Stable "
            "Diffusion's size use Load ControlNet Model instead.",
            inputs=[
                io.Combo.Input(
                    "control",
                    options=[EDGES],
                    tooltip="What the pictures for Apply ControlNet show. edges: the output of the "
                    "node Canny for a video of the same movement.",
                ),
            ],
            outputs=[io.ControlNet.Output(display_name="control net")],
        )

    @classmethod
    @checked
    def execute(cls, control: str) -> io.NodeOutput:
        return io.NodeOutput(load_control())


NODES = {40: LoadExampleControl}  # by place in the menu
