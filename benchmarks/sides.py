"""Share of points that stay wrong after left and right were exchanged in a clip.

    python -m benchmarks.sides CLIP [--json]

CLIP is a clip of drawn skeletons or a file of keypoints in which the sides are right. At every
frame, and for 1 to 4 frames, a part of the first person is exchanged, and the exchange put back.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from animate_anyone.media import frames_of
from animate_anyone.pose.drawing.read_back import read_skeleton_frames
from animate_anyone.pose.files.folders import holds_keypoints
from animate_anyone.pose.files.keypoints import read_keypoints
from animate_anyone.pose.people.sides import MOST_FRAMES, put_back_sides
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import PoseClip

LEGS = ((11, 8), (12, 9), (13, 10))  # left and right
ARMS = ((5, 2), (6, 3), (7, 4))
PARTS = {
    "whole body": (*ARMS, *LEGS, (15, 14), (17, 16)),
    "arms": ARMS,
    "legs": LEGS,
    "lower legs": LEGS[1:],
}


def main(words: list[str] | None = None) -> int:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(words)
    if holds_keypoints(options.clip):
        clip = read_keypoints(options.clip)
    else:
        clip, _ = read_skeleton_frames(frames_of(options.clip, "black"))
    found = {part: measured(clip, part) for part in PARTS}
    found["as it is"] = {"spoiled": int(changed(clip, clip).sum())}
    print(json.dumps(found, indent=2) if options.json else _table(found))
    return 0


def measured(
    clip: PoseClip,
    part: str,  # one of PARTS
    put_back: Callable[[PoseClip], PoseClip] = put_back_sides,
) -> dict[str, int]:
    """Return the exchanged points that are seen, those that stay wrong, and others that changed."""
    left, right = np.array(PARTS[part]).T
    found = {"exchanged": 0, "wrong": 0, "spoiled": 0}
    for count in range(1, MOST_FRAMES + 1):
        for first in range(1, len(clip) - count):
            run = slice(first, first + count)
            xy, confidence = clip.body.xy.copy(), clip.body.confidence.copy()
            for values in (xy, confidence):
                values[run, 0, left], values[run, 0, right] = (
                    values[run, 0, right],
                    values[run, 0, left],
                )
            there = np.zeros(confidence[:, 0].shape, bool)
            there[run, left] = there[run, right] = True
            off = changed(body_clip(clip.canvas, xy, confidence), clip, put_back)
            found["exchanged"] += int((there & (confidence[:, 0] > 0)).sum())
            found["wrong"] += int((off & there & (confidence[:, 0] > 0)).sum())
            found["spoiled"] += int((off & ~there).sum())
    return found


def changed(
    clip: PoseClip,
    wanted: PoseClip,
    put_back: Callable[[PoseClip], PoseClip] = put_back_sides,
) -> np.ndarray:  # (f, 18) bool
    """Return which points of the first person are not the wanted ones once sides are put back."""
    body = put_back(body_clip(clip.canvas, clip.body.xy, clip.body.confidence)).body
    moved = (body.xy != wanted.body.xy).any(-1) | (body.confidence != wanted.body.confidence)
    return moved[:, 0]


def _table(found: dict[str, dict[str, int]]) -> str:
    lines = [
        "| part | exchanged points | stay wrong | others changed |",
        "| --- | --- | --- | --- |",
    ]
    for part, row in found.items():
        if "exchanged" in row:
            share = row["wrong"] / max(1, row["exchanged"])
            cells = f"{row['exchanged']:,} | {row['wrong']:,} ({share:.1%})"
        else:
            cells = "0 | 0"
        lines.append(f"| {part} | {cells} | {row['spoiled']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
