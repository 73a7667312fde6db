"""Layouts of files that name their keypoints, as COCO's categories and mmpose's metadata do."""

import re
from collections.abc import Sequence

from ...errors import InputError
from .joints import BODY_JOINTS
from .layouts import Joint, Layout

FEET_JOINTS = tuple(
    f"{side}_{joint}" for side in ("left", "right") for joint in ("big_toe", "small_toe", "heel")
)
_OTHER_NAMES = {
    f"{side}_{joint}": [f"{side}_{other}"]
    for side in ("left", "right")
    # Human3.6M calls the ankles feet; who names both means the ankle by ankle.
    for joint, other in (("big_toe", "foot_index"), ("ankle", "foot"))
}
_NEEDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")  # of both sides


def named_layout(names: Sequence[str]) -> Layout:
    """Return the layout of keypoints with these names, for instance left_shoulder, "R. Hip".

    Hands and faces are not found by names. A neck without a name is the middle of the shoulders.
    InputError unless shoulders, elbows, wrists, hips, knees and ankles of both sides are named.
    """
    place = {_plain(name): index for index, name in reversed(list(enumerate(names)))}

    def joint(name: str) -> int | None:
        spellings = [name, *_OTHER_NAMES.get(name, [])]
        short = [re.sub("^(left|right)_", lambda m: m[1][0], text) for text in spellings]
        last = [re.sub("^(left|right)_(.*)", r"\2_\1", text) for text in spellings]
        every = spellings + short + last
        found = [place[_plain(text)] for text in every if _plain(text) in place]
        return found[0] if found else None

    missing = [
        f"{side}_{name}"
        for name in _NEEDED
        for side in ("left", "right")
        if joint(f"{side}_{name}") is None
    ]
    if missing:
        raise InputError(
            f"keypoints got the names {_list(names)}; a person's must hold {_list(missing)}. Use "
            "an extractor of human poses."
        )
    body: list[Joint] = [joint(name) for name in BODY_JOINTS]
    if body[1] is None:
        shoulders = joint("left_shoulder"), joint("right_shoulder")
        body[1] = tuple(index for index in shoulders if index is not None)
    feet = [joint(name) for name in FEET_JOINTS]
    named = feet if any(index is not None for index in feet) else ()
    return Layout(name="of named points", keypoints=len(names), body=body, feet=named)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"
