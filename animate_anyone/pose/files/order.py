"""Who is who: people of a file by the numbers that it gives them, else followed by place."""

from collections.abc import Mapping

from ...types import PoseClip
from ..people.tracking import follow_people
from .records import Frame, Source

# Names of a person's number, in the order in which they are looked for.
_NUMBERS = ("person_id", "track_id", "idx", "tracking_id", "instance_id", "id")

Slots = list[list[int]]  # of each frame and person: its index in the clip


def numbered(source: Source) -> Slots | None:
    """Return each person's index by the file's own numbers, in order of appearance.

    None if not everybody has a number, if two in a frame share one, if none ever returns, or if
    there is never more than one person.
    """
    for name in _NUMBERS:
        numbers = [[_number(one, name) for one in frame.people] for frame in source.frames]
        if not _is_useful(numbers) or (name == "id" and _is_counted(numbers)):
            _note_changes(numbers, name, source.notes)
            continue
        slots: dict[str, int] = {}
        result = [[slots.setdefault(str(one), len(slots)) for one in frame] for frame in numbers]
        source.notes.append(f"{len(slots)} people, told apart by {name}")
        return result
    return None


def _note_changes(numbers: list[list[str | None]], name: str, notes: list[str]) -> None:
    """Note numbers that change although there is never more than one person."""
    every = [one for frame in numbers for one in frame]
    different = len(set(every))
    if max(map(len, numbers)) < 2 and None not in every and 1 < different < len(every):
        notes.append(
            f"{name} changes: {different} numbers, never two at once; they are taken as one person"
        )


def followed(clip: PoseClip, frames: list[Frame], notes: list[str]) -> PoseClip:
    """Return the clip with people in one order throughout, followed as in extraction."""
    most = max(len(frame.people) for frame in frames)
    if most < 2 or len(frames) < 2:
        return clip
    following = follow_people(clip)
    people = following.clip.body.xy.shape[1]
    if people == 0:  # all points are faint
        return clip
    notes.append(f"{people} people, followed from frame to frame by their places")
    notes += following.notes()
    return following.clip


def _is_useful(numbers: list[list[str | None]]) -> bool:
    every = [one for frame in numbers for one in frame]
    if max(map(len, numbers)) < 2 or len(numbers) < 2 or None in every:
        return False
    if any(len(set(frame)) < len(frame) for frame in numbers):
        return False
    return len(set(every)) < len(every)


def _is_counted(numbers: list[list[str | None]]) -> bool:
    """Return whether the numbers only count the people of each frame."""
    return all(frame == [str(index) for index in range(len(frame))] for frame in numbers)


def _number(person: Mapping, name: str) -> str | None:
    """Return a person's number as text; None if there is none, or -1, which means unused."""
    value = person.get(name)
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or str(value) in ("", "-1"):
        return None
    return str(value)
