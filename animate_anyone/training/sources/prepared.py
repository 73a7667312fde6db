"""Examples of prepared clips, drawn at random: the data of both stages (sections 3.3, 4.1)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from einops import rearrange

from ...dataset.manifest import ClipDataset, ClipEntry, Span
from ...errors import InputError, MediaError
from ...media.fitting import squash
from ...pose.drawing.draw import draw_pose
from ...weights.encoders import CLIP_SIDE
from .batch import Batch, Draw

logger = logging.getLogger(__name__)

USUAL_FPS = 30.0  # strides count frames at this speed, so that faster clips do not look slow


@dataclass(frozen=True)
class _Row:
    """One example, as arrays."""

    name: str
    reference: np.ndarray  # (c, h, w), or (H, W, 3) uint8
    targets: np.ndarray  # (f, c, h, w), or (f, H, W, 3) uint8
    poses: np.ndarray  # (f, H, W, 3) uint8
    thumb: np.ndarray | None  # (H, W, 3) uint8: the reference, at its full size
    token: np.ndarray | None  # (1, d)


class ClipSource:
    """Draws references and targets from the clips of one part of a data set.

    All clips have the same probability. A reference is any usable frame of the clip. In stage 1
    targets are other frames of it, in stage 2 consecutive frames of one span. Cached latents and
    tokens are used if there are any, otherwise uint8 pictures; poses are drawn on access.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        *,
        image_side: int = CLIP_SIDE,  # pixels of the image encoder's square
        split: Literal["train", "test"] = "train",
        strides: tuple[int, int] = (1, 2),  # least and most frames from one target to the next
    ) -> None:
        """Use the clips of one split; InputError if it has none."""
        if not 1 <= strides[0] <= strides[1]:
            raise InputError(
                f"strides got {strides}; they must be 1 or more, the smaller first. 1 and 2 are "
                "usual."
            )
        self.dataset, self.image_side, self.strides = dataset, image_side, strides
        self.entries = dataset.split(split)
        if not self.entries:
            raise InputError(
                f"clips got {dataset.folder}, which has no clip for {split}; its report.md lists "
                "how clips were split. Prepare it with a split that names some."
            )
        self._long_enough: dict[tuple[int, bool], tuple[ClipEntry, ...]] = {}
        self._logged: set[str] = set()  # names of clips whose damage has been logged

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows of a step; MediaError if no clip can be read any more.

        If a clip cannot be read, its row comes from another one, which also depends only on the
        seed; that is logged once per clip.
        """
        entries = self._entries(draw)
        return self._together([self._row(entries, draw, step, row) for row in rows])

    def _entries(self, draw: Draw) -> tuple[ClipEntry, ...]:
        """Return the clips that are long enough; the others are logged once."""
        key = (draw.frames, draw.consecutive)
        if key not in self._long_enough:
            enough = tuple(entry for entry in self.entries if _is_enough(entry, *key))
            short = [entry.name for entry in self.entries if entry not in enough]
            what = "frames in a row" if draw.consecutive else "frames beside the reference"
            if not enough:
                raise InputError(
                    f"frames got {draw.frames}; none of {len(self.entries)} clips has as many "
                    f"{what}. Choose fewer, or add longer clips."
                )
            if short:
                logger.warning(
                    "%d of %d clips are left out, without %d %s: %s",
                    *(len(short), len(self.entries), draw.frames, what, ", ".join(short)),
                )
            self._long_enough[key] = enough
        return self._long_enough[key]

    def _row(self, entries: Sequence[ClipEntry], draw: Draw, step: int, row: int) -> _Row:
        order = np.random.default_rng((draw.seed, step, row)).permutation(len(entries))
        for index in order.tolist():
            entry = entries[index]
            # One generator per clip, so that draws do not depend on clips that failed before.
            rng = np.random.default_rng((draw.seed, step, row, index))
            try:
                return self._read(entry, *self._chosen(entry, draw, rng))
            except MediaError as error:
                if entry.name not in self._logged:
                    self._logged.add(entry.name)
                    logger.warning("another clip is drawn instead of %s: %s", entry.name, error)
        raise MediaError(
            f"clips got {self.dataset.folder}; none of its {len(entries)} clips can be read any "
            "more. Check the disk, and prepare them again."
        )

    def _chosen(
        self, entry: ClipEntry, draw: Draw, rng: np.random.Generator
    ) -> tuple[int, np.ndarray]:
        """Return the frame numbers of the reference and of the targets."""
        usable = entry.usable
        if not draw.consecutive:
            numbers = rng.choice(usable, draw.frames + 1, replace=False)
            return int(numbers[0]), numbers[1:]
        spans = [span for span in entry.spans if len(span) >= draw.frames]
        starts = np.array([len(span) - draw.frames + 1 for span in spans], float)
        span = spans[rng.choice(len(spans), p=starts / starts.sum())]
        stride = self._stride(entry, span, draw.frames, rng)
        last = span.stop - (draw.frames - 1) * stride
        first = int(rng.integers(span.start, last))
        return int(rng.choice(usable)), first + stride * np.arange(draw.frames)

    def _stride(self, entry: ClipEntry, span: Span, frames: int, rng: np.random.Generator) -> int:
        """Return a stride with which the frames fit into the span; a stride of 1 always fits."""
        faster = max(1, round(entry.fps / USUAL_FPS))
        low, high = self.strides
        wanted = faster * int(rng.integers(low, high + 1))
        return min(wanted, (len(span) - 1) // max(1, frames - 1)) if frames > 1 else 1

    def _read(self, entry: ClipEntry, reference: int, targets: np.ndarray) -> _Row:
        dataset = self.dataset
        pose = dataset.keypoints(entry)
        drawn = [draw_pose(pose, frames=range(n, n + 1))[0] for n in targets.tolist()]
        tokens = dataset.tokens(entry) if dataset.has("tokens") else None
        encoded = dataset.has("latents")
        picture = None
        if not encoded or tokens is None:
            picture = dataset.frame(entry, reference)
        if encoded:
            latents = dataset.latents(entry)
            pictures = latents[reference], latents[targets]
        else:
            assert picture is not None
            pictures = picture, np.stack([dataset.frame(entry, n) for n in targets.tolist()])
        return _Row(
            entry.name,
            *pictures,
            poses=np.stack(drawn),
            thumb=picture if tokens is None else None,
            token=None if tokens is None else np.array(tokens[reference]),
        )

    def _together(self, rows: Sequence[_Row]) -> Batch:
        reference = torch.from_numpy(np.stack([row.reference for row in rows]))
        targets = torch.from_numpy(np.stack([row.targets for row in rows]))
        encoded = self.dataset.has("latents")
        if encoded:
            reference = reference.float()
            targets = rearrange(targets.float(), "b f c h w -> b c f h w")
        else:
            reference = rearrange(reference, "b H W c -> b c H W")
            targets = rearrange(targets, "b f H W c -> b c f H W")
        poses = torch.from_numpy(np.stack([row.poses for row in rows]))
        thumbs = [row.thumb for row in rows if row.thumb is not None]
        tokens = [row.token for row in rows if row.token is not None]
        squashed = None
        if thumbs:
            squares = torch.from_numpy(squash(thumbs, self.image_side))
            squashed = rearrange(squares, "b H W c -> b c H W")
        return Batch(
            encoded=encoded,
            reference=reference,
            targets=targets,
            poses=rearrange(poses, "b f H W c -> b f c H W"),
            thumbs=squashed,
            tokens=torch.from_numpy(np.stack(tokens)).float() if tokens else None,
            names=tuple(row.name for row in rows),
        )


def _is_enough(entry: ClipEntry, frames: int, consecutive: bool) -> bool:
    if consecutive:
        return max(map(len, entry.spans)) >= frames
    return sum(map(len, entry.spans)) > frames
