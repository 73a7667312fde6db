"""The node that shows a finished clip beside other clips."""

from typing import Any

from comfy_api.latest import io

from ..comfyui import convert
from ..comfyui.checks import checked
from .compare import fit_parts, write_video


class Compare(io.ComfyNode):
    """Shows a clip beside its reference and its skeletons or the true clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Compare",
            display_name="Compare Clips (Animate Anyone)",
            category="animate_anyone/evaluation",
            description="Shows a finished clip beside the reference and another clip: side by "
            "side, with a slider, or as their difference.",
            inputs=[
                io.Image.Input("result", tooltip="The generated clip. It sets the height."),
                io.Float.Input(
                    "fps",
                    default=12.0,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Speed of playback in frames per second. Nothing else depends on it.",
                ),
                io.Image.Input(
                    "other",
                    optional=True,
                    tooltip="What to compare it with: the skeletons, the driving clip or the true "
                    "clip, with as many frames as the result, or one picture. It is fitted to the "
                    "result's size.",
                ),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="The picture of the character, shown at the left.",
                ),
            ],
            outputs=[io.Image.Output(display_name="side by side")],
            is_output_node=True,
        )

    @classmethod
    @checked
    def execute(
        cls,
        result: io.Image.Type,
        fps: float,
        other: Any = None,
        reference: Any = None,
    ) -> io.NodeOutput:
        parts = fit_parts(result, other=other, reference=reference)
        image = convert.side_by_side(list(parts.values()))
        return io.NodeOutput(image, ui={"aa_compare": [write_video(image, parts, fps)]})


NODES = {230: Compare}  # by place in the menu
