"""Readers of files whose frames are not a plain list of records: COCO, mmpose, AlphaPose, ..."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import gcd
from typing import TypeGuard

from ...errors import InputError
from ...names.frames import natural, number_in, stem_of
from .points import short
from .records import Frame, Record, Source, canvas_in, is_list, is_person, is_record

ReadFrame = Callable[[object, int], Frame]  # reads the record of the frame with this number

_EMPTY = Frame(people=[])
_MOST_GAPS = 10  # missing frames for each that is there; with more, numbers are no frame numbers
_FEW_GAPS = 300  # missing frames that are always allowed: ten seconds at usual speeds
# Names of a frame's number in its record, and of the image of a person in a flat list of people.
_FRAME_NUMBERS = ("frame_index", "frame_id", "frame_number", "frame_num", "frame_idx", "frame")
_IMAGES = ("image_id", "image_name", "file_name", "filename", *_FRAME_NUMBERS)
_BOXES = ("bbox", "box", "bbox_score", "keypoint_scores")  # only extractors write them


def read_mmpose(value: Record, read: ReadFrame) -> Source:
    """Read the result of mmpose's demos: `instance_info` of a picture, or of each frame."""
    instances, about = value["instance_info"], value.get("meta_info") or {}
    if not is_list(instances):
        raise InputError(
            f"keypoints got instance_info {short(instances)}; it must be a list. Save mmpose's "
            "result again."
        )
    if instances and all(is_person(one) for one in instances):
        source = Source(kind="", frames=[read(instances, 0)])
    else:
        source = read_list(instances, read)
    source.frames = source.frames or [_EMPTY]
    source.names = _names(about.get("keypoint_id2name") if is_record(about) else None)
    return source


def read_coco(value: Record, read: ReadFrame) -> Source:
    """Read annotations of COCO: a frame for each image, in the natural order of the file names."""
    annotations, images = value["annotations"], value.get("images")
    categories = value.get("categories")
    others = [each for each in (images, categories) if each is not None]
    if not all(map(_are_records, [annotations, *others])):
        raise InputError(
            "keypoints got annotations, images or categories that are no lists of records; they "
            "must be as in COCO's files. Export them again."
        )
    notes, names = [], None
    with_points = [one for one in annotations if is_person(one)]
    if len(with_points) < len(annotations):
        left = len(annotations) - len(with_points)
        notes.append(f"{left} of {len(annotations)} annotations have no keypoints: left out")
    if annotations and not with_points:
        raise InputError(
            "keypoints got annotations without keypoints; they must be those of COCO's keypoint "
            "task. Choose that file."
        )
    for category in categories or []:
        if category.get("keypoints"):
            names = _names(category["keypoints"])
            break
    if not images:
        source = _by_image(with_points, read, notes)
        source.names = names
        return source
    ordered = sorted(
        images, key=lambda image: natural(str(image.get("file_name", image.get("id"))))
    )
    places = {_key(image.get("id")): index for index, image in enumerate(ordered)}
    people: list[list[Record]] = [[] for _ in ordered]
    lost = 0
    for one in with_points:
        place = places.get(_key(one.get("image_id")))
        if place is None:
            lost += 1
        else:
            people[place].append(one)
    if lost:
        notes.append(f"{lost} annotations belong to no image of the file: left out")
    frames = [
        Frame(
            people=read(people[index], index).people if people[index] else [],
            canvas=canvas_in(image),
        )
        for index, image in enumerate(ordered)
    ]
    notes.append(f"each of the {len(frames)} images is a frame, by file name")
    return Source(kind="", frames=frames, names=names, notes=notes)


def read_frames(value: Record, read: ReadFrame) -> Source:
    """Read a record whose `frames` (or `data`) are a list of frames, or frames by number."""
    inner = value["frames"] if "frames" in value else value["data"]
    if is_by_number(inner):
        source = read_by_number(inner, read)
    elif is_list(inner):
        source = read_list(inner, read)
    else:
        raise InputError(
            f"keypoints got frames {short(inner)}; it must be a list of frames. Export the "
            "keypoints again."
        )
    if not source.frames:
        raise InputError("keypoints got no frames; a clip needs at least one. Export it again.")
    source.frames = [_on(frame, canvas_in(value)) for frame in source.frames]
    names = value.get("keypoint_names")
    source.names = _names(names)
    return source


def read_list(records: Sequence[object], read: ReadFrame) -> Source:
    """Read a list of frames: by their numbers if each has one of its own, else one by one."""
    name, places = _numbers_of(records)
    if name is None:
        return Source(kind="", frames=[read(record, index) for index, record in enumerate(records)])
    notes: list[str] = []
    if sorted(places) != list(places):
        notes.append(f"frames come in the order of their {name}, not of the list")
    numbers, step = _without_gaps(sorted(places), notes)
    frames = [
        _EMPTY if number is None else read(records[places[number]], index)
        for index, number in enumerate(numbers)
    ]
    return Source(kind="", frames=frames, step=step, notes=notes)


def _numbers_of(records: Sequence[object]) -> tuple[str | None, dict[int, int]]:
    """Return the name of the frames' numbers, and the place of each; None if they have none."""
    for name in _FRAME_NUMBERS if len(records) > 1 else ():
        numbers = [_whole(one.get(name)) if is_record(one) else None for one in records]
        places = {number: index for index, number in enumerate(numbers) if number is not None}
        if len(places) == len(records):
            return name, places
    return None, {}


