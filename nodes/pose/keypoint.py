"""Work of the nodes of keypoint files: which files there are, and what reading them assumed."""

import logging
from typing import Any

from comfy_api.latest import ui
from torch import Tensor

from ...animate_anyone.types import Size
from ..comfyui import convert, folders
from ..comfyui.room import FLOAT_BYTES, require_room_for_images
from ..models.encode import check_drawn_size, fitting_size
from ..page.pose_stage import corrected, stage_ui

log = logging.getLogger(__name__)

NOTHING_DRAWN = (
    "nothing is drawn in any frame; check what is drawn, and the canvas of the keypoints"
)


def keypoint_files() -> list[str]:
    """Return the JSON files to choose from, and the input folders with one file per frame."""
    from ...animate_anyone.pose.files.folders import holds_keypoints

    takes = [
        name for name in folders.input_subfolders() if holds_keypoints(folders.input_path(name))
    ]
    return [
        *folders.input_files((".json",)),
        *takes,
        *folders.output_files(folders.FOLDER, (".json",)),
    ]


def changed_at(name: str) -> float:
    """Return when a file, or the newest file of a folder, was changed; 0 if there is none."""
    path = folders.input_path(name)
    paths = [path, *path.iterdir()] if path.is_dir() else [path]
    return max((one.stat().st_mtime for one in paths if one.exists()), default=0.0)


def draw(
    keypoints: Any,  # POSE_KEYPOINT
    wanted: Size,  # of the pictures; a side of 0 follows the canvas
    parts: dict[str, Any],  # body, hands, face and feet: draw them
    dimmed: bool,  # draw points the darker the less confident they are
) -> tuple[Tensor, tuple[str, ...]]:  # IMAGE, and what was assumed or looks wrong
    """Return drawn skeletons, and notes, which are logged too."""
    from ...animate_anyone.pose.drawing.draw import draw_pose
    from ...animate_anyone.pose.files.keypoints import parse_with_notes

    reading = parse_with_notes(keypoints)
    size = fitting_size(wanted, reading.clip.canvas)
    check_drawn_size(size)
    # Bytes and numbers of three channels exist at once.
    require_room_for_images("Draw Pose", size, len(reading.clip), 3 + 3 * FLOAT_BYTES)
    drawn = draw_pose(reading.clip, size, **parts, dimmed=dimmed)
    notes = reading.lines()
    if not drawn.any():
        notes = (*notes, NOTHING_DRAWN)
    for note in notes:
        log.warning("Draw Pose: %s", note)
    return convert.frames_to_image(drawn), notes


def load(
    file: str,  # a choice of `keypoint_files`
    width: int,  # pixels, for files that do not name their canvas; 0: the file does
    height: int,
    image: Tensor | None,  # IMAGE to show behind the skeletons
    corrections: str | None,  # made by hand on the pose stage
) -> tuple[list[dict[str, Any]], float, dict[str, Any]]:
    """Return POSE_KEYPOINT, frames per second, and the node's answer.

    The answer is the pose stage, and what was assumed.
    """
    from ...animate_anyone.pose.files.keypoints import read_with_notes, to_keypoints

    canvas = Size(width, height) if width and height else None
    reading = read_with_notes(folders.input_path(file), canvas)
    result, notes = corrected(reading.clip, corrections)
    notes = (*reading.notes, *notes)
    stage = stage_ui(reading.clip, image, notes=notes, corrections=corrections or "")
    frames, people = reading.clip.body.xy.shape[:2]
    lines = [f"{frames} frames, {people} people", *notes, f"fps: {reading.speed_line()}"]
    answer = ui.PreviewText("\n".join(lines)).as_dict() | stage
    return to_keypoints(result), float(reading.fps), answer
