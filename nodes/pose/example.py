"""The example inputs that come with the pack, in workflows/inputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

FOLDER = Path(__file__).resolve().parent.parent.parent / "workflows" / "inputs"


@dataclass(frozen=True)
class Examples:
    """Names of the bundled files, by kind."""

    characters: list[str]  # pictures
    motions: list[str]  # POSE_KEYPOINT files
    clips: list[str]  # videos


EXAMPLES = Examples(
    characters=[
        "character.png",
        "turning_front.png",
        "turning_back.png",
        "pair_left.png",
        "pair_right.png",
    ],
    motions=["motion.json", "motion_long.json", "turning.json", "pair.json"],
    clips=["driving.mp4", "motion.mp4", "costume.mp4"],
)


def example(character: str, motion: str) -> tuple[Tensor, list[dict[str, Any]]]:
    """Return the picture, (1, 3, H, W) in 0..1, and the POSE_KEYPOINT value."""
    from ...animate_anyone.media.pictures import read_picture
    from ...animate_anyone.pose.files.keypoints import read_keypoints, to_keypoints

    return read_picture(FOLDER / character), to_keypoints(read_keypoints(FOLDER / motion))
