"""What no training run has seen: drawn characters and motions, and the test clips of a data set."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..evaluation.compared import Compared
from ..evaluation.pairs import Pair
from ..evaluation.protocol import Protocol
from ..media import to_pixels
from ..pose.draw import draw_pose
from ..types import Size
from .characters import make_character
from .clips.manifest import ClipDataset, ClipEntry, Span
from .data import skeletons_of
from .motions import make_motion
from .painting import background_of, paint

HELD_OUT = 1_000_000  # training seeds stay below
SIZE = Size(128, 128)
FPS = 30.0  # at which the motions look like people moving


def held_out_pairs(
    count: int = 64, frames: int = 1, size: Size = SIZE, first: int = 0
) -> Iterator[Pair]:
    """Yield pairs of the test, from a number on."""
    for index in range(first, first + count):
        yield held_out_pair(index, frames, size)


def held_out_pair(
    index: int,  # names the character and its motion
    frames: int = 1,
    size: Size = SIZE,
    stride: int = 1,  # frames of the motion per frame of the clip
) -> Pair:
    """Return a pair; its reference is a moment of another motion of the same character."""
    rng = np.random.default_rng((HELD_OUT, index))
    character = make_character(rng)
    posing, motion = make_motion(rng), make_motion(rng)
    reference = paint(character, posing.angles(float(rng.integers(200))), size)
    start = float(rng.integers(200))
    times = [start + stride * frame for frame in range(frames)]
    paintings = [paint(character, motion.angles(time), size) for time in times]
    masks = torch.from_numpy(np.stack([p.mask for p in paintings]))
    near = torch.nn.functional.max_pool2d(masks[:, None].float(), 7, 1, 3)[:, 0]
    skeletons = skeletons_of(paintings, size)
    return Pair(
        name=f"character {index}",
        reference=_pixels(reference.picture)[None],
        poses=draw_pose(skeletons),
        skeletons=skeletons,
        truth=torch.stack([_pixels(p.picture) for p in paintings]),
        fps=FPS / stride,
        background=_pixels(background_of(character, size)),
        near=near > 127,
    )


def _pixels(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def entries_to_test(dataset: ClipDataset) -> tuple[ClipEntry, ...]:
    """Return the test clips of a prepared data set; InputError if it has none."""
    entries = dataset.split("test")
    if not entries:
        raise InputError(
            f"data got {dataset.folder}, none of whose {len(dataset.clips)} clips is a test clip. "
            "Prepare it with --recipe or --split, which say which ones are."
        )
    return entries


def tested_span(entry: ClipEntry, protocol: Protocol) -> range:
    """Return the frames of a clip that a protocol compares: of its longest usable span."""
    span: Span = max(entry.spans, key=len)
    frames = range(span.start, span.stop, protocol.stride)
    return frames[: protocol.frames]


def compared_frames(entries: tuple[ClipEntry, ...], protocol: Protocol) -> dict[str, Compared]:
    """Return which frames of every clip a protocol compares."""
    return {
        entry.name: Compared(tested_span(entry, protocol), entry.frames, protocol.frames)
        for entry in entries
    }


def prepared_pairs(
    dataset: ClipDataset,
    entries: tuple[ClipEntry, ...],
    protocol: Protocol,
) -> Iterator[Pair]:
    """Yield real clips as the paper tests: the first frame, driven by the clip's own poses.

    Only the longest usable span of a clip is compared, whose first frame then is the reference.
    """
    for entry in entries:
        frames = tested_span(entry, protocol)
        pictures = dataset.frames(entry, frames.start, frames[-1] + 1)[:: frames.step]
        truth = to_pixels(pictures)
        rows = slice(frames.start, frames[-1] + 1, frames.step)
        skeletons = dataset.keypoints(entry).at(rows)
        yield Pair(
            name=entry.name,
            reference=truth[:1],
            poses=draw_pose(skeletons),
            skeletons=skeletons,
            truth=truth,
            fps=entry.fps / frames.step,
        )
