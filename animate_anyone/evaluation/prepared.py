"""The test clips of a prepared data set, compared as the paper does."""

from collections.abc import Iterator

from ..dataset.manifest import ClipDataset, ClipEntry, Span
from ..errors import InputError
from ..media import to_pixels
from ..pose.drawing.draw import draw_pose
from .compared import Compared
from .pairs import Pair
from .protocol import Protocol


def entries_to_test(dataset: ClipDataset) -> tuple[ClipEntry, ...]:
    """Return the test clips of a prepared data set; InputError if it has none."""
    entries = dataset.split("test")
    if not entries:
        raise InputError(
            f"data got {dataset.folder}, which has no test clip among its {len(dataset.clips)} "
            "clips. Prepare it with --recipe or --split, which choose the test clips."
        )
    return entries


def tested_span(entry: ClipEntry, protocol: Protocol) -> range:
    """Return the frames of a clip that a protocol compares, all in its longest usable span."""
    span: Span = max(entry.spans, key=len)
    frames = range(span.start, span.stop, protocol.stride)
    return frames[: protocol.frames]


def compared_frames(entries: tuple[ClipEntry, ...], protocol: Protocol) -> dict[str, Compared]:
    """Return the frames of every clip that a protocol compares, by name."""
    return {
        entry.name: Compared(tested_span(entry, protocol), entry.frames, protocol.frames)
        for entry in entries
    }


def prepared_pairs(
    dataset: ClipDataset,
    entries: tuple[ClipEntry, ...],
    protocol: Protocol,
    *,
    dimmed: bool = False,  # skeletons are drawn as `draw_pose` draws them dimmed
) -> Iterator[Pair]:
    """Yield real clips as in the paper's test: the first frame, driven by the clip's own poses.

    Only the longest usable span of a clip is compared; its first frame is the reference.
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
            poses=draw_pose(skeletons, dimmed=dimmed),
            skeletons=skeletons,
            truth=truth,
            fps=entry.fps / frames.step,
        )
