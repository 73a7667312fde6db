"""From points in a maker's order to the parts of this project: layouts by count and by names."""

import math
import re
from collections.abc import Container, Sequence
from typing import Any, TypeGuard

import numpy as np

from ...errors import InputError
from ...names.some import some
from ...types import Size
from ..skeleton.arrangement import told_apart
from ..skeleton.faces import FACES
from ..skeleton.joints import PART_JOINTS
from ..skeleton.layouts import (
    ANIMALS_17,
    BODY_25,
    OPENPOSE_18,
    OPENPOSE_25,
    RIVALS,
    Layout,
    file_layouts,
    layouts_of,
)
from ..skeleton.names import named_layout
from .points import Read, Triples, read_points
from .records import (
    FIELDS,
    OTHER_SCORES,
    OWN_SCORES,
    SCORES,
    SURE_SCORES,
    Record,
    Source,
    is_list,
)
from .units import slope_notes, to_shares

_LANDMARKS = "andmark"  # in the names of MediaPipe's fields
_BETWEEN = 0.05  # of the body's span: how far from the middle of the hips BODY_25's point 8 may lie
_ALIKE = 0.01  # third numbers and confidences that differ by less are the same
_SHORT_HIP = 0.4  # of neck to point 8: from the middle to a hip is less, a thigh is more

_PART = re.compile("hand|face|foot|feet|finger", re.IGNORECASE)
_LEAST_NUMBERS = 5  # of points; a box has four or five
_NO_POINTS = re.compile("3d|box|valid|score|visib|^aa_", re.IGNORECASE)

Parts = dict[str, Triples]  # one person in one frame, each part at its full length


class _BodyCounts(Container[int]):
    """The numbers of points that a body may have."""

    def __contains__(self, count: object) -> bool:
        """Return whether a layout has this number of points."""
        return isinstance(count, int) and bool(layouts_of(count))


_COUNTS: dict[str, Container[int]] = {
    "body": _BodyCounts(),
    "left_hand": (21,),
    "right_hand": (21,),
    "face": FACES,
    "feet": (6,),
}


def parts_of(source: Source) -> list[list[Parts]]:
    """Return every person's parts, still in the units of the file; adds notes to the source.

    InputError for lists of another length than any layout's, with the known ones.
    """
    raw = [
        [
            {part: _read(person, part, frame, source.notes) for part in FIELDS}
            for person in content.people
        ]
        for frame, content in enumerate(source.frames)
    ]
    every = [person for people in raw for person in people]
    if any(not read.is_sure and len(read.triples) for person in every for read in person.values()):
        source.notes.append("points have no confidence: all but those at (0, 0) count as seen")
    if any(read.is_deep for person in every for read in person.values()):
        source.notes.append("points have four numbers: taken as x, y, depth and confidence")
    source.notes += _unread_parts(source)
    source.notes += slope_notes([person["body"] for person in every])
    to_shares(every, source.notes)
    layouts = _layouts(source, raw)
    result = [
        [_parts(person, layouts, frame) for person in raw[frame]] for frame in range(len(raw))
    ]
    _fill_from_body([p for people in result for p in people], every, layouts)
    used = {layouts[_layout_key(person["body"])].name for person in every if _has_body(person)}
    source.notes += [f"bodies are {name}" for name in sorted(used - {OPENPOSE_18.name})]
    return result


def _unread_parts(source: Source) -> list[str]:
    """Return a note on fields of people that seem to hold hands, face or feet, and are not read."""
    people = [person for frame in source.frames for person in frame.people]
    known = {name for names in FIELDS.values() for name in names}
    asked = [
        name
        for name in set().union(*people) - known
        if _PART.search(name) and not _NO_POINTS.search(name)
    ]
    values = {name: [person.get(name) for person in people] for name in sorted(asked)}
    left = [
        name
        for name, listed in values.items()
        if any(is_list(value) and len(value) > _LEAST_NUMBERS for value in listed)
    ]
    return [f"warning: fields that are not known were left out: {some(left)}"] if left else []


def _has_body(person: dict[str, Read]) -> bool:
    return bool(len(person["body"].triples))


