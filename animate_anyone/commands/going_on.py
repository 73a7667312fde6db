"""Options of `animate` for clips that go on or in pieces: where they begin, and what is held."""

import argparse
import logging
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..types import Size

if TYPE_CHECKING:
    from torch import Tensor

    from ..animate import Networks, Sampling
    from ..animate.continuing import Beginning, Piece
    from .driving import Driving

logger = logging.getLogger(__name__)

REFERENCE = "reference"  # in place of a clip: the reference picture is the first frame
USUAL_HELD = 4
_SPEED_SHARE = 0.01  # speeds that differ by less count as equal


def add_going_on_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for clips that continue another one, and for clips in pieces."""
    add = parser.add_argument_group("clips that go on").add_argument
    text = "frame of the motion that the result begins with, from 0 (default: 0, or with "
    text += "--continue-from the number of frames of that clip)"
    add("--start", type=int, metavar="FRAME", help=text)
    text = "begin with the last frames of this clip, which stay as they are, so that no seam is "
    text += f"seen; the result holds what comes after them. Or the word {REFERENCE}: the reference "
    text += "picture is the first frame of the result"
    add("--continue-from", metavar="CLIP", help=text)
    text = "frames that a clip or piece takes over from the one before it, 1 to 8 (default: "
    text += f"{USUAL_HELD})"
    add("--held", type=int, default=USUAL_HELD, metavar="FRAMES", help=text)
    text = "sample, decode and write at most this many frames at a time, each piece continuing the "
    text += "one before; memory does not grow with the clip (default: the whole clip at once)"
    add("--chunk", type=int, metavar="FRAMES", help=text)


@dataclass(frozen=True)
class GoingOn:
    """Where a clip begins, and the pieces in which it is made."""

    driving: "Driving"  # its frames begin with those of the earlier clip
    earlier: Path | None  # the clip that is continued
    begins_with_reference: bool
    held: int  # known first frames of the driving motion
    first: int  # frame of the motion, at the result's speed, that the result begins with
    pieces: "list[Piece]"

    @property
    def shown(self) -> int:
        """Return the number of frames of the result."""
        return len(self.driving.frames) - (self.held if self.earlier else 0)

    @property
    def sound_start(self) -> Fraction:
        """Return the seconds of the motion at which the sound of the result begins."""
        return self.first / self.driving.fps

    def beginning(
        self,
        models: "Networks",
        reference: "Tensor",  # (1, 3, H, W), 0..1, on the device of the networks
        size: Size,
    ) -> "Beginning | None":
        """Return the frames that the clip begins with."""
        from ..animate.continuing import encode_beginning, encode_reference_beginning
        from ..media import to_pixels

        if self.begins_with_reference:
            return encode_reference_beginning(models, reference, size)
        if self.earlier is None:
            return None
        frames = _last_frames(self.earlier, self.held)
        return encode_beginning(models, to_pixels(frames).to(reference))


def frames_limit(options: argparse.Namespace) -> int | None:
    """Return how many frames of the motion to open; all, if the result begins later in it."""
    later = options.start is not None or options.continue_from is not None
    if later and options.frames is not None and options.frames < 1:
        raise InputError(f"frames got {options.frames}; a clip needs 1 or more.")
    return None if later else options.frames


def going_on(
    options: argparse.Namespace,
    driving: "Driving",  # opened with `frames_limit`
    size: Size,  # of the result
    sampling: "Sampling",
) -> GoingOn:
    """Return what the options say; InputError for contradictions, before anything is computed."""
    from ..animate.continuing import check_held, plan_pieces

    if options.continue_from == "":
        raise InputError(
            "continue-from got an empty name. Name a clip, or the word reference, or leave it out."
        )
    plan_pieces(1, options.chunk, options.held)
    from_reference = options.continue_from == REFERENCE
    earlier = None if from_reference or not options.continue_from else Path(options.continue_from)
    count = 0 if earlier is None else _check_earlier(earlier, options.held, driving, size)
    start = count if options.start is None else options.start
    before = options.held if earlier else 0
    _check_start(start, before, len(driving.frames), count)
    end = None if options.frames is None else start + options.frames
    part = replace(driving, frames=driving.frames[start - before : end])
    pieces = plan_pieces(len(part.frames), options.chunk, options.held)
    held = 1 if from_reference else before
    check_held(held, pieces[0].frames, sampling.windows)
    for piece in pieces[1:]:
        check_held(piece.held, piece.frames, sampling.windows)
    return GoingOn(part, earlier, from_reference, held, start, pieces)


def _check_earlier(path: Path, held: int, driving: "Driving", size: Size) -> int:
    """Return the number of frames of the clip to be continued; InputError if it does not fit."""
    from ..media import clip_info

    info = clip_info(path)
    for remark in info.notes:
        logger.warning("%s: %s", path, remark)
    if info.size != size:
        raise InputError(
            f"continue-from got {path} of {info.size.width}x{info.size.height}; the result has "
            f"{size.width}x{size.height}. Give --size {info.size.width}x{info.size.height}, or "
            "scale the clip."
        )
    if info.fps is not None and abs(info.fps - driving.fps) > _SPEED_SHARE * driving.fps:
        raise InputError(
            f"continue-from got {path} with {float(info.fps):g} frames per second; the result has "
            f"{float(driving.fps):g}. Give --fps {float(info.fps):g}."
        )
    if info.frames < held:
        raise InputError(
            f"continue-from got {path} with {info.frames} frames; {held} shall be held. Give "
            f"--held {info.frames} or less."
        )
    return info.frames


def _check_start(start: int, before: int, frames: int, earlier: int) -> None:
    """Check the frame of the motion that the result begins with."""
    if not 0 <= start < frames:
        ends = f" (the clip that is continued has {earlier})" if earlier else ""
        raise InputError(
            f"start got {start}{ends}; the motion has frames 0 to {frames - 1}. Choose a smaller "
            "--start, or a longer motion."
        )
    if start < before:
        raise InputError(
            f"start got {start}; the {before} held frames need their poses, which are those before "
            f"the start. Choose --start {before} or more, or a smaller --held."
        )


def _last_frames(path: Path, count: int) -> Any:  # noqa: ANN401  (numpy is imported late)
    """Return the last frames of a clip, (count, H, W, 3) uint8; only these are kept in memory."""
    from collections import deque

    import numpy as np

    from ..media import frames_of

    last = deque(frames_of(path), maxlen=count)
    if len(last) < count:
        raise InputError(
            f"continue-from got {path}; only {len(last)} of its frames can be read. Export it "
            "again, or hold fewer."
        )
    return np.stack(last)
