"""The pose stage: the panel on the page that shows skeletons and lets users correct them."""

import json
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...animate_anyone.types import PoseClip
from ..comfyui import convert, folders

StageSocket = io.Custom("AA_POSE_STAGE")
UI = "aa_pose_stage"  # key of a node's answer to the page
PICTURE_PX = 768  # longer side of the picture behind the skeletons


def corrections_input() -> io.Input:
    """Return the input for corrections by hand; the page's pose stage writes it."""
    return StageSocket.Input(
        "corrections",
        optional=True,
        tooltip="Corrections by hand: joints moved or hidden, in one frame or several. The pose "
        "stage writes them; they are saved with the workflow and sent with every prompt.",
    )


def corrected(clip: PoseClip, corrections: str | None) -> tuple[PoseClip, tuple[str, ...]]:
    """Return the clip with the corrections, and notes for the report."""
    from ...animate_anyone.pose.corrections import apply_corrections, read_corrections

    return apply_corrections(clip, read_corrections(corrections or ""))


def stage_ui(
    result: PoseClip,  # before corrections
    image: Tensor | None,  # IMAGE to show behind the skeletons
    **more: Any,  # arguments of `stage_payload`
) -> dict[str, list[dict[str, Any]]]:
    """Return a node's answer to the page: the names of the files that the pose stage shows."""
    from ...animate_anyone.pose.drawing.stage import stage_payload

    path, shown = folders.temporary_path("pose_stage.json")
    payload = stage_payload(result, **more)
    path.write_text(json.dumps(payload, separators=(",", ":")), encoding="utf-8")
    answer: dict[str, Any] = {"payload": shown}
    if image is not None:
        path, answer["picture"] = folders.temporary_path("pose_stage.jpg")
        convert.save_picture(image, "image", path, PICTURE_PX)
    return {UI: [answer]}