def _read(person: Record, part: str, frame: int, notes: list[str]) -> Read:
    """Read a part of a person from whichever field the maker uses."""
    field = next((name for name in FIELDS[part] if person.get(name) is not None), FIELDS[part][0])
    value = person.get(field)
    scores = None
    if part == "body" and value is not None:
        scores = _scores_of(person, value)
        _refuse_depth_only(person, frame)
    what = f"keypoints frame {frame} got {field}"
    is_depth = _LANDMARKS in field
    read = read_points(value, what, _COUNTS[part], scores, third_is_depth=is_depth)
    if part == "body" and scores is None and read.is_sure:
        notes += _third_notes(person, value, read.triples)
    if OWN_SCORES not in person:
        read.triples[(read.triples[:, :2] == -1).all(1)] = 0
    count = len(read.triples)
    if part != "body":
        read = Read(read.triples, None, read.is_sure)  # names are those of bodies
    if count and read.names is None and count not in _COUNTS[part]:
        if not read.triples.any():
            return Read(read.triples[:0])
        raise InputError(
            f"{what} with {count} points; known are {_known(part)}. Export the keypoints in one "
            f"of these layouts."
        )
    return read


def _scores_of(person: Record, value: object) -> object | None:
    """Return the confidences of a body that are listed apart; None if there are none."""
    listed = [one for name in SCORES if is_list(one := person.get(name)) and len(one) > 1]
    if listed or not _are_pairs(value):
        return next(iter(listed), None)
    # Names that may mean something else, so they count only where each point has one and no other.
    listed = [one for name in OTHER_SCORES if is_list(one := person.get(name))]
    return next((one for one in listed if len(one) == len(value) > 1), None)


def _third_notes(person: Record, value: object, body: Triples) -> list[str]:
    """Return a warning if the third numbers of points are other than the confidences beside them.

    One of the two is no confidence; which one, only the maker knows.
    """
    third = body[:, 2]
    for name in SURE_SCORES if len(third) else ():
        listed = person.get(name)
        try:
            scores = np.asarray(listed if is_list(listed) else (), np.float64)
        except (TypeError, ValueError):
            continue
        if scores.shape != third.shape or np.ptp(scores) == 0:
            continue
        off = [np.abs(scores - third / unit)[third > 0] > _ALIKE for unit in (1, 100)]
        if all(each.any() for each in off) and not _are_pairs(value):
            return [
                f"warning: points have a third number, and confidences stand apart ({name}): the "
                "third is taken as the confidence. If it is a depth, export x and y alone"
            ]
    return []


def _are_pairs(value: object) -> TypeGuard[Sequence[Any]]:
    return is_list(value) and all(is_list(one) and len(one) == 2 for one in value)


def _refuse_depth_only(person: Record, frame: int) -> None:
    """Raise for a person of whom only points in space are known: it is not nobody."""
    deep = [name for name in person if name.endswith("_3d") and person[name]]
    flat = [person.get(name) for names in FIELDS.values() for name in names]
    if deep and not any(flat):
        raise InputError(
            f"keypoints frame {frame} got {', '.join(deep)} and no points of the picture; poses "
            "in space cannot be drawn. Export the 2-D keypoints."
        )


def _known(part: str) -> str:
    if part == "body":
        return f"bodies of {file_layouts()}"
    counts = FACES if part == "face" else _COUNTS[part]
    several = "feet" if part == "feet" else f"{part.replace('_', ' ')}s"
    return f"{several} of {', '.join(map(str, counts))}"  # type: ignore[arg-type]


def _layout_key(read: Read) -> object:
    return read.names or len(read.triples)


def _layouts(source: Source, raw: list[list[dict[str, Read]]]) -> dict[object, Layout]:
    """Return the layout of each kind of body in the file: by its names if it has some, or count."""
    result: dict[object, Layout] = {}
    openpose = any(frame.openpose for frame in source.frames)
    bodies: dict[object, list[Read]] = {}
    for people in raw:
        for person in people:
            if _has_body(person):
                bodies.setdefault(_layout_key(person["body"]), []).append(person["body"])
    for key, reads in bodies.items():
        names, count = reads[0].names or source.names, len(reads[0].triples)
        if names is not None and len(names) == count and count not in (133, 134, 136):
            result[key] = named_layout(names)
            continue
        result[key] = _of_count(count, [read.triples for read in reads], source, openpose)
    return result


