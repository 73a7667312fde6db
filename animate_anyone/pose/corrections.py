"""Corrections made to a clip by hand, as JSON text that is saved in the workflow.

{"version": 1, "canvas": [512, 768], "edits": [
  {"person": 0, "part": "body", "joint": 4, "first": 3, "last": 9, "move": [12.5, -4]},
  {"person": 0, "part": "body", "joint": 7, "first": 0, "last": 0, "place": [200, 310]},
  {"person": 0, "part": "left_hand", "joint": 8, "first": 0, "last": 71, "hide": true}]}

An edit changes one joint from frame `first` to frame `last`, both included: `move` adds an offset
in pixels of the canvas where the joint is seen, `place` sets its position whether it was seen or
not, `hide` makes it missing. If several edits cover the same joint and frame, only the last one
applies. The web page applies edits by the same rules.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..types import Flag, PoseClip, Size
from .files.points import short
from .skeleton.joints import LARGEST_PX, PART_JOINTS
from .skeleton.stack import SLICES, stack, unstack

VERSION = 1
KINDS = ("move", "place", "hide")
_LARGEST_FRAME = 10_000_000
_WAY_OUT = "Press Clear in the pose stage, or correct the text."


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of one joint in a range of frames."""

    person: int
    part: str  # of PART_JOINTS
    joint: int
    first: int  # frame
    last: int  # frame, included
    kind: str  # of KINDS
    xy: tuple[float, float] = (0.0, 0.0)  # pixels of the canvas; unused for hide


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """Edits in the order in which they were made."""

    canvas: Size | None = None  # on which they were made; None: the clip's canvas
    edits: tuple[Edit, ...] = ()


def read_corrections(text: str) -> Corrections:
    """Return the corrections of a JSON text; an empty text holds none.

    Raises InputError for any other form.
    """
    if not isinstance(text, str):  # an API prompt may hold any type
        raise _refused(short(text), "it must be JSON text")
    if not text.strip():
        return Corrections()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(short(text), f"it must be JSON ({error})") from error
    if not isinstance(data, dict):
        raise _refused(short(data), "it must be an object with version, canvas and edits")
    if not data:
        return Corrections()
    if data.get("version") != VERSION:
        raise _refused(
            f"version {short(data.get('version'))}", f"this version of the pack reads {VERSION}"
        )
    edits = data.get("edits", [])
    if not isinstance(edits, list):
        raise _refused(f"edits {short(edits)}", "they must be a list")
    return Corrections(
        canvas=_canvas(data.get("canvas")),
        edits=tuple(_edit(place, entry) for place, entry in enumerate(edits)),
    )


def apply_corrections(
    clip: PoseClip, corrections: Corrections
) -> tuple[PoseClip, tuple[str, ...]]:  # and notes for the report
    """Return the corrected clip, in which changed points are flagged EDITED.

    Edits of frames or people that the clip does not have are ignored here, and a note counts them.
    """
    if not corrections.edits:
        return clip, ()
    base = stack(clip)
    xy, confidence, flags = base.xy.copy(), base.confidence.copy(), base.flags.copy()
    frames, people = base.present.shape
    scale = np.ones(2)
    if (canvas := corrections.canvas) is not None:
        scale = np.array([clip.canvas.width / canvas.width, clip.canvas.height / canvas.height])
    idle = 0
    for edit in corrections.edits:
        if edit.person >= people or edit.first >= frames:
            idle += 1
            continue
        rows = slice(edit.first, edit.last + 1)
        at = (rows, edit.person, SLICES[edit.part].start + edit.joint)
        offset = np.array(edit.xy) * scale
        xy[at] = offset if edit.kind == "place" else base.xy[at] + offset
        confidence[at] = {"move": base.confidence[at], "place": 1.0, "hide": 0.0}[edit.kind]
        flags[at] = base.flags[at] | Flag.EDITED
    used = len(corrections.edits) - idle
    notes = [f"corrected by hand: {used} of {len(corrections.edits)} edits"]
    if idle:
        notes.append(
            f"warning: {idle} edits name frames or people that this clip of {frames} frames and "
            f"{people} people does not have; they are kept and do nothing"
        )
    return unstack(clip, xy, confidence, flags), tuple(notes)


def _canvas(value: Any) -> Size | None:  # noqa: ANN401  (JSON)
    if value is None:
        return None
    fits = isinstance(value, list) and len(value) == 2
    if not fits or not all(_is_number(side) and 1 <= side <= LARGEST_PX for side in value):
        raise _refused(
            f"canvas {short(value)}", f"it must be width and height, 1 to {LARGEST_PX} pixels"
        )
    return Size(round(value[0]), round(value[1]))


def _edit(place: int, entry: Any) -> Edit:  # noqa: ANN401  (JSON)
    if not isinstance(entry, Mapping):
        raise _refused(f"edit {place} {short(entry)}", "it must be an object")
    part = entry.get("part")
    if not isinstance(part, str) or part not in PART_JOINTS:
        raise _refused(
            f"edit {place} with part {short(part)}", f"it must be one of {', '.join(PART_JOINTS)}"
        )
    limits = {"person": 999, "joint": PART_JOINTS[part] - 1}
    limits |= {"first": _LARGEST_FRAME, "last": _LARGEST_FRAME}
    numbers = {name: _whole(place, name, entry.get(name), limits[name]) for name in limits}
    if numbers["last"] < numbers["first"]:
        raise _refused(
            f"edit {place} from frame {numbers['first']} to {numbers['last']}",
            "the last frame must not come before the first",
        )
    kinds = [kind for kind in KINDS if entry.get(kind)]
    if len(kinds) != 1:
        raise _refused(f"edit {place} {short(entry)}", f"it must have one of {', '.join(KINDS)}")
    kind, xy = kinds[0], (0.0, 0.0)
    if kind != "hide":
        xy = _point(place, kind, entry[kind])
    return Edit(part=part, kind=kind, xy=xy, **numbers)


def _whole(place: int, name: str, value: Any, largest: int) -> int:  # noqa: ANN401  (JSON)
    if not _is_number(value) or value != int(value) or not 0 <= value <= largest:
        raise _refused(
            f"edit {place} with {name} {short(value)}",
            f"it must be a whole number from 0 to {largest}",
        )
    return int(value)


def _point(place: int, kind: str, value: Any) -> tuple[float, float]:  # noqa: ANN401  (JSON)
    fits = isinstance(value, list) and len(value) == 2
    if not fits or not all(_is_number(part) and abs(part) <= LARGEST_PX for part in value):
        raise _refused(
            f"edit {place} with {kind} {short(value)}",
            f"it must be x and y, at most {LARGEST_PX} pixels",
        )
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:  # noqa: ANN401  (JSON)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _refused(got: str, rule: str) -> InputError:
    return InputError(f"corrections got {got}; {rule}. {_WAY_OUT}")
