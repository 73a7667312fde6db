"""How close a clip comes to the true one."""

from typing import Any

from comfy_api.latest import io, ui

from ...animate_anyone.evaluation.tables import table
from ..comfyui import host
from ..comfyui.checks import checked
from ..comfyui.sockets import DwPose, DwPoseSocket, KeypointsSocket
from .evaluate import compare


class Evaluate(io.ComfyNode):
    """Compares a clip with the truth."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateAnyone_Evaluate",
            display_name="Evaluate (Animate Anyone)",
            category="animate_anyone/evaluation",
            description="Measures how close a clip comes to the true one, frame by frame, and "
            "whether its figure takes the poses that it was driven by. Needs torchmetrics (pip "
            "install torchmetrics).",
            inputs=[
                io.Image.Input("result", tooltip="The clip that was made."),
                io.Image.Input("truth", tooltip="The true clip: as many frames, of the same size."),
                io.String.Input(
                    "title", default="result", tooltip="What to call the row in the table."
                ),
                KeypointsSocket.Input(
                    "poses",
                    optional=True,
                    tooltip="The driving skeletons, one per frame. With them PCK, OKS and the "
                    "error of the pose are measured, for one person.",
                ),
                DwPoseSocket.Input(
                    "dwpose",
                    optional=True,
                    tooltip="What reads the poses of the result, from Load DWPose. Without it "
                    "aa-mini's own pair, which knows drawn characters alone.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="table"),
                io.Float.Output(display_name="psnr"),
                io.Float.Output(display_name="ssim"),
                io.Float.Output(display_name="pck"),
            ],
            is_output_node=True,
        )

    @classmethod
    @checked
    def execute(
        cls,
        result: io.Image.Type,
        truth: io.Image.Type,
        title: str,
        poses: Any = None,
        dwpose: DwPose | None = None,
    ) -> io.NodeOutput:
        row = compare(result, truth, poses, dwpose)
        text = table({title: row}, list(row))
        pck = row.get("pck", host.missing("pck got nothing: connect poses that show somebody."))
        return io.NodeOutput(text, row["psnr"], row["ssim"], pck, ui=ui.PreviewText(text))


NODES = {220: Evaluate}  # by place in the menu
