"""Several persons in the motion of `animate`, each with a reference picture of its own."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InputError
from ..types import Size

if TYPE_CHECKING:
    from ..animate.keeping import FrameInputs
    from .driving import Driving


def add_persons_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option for several persons."""
    text = "each --reference belongs to another person of the motion, in the order of its people; "
    text += "inside a person's outline attention looks at that person's picture alone. Two persons "
    text += "take about 1.4 times the operations of one, three 1.6 times"
    parser.add_argument("--per-person", action="store_true", help=text)


def check_persons(options: argparse.Namespace, driving: "Driving") -> None:
    """Raise InputError for options that contradict several persons."""
    if not options.per_person:
        return
    if options.retarget not in (None, "none"):
        raise InputError(
            f"retarget got {options.retarget} with per-person; retargeting places a skeleton where "
            "the person of its picture stands, so that several persons with pictures of their own "
            "would stand on each other. Leave --retarget out; if bodies differ much, take pictures "
            "of people with the proportions of those in the motion."
        )
    if driving.kind == "skeleton":
        raise InputError(
            f"per-person got {driving.path}, a clip of drawn skeletons, which does not say whose "
            "limbs are whose. Give keypoints, or the video of the people."
        )


def with_regions(
    options: argparse.Namespace,
    inputs: "Iterator[FrameInputs]",
    driving: "Driving",  # ready to be drawn
    size: Size,
) -> "Iterator[FrameInputs]":
    """Yield the inputs of each frame with the regions of its persons, if these are wanted."""
    from ..animate.persons import regions_of_frame

    for row, each in enumerate(inputs):
        if not options.per_person or driving.clip is None:
            yield each
            continue
        regions = regions_of_frame(driving.clip, driving.frames[row], size)
        yield replace(each, regions=regions)