def _of_count(count: int, bodies: list[Triples], source: Source, openpose: bool) -> Layout:
    """Return the layout of bodies without names, by their number of points and by their places."""
    usual = [layout for layout in layouts_of(count) if layout not in RIVALS]
    own = any(OWN_SCORES in person for frame in source.frames for person in frame.people)
    rival = None if own else told_apart(usual, np.stack(bodies))
    if rival is ANIMALS_17:
        raise InputError(
            f"keypoints got bodies of {count} points that lie as those of animals do (AP-10K: "
            "eyes, nose, neck, root of the tail, four legs); only people can be animated. Use an "
            "extractor of human poses, or name the points in the file if they are people's."
        )
    if rival is not None:
        source.notes.append(f"told from {usual[0].name} by where the points lie: {rival.name}")
        if rival.head_as_nose:
            source.notes.append(f"{rival.name} knows no nose: the middle of the head is taken")
        return rival
    if BODY_25 in usual and not openpose:
        return _of_25(bodies, source)
    return usual[0]


def _of_25(bodies: list[Triples], source: Source) -> Layout:
    """Return the layout of bodies of 25 points, which two layouts have.

    Only OpenPose's BODY_25 has point 8 in the middle between 9 and 12 (the hips). Without both
    hips, eyes and ears tell, which are points 14 to 17 of one layout and 15 to 18 of the other,
    and then the length from point 8 to 9, which is half of the hips or a thigh.
    """
    votes = [vote for vote in map(_hips_vote, bodies) if vote is not None]
    votes = votes or [vote for vote in map(_head_vote, bodies) if vote is not None]
    votes = votes or [vote for vote in map(_thigh_vote, bodies) if vote is not None]
    if votes:
        return BODY_25 if 2 * sum(votes) > len(votes) else OPENPOSE_25
    source.notes.append("nothing tells BODY_25 from OpenPose 18 with more points: taken as BODY_25")
    return BODY_25


def _hips_vote(body: Triples) -> bool | None:
    middle, right, left = body[[8, 9, 12]]
    if min(middle[2], right[2], left[2]) <= 0:
        return None
    span = math.dist(right[:2], left[:2]) + math.dist(body[1][:2], middle[:2])
    off = math.dist(middle[:2], (right[:2] + left[:2]) / 2)
    return off / max(span, 1e-9) < _BETWEEN


def _head_vote(body: Triples) -> bool | None:
    seen = body[:, 2] > 0
    middle = [point for point in (15, 16, 17) if seen[point]]
    if not middle or not (seen[14] or seen[18]):
        return None
    centre = body[middle, :2].mean(0)
    far = [math.dist(body[i, :2], centre) if seen[i] else math.inf for i in (14, 18)]
    return far[1] < far[0]


def _thigh_vote(body: Triples) -> bool | None:
    neck, eight, nine = body[[1, 8, 9]]
    if min(neck[2], eight[2], nine[2]) <= 0:
        return None
    return math.dist(eight[:2], nine[:2]) < _SHORT_HIP * math.dist(neck[:2], eight[:2])


def _parts(person: dict[str, Read], layouts: dict[object, Layout], frame: int) -> Parts:
    """Return the parts at full length; the body's is filled in later unless it is OpenPose's 18."""
    parts = {}
    for part, count in PART_JOINTS.items():
        triples = person[part].triples
        if part == "body" and len(triples) and layouts[_layout_key(person[part])] != OPENPOSE_18:
            triples = triples[:0]
        if part == "face" and len(triples):
            triples = triples[list(FACES[len(triples)])]
        parts[part] = triples if len(triples) else np.zeros((count, 3))
    return parts


def _fill_from_body(
    people: list[Parts], raw: list[dict[str, Read]], layouts: dict[object, Layout]
) -> None:
    """Convert bodies of other layouts, all of one layout at once; own fields have precedence."""
    for key, layout in layouts.items():
        rows = [
            index
            for index, person in enumerate(raw)
            if _has_body(person) and _layout_key(person["body"]) == key
        ]
        if layout == OPENPOSE_18 or not rows:
            continue
        triples = np.stack([raw[index]["body"].triples for index in rows])
        clip = layout.to_clip(Size(1, 1), triples[None, :, :, :2], triples[None, :, :, 2])
        for part in PART_JOINTS:
            points = getattr(clip, part)
            table = np.concatenate([points.xy[0], points.confidence[0, :, :, None]], -1)
            for row, index in enumerate(rows):
                if not people[index][part][:, 2].any():
                    people[index][part] = table[row]
