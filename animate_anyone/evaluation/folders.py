"""Compare finished clips of any model with the true ones: two folders, matched by file name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..media import ClipInfo, clip_info, frames_of, to_pixels
from ..media.files import is_hidden, is_picture
from ..names.some import some
from .compared import Compared
from .instruments import at_compared_size, check_sets
from .kept.identity import of_clip
from .kept.row import ClipRow
from .measure import RESULT, Measured, gathered, measure_clip
from .metrics.metric import Case, Instruments
from .protocol import Protocol

CLIP_SUFFIXES = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


@dataclass(frozen=True)
class ClipPair:
    """A clip and the true one of the same name."""

    name: str
    result: ClipInfo
    truth: ClipInfo
    compared: Compared  # the frames that are compared


def match_folders(
    results: Path,  # video files, pictures, and folders of pictures: one clip each
    truths: Path,  # the same, with the same names
    protocol: Protocol,  # gives the frames to compare
) -> list[ClipPair]:
    """Pair the clips by name; InputError, with the names, for clips that do not fit."""
    found, true = _clips_in(results, "--results"), _clips_in(truths, "--truth")
    lonely = [
        f"{what}: {some(names)}"
        for what, names in (
            (f"only in {results}", sorted(set(found) - set(true))),
            (f"only in {truths}", sorted(set(true) - set(found))),
        )
        if names
    ]
    if lonely:
        raise InputError(
            f"--results and --truth got clips without partner ({'; '.join(lonely)}); every clip "
            "needs one of the same name. Add the missing clips, or move the others away."
        )
    pairs = [_paired(name, found[name], true[name], protocol) for name in sorted(found)]
    unlike = [
        f"{pair.name} ({_described(pair.result)} against {_described(pair.truth)})"
        for pair in pairs
        if (pair.result.size, pair.result.frames) != (pair.truth.size, pair.truth.frames)
    ]
    if unlike:
        raise InputError(
            f"--results and --truth got clips that differ in size or length: {some(unlike)}; "
            "a clip and its truth must have the same frames. Cut and resize one to the other."
        )
    return pairs


def _paired(name: str, result: Path, truth: Path, protocol: Protocol) -> ClipPair:
    ours, true = clip_info(result), clip_info(truth)
    taken = range(0, true.frames, protocol.stride)[: protocol.frames]
    notes = [f"Result: {note}" for note in ours.notes] + [f"Truth: {note}" for note in true.notes]
    compared = Compared(taken, true.frames, protocol.frames, tuple(notes))
    return ClipPair(name, ours, true, compared)


def compared_frames(pairs: list[ClipPair]) -> dict[str, Compared]:
    """Return the compared frames of every clip, by name."""
    return {pair.name: pair.compared for pair in pairs}


def measure_folders(
    pairs: list[ClipPair],
    protocol: Protocol,
    instruments: Instruments,
    progress: Callable[[int], None] | None = None,  # called with the number of clips done
) -> dict[str, Measured]:
    """Return the figures of finished clips, which are read and measured one at a time."""
    check_sets(instruments, lengths_of(pairs, protocol))
    rows = []
    for index, pair in enumerate(pairs):
        rows.append(measure_finished(pair, protocol, instruments, index))
        if progress is not None:
            progress(index + 1)
    return gathered(rows, protocol.weighted)


def measure_finished(
    pair: ClipPair,
    protocol: Protocol,
    instruments: Instruments,
    place: int,  # of the clip in the whole test
) -> ClipRow:
    """Return the figures of one finished clip; they depend on nothing but the arguments.

    The driving skeletons are not known. Instead the same pose pair reads those of the true clip.
    """
    truth, result = (_read(info, pair, protocol) for info in (pair.truth, pair.result))
    pose = instruments.pose
    case = Case(
        name=pair.name,
        truth=truth,
        fps=_fps(pair, protocol),
        skeletons=None if pose is None else pose.read_pixels(truth),
    )
    return measure_clip([(RESULT, result)], case, instruments, place)


def lengths_of(pairs: list[ClipPair], protocol: Protocol) -> list[tuple[str, int, float]]:
    """Return name, compared frames and frames per second of every clip."""
    return [(pair.name, len(pair.compared.frames), _fps(pair, protocol)) for pair in pairs]


def content_of_pair(pair: ClipPair) -> str:
    """Return a hash of the files of a clip and its truth, by which other ones are noticed."""
    return " ".join(of_clip(info.path) for info in (pair.result, pair.truth))


def _fps(pair: ClipPair, protocol: Protocol) -> float:
    """Return the frame rate of the compared frames."""
    return float(pair.truth.fps or protocol.fps) / protocol.stride


def _read(info: ClipInfo, pair: ClipPair, protocol: Protocol) -> Tensor:
    """Return the frames that the protocol takes, at its size, (f, 3, H, W) in 0..1."""
    taken = islice(frames_of(info), 0, None, protocol.stride)
    asked = len(pair.compared.frames)
    frames = [at_compared_size(to_pixels(f[None]), protocol) for f in islice(taken, asked)]
    if len(frames) < asked:
        raise InputError(
            f"{info.path} got {len(frames)} frames of {asked} in its header; it is damaged or cut "
            "short. Export it again."
        )
    return torch.cat(frames)


def _clips_in(folder: Path, option: str) -> dict[str, Path]:
    """Return the clips of a folder by name, without their suffix."""
    if not folder.is_dir():
        raise InputError(f"{option} got {folder}; there is no such folder. Check the path.")
    found: dict[str, Path] = {}
    for path in _candidates(folder):
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise InputError(
                f"{option} got two clips named {name} ({found[name].name} and {path.name}); names "
                "match results to truths. Move one of them away."
            )
        found[name] = path
    if not found:
        raise InputError(
            f"{option} got {folder}, which holds no clip; it must hold video files "
            f"({', '.join(sorted(CLIP_SUFFIXES))}) or folders of pictures. Check the path."
        )
    return found


def _candidates(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        known = path.is_dir() or path.suffix.lower() in CLIP_SUFFIXES or is_picture(path)
        if known and not is_hidden(path):
            yield path


def _described(info: ClipInfo) -> str:
    return f"{info.frames} frames of {info.size.width}x{info.size.height}"