def in_order(records: Sequence[Record]) -> list[Record]:
    """Return records of frames by their numbers, if each has one of its own, else as they are."""
    _, places = _numbers_of(records)
    return [records[places[number]] for number in sorted(places)] or list(records)


def names_image(records: Sequence[Record]) -> bool:
    """Return whether records are people who name their image, so that images give the order."""
    return any(name in one for one in records[:1] for name in _IMAGES[: -len(_FRAME_NUMBERS)])


def _whole(value: object) -> int | None:
    """Return a whole number, which may be written as text; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 18:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_by_number(value: object) -> bool:
    """Return whether a value is a record of frames whose keys are their numbers or file names."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(key, str) and number_in(key) is not None for key in value)
        and all(is_record(one) or is_list(one) or one is None for one in value.values())
        and len({stem_of(key) for key in value}) == 1
    )


def read_by_number(value: Record, read: ReadFrame) -> Source:
    """Read frames by number, in the order of the numbers; missing ones show nobody."""
    _refuse_twice(list(value))
    records = {number_in(key): one for key, one in value.items()}
    numbers = sorted(number for number in records if number is not None)
    notes: list[str] = []
    every, step = _without_gaps(numbers, notes)
    frames = [
        _EMPTY if number is None or not records[number] else read(records[number], index)
        for index, number in enumerate(every)
    ]
    return Source(kind="", frames=frames, step=step, notes=notes)


def is_detections(value: object) -> bool:
    """Return whether a value is a list of people who name their image, as AlphaPose writes it."""
    return (
        is_list(value)
        and bool(value)
        and all(is_person(one) for one in value)
        and _image_name(value) is not None
    )


def read_detections(value: Sequence[Record], read: ReadFrame) -> Source:
    """Read people who name their image; images with nobody are missing in such files."""
    return _by_image(value, read, [])


def is_one_picture(value: object) -> bool:
    """Return whether a value is a list of people with boxes, as extractors write for a picture."""
    return (
        is_list(value)
        and bool(value)
        and all(is_person(one) and any(name in one for name in _BOXES) for one in value)
    )


def read_one_picture(value: Sequence[Record], read: ReadFrame) -> Source:
    """Read the people of one picture."""
    notes = [] if len(value) == 1 else [f"the {len(value)} entries are people of one picture"]
    return Source(kind="", frames=[read(value, 0)], notes=notes)


def _image_name(people: Sequence[Record]) -> str | None:
    """Return the name of the field in which all people name their image, or frame."""
    for name in _IMAGES:
        if all(isinstance(one.get(name), int | float | str) for one in people):
            return name
    return None


def _refuse_twice(names: Sequence[str]) -> None:
    """Raise if two names of frames hold the same number: one of the two would be lost."""
    numbers = list(map(number_in, names))
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise InputError(
            f"keypoints got frame number {twice} twice; each frame needs a number of its own. "
            "Export the keypoints again."
        )


def _by_image(people: Sequence[Record], read: ReadFrame, notes: list[str]) -> Source:
    groups: dict[str, list[Record]] = {}
    image = _image_name(people) or _IMAGES[0]
    for one in people:
        groups.setdefault(_key(one.get(image)), []).append(one)
    names, step = sorted(groups, key=natural), 1
    if is_by_number(groups):
        _refuse_twice(names)
        places = {number_in(name): name for name in names}
        numbers = sorted(number for number in places if number is not None)
        wanted, step = _without_gaps(numbers, notes)
        ordered = [None if number is None else places[number] for number in wanted]
    else:
        ordered = list(names)
        notes.append(f"each of the {len(names)} images is a frame, by name")
    frames = [
        _EMPTY if name is None else read(groups[name], index) for index, name in enumerate(ordered)
    ]
    return Source(kind="", frames=frames, step=step, notes=notes)


def _without_gaps(
    numbers: Sequence[int],  # rising
    notes: list[str],
) -> tuple[list[int | None], int]:  # None: a frame of which the file says nothing
    """Return the numbers with a place for each that is missing between them, and their step.

    Numbers in even steps, such as every second frame, have no gaps.
    """
    step = 0
    for before, after in pairwise(numbers):
        step = gcd(step, after - before)
    step = step or 1
    count = (numbers[-1] - numbers[0]) // step + 1
    gaps = count - len(numbers)
    if numbers[0] > 1:
        notes.append(f"the first frame is number {numbers[0]}: the clip begins there")
    if step > 1:
        notes.append(f"frame numbers rise by {step}: each is the next frame of the clip")
    if not gaps:
        return list(numbers), step
    if gaps > max(_FEW_GAPS, _MOST_GAPS * len(numbers)):
        notes.append(f"{gaps} numbers are missing, too many for gaps: frames follow one another")
        return list(numbers), 1
    notes.append(f"{gaps} of {count} frame numbers are missing: these frames show nobody")
    there = set(numbers)
    every = range(numbers[0], numbers[-1] + 1, step)
    return [number if number in there else None for number in every], step


def _on(frame: Frame, canvas: tuple[object, object] | None) -> Frame:
    """Return the frame on the file's canvas, unless it names its own."""
    return frame if frame.canvas is not None or canvas is None else replace(frame, canvas=canvas)


def _key(image_id: object) -> str:
    return str(image_id)


def _are_records(value: object) -> TypeGuard[Sequence[Record]]:
    return is_list(value) and all(is_record(one) for one in value)


def _names(names: object) -> tuple[str, ...] | None:
    """Return the names of keypoints, given as a list or by number."""
    if is_record(names):
        numbers = sorted(names, key=lambda key: natural(str(key)))
        names = [names[key] for key in numbers]
    if not is_list(names) or not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)
