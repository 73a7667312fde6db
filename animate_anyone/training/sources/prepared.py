"""Examples of prepared clips, drawn at random: the data of both stages (sections 3.3, 4.1)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from einops import rearrange

from ...dataset.manifest import ClipDataset, ClipEntry
from ...errors import InputError, MediaError
from ...media.fitting import squash
from ...names.some import some
from ...pose.drawing.draw import draw_frame
from ...pose.skeleton.part_boxes import LEAST_SHARE, BoxRule, Part, part_boxes
from ...pose.skeleton.stack import SLICES
from ...types import Points, PoseClip
from ...weights.encoders import CLIP_SIDE
from .batch import Batch, Draw, Extra
from .extras import CANDIDATES, described, draw_extras, far_apart
from .placed import Crop, Placed, needed_frames, place
from .weighed import boxes_of_rows, figures_of_rows, rules_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Row:
    """One example, as arrays."""

    name: str
    reference: np.ndarray  # (c, h, w), or (H, W, 3) uint8
    targets: np.ndarray  # (f, c, h, w), or (f, H, W, 3) uint8
    poses: np.ndarray  # (f, H, W, 3) uint8
    thumb: np.ndarray | None  # (H, W, 3) uint8: the reference, at its full size
    token: np.ndarray | None  # (1, d)
    skeletons: PoseClip  # of the targets
    extras: tuple["_Picture", ...] = ()  # further references


@dataclass(frozen=True)
class _Picture:
    """One further reference, as arrays."""

    reference: np.ndarray  # (c, h, w), or (H, W, 3) uint8
    thumb: np.ndarray | None  # (H, W, 3) uint8
    token: np.ndarray | None  # (1, d)


class ClipSource:
    """Draws references and targets from the clips of one part of a data set.

    All clips have the same probability. An example lies within one span of a clip, since after a
    cut or a gap somebody else may be in the picture: a reference is any frame of the span, targets
    are other frames of it in stage 1, and consecutive frames in stage 2. Cached latents and tokens
    are used if there are any, otherwise uint8 pictures; poses are drawn on access.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        *,
        image_side: int = CLIP_SIDE,  # pixels of the image encoder's square
        split: Literal["train", "test"] = "train",
        strides: tuple[int, int] = (1, 2),  # least and most frames from one target to the next
        dimmed: bool = False,  # skeletons are drawn as `draw_pose` draws them dimmed
        cached_tokens: bool = True,  # False: leave cached tokens aside, for an encoder in training
    ) -> None:
        """Use the clips of one split; InputError if it has none."""
        if not 1 <= strides[0] <= strides[1]:
            raise InputError(
                f"strides got {strides}; they must be 1 or more, the smaller first. 1 and 2 are "
                "usual."
            )
        self.dataset, self.image_side, self.strides = dataset, image_side, strides
        self.cached_tokens = cached_tokens and dataset.has("tokens")
        self.entries = dataset.split(split)
        if not self.entries:
            raise InputError(
                f"clips got {dataset.folder}, which has no clip for {split}; its report.md lists "
                "how clips were split. Prepare it with a split that names some."
            )
        self._long_enough: dict[int, tuple[ClipEntry, ...]] = {}
        self._dimmed = dimmed
        self._checked: set[tuple[Part, BoxRule]] = set()
        self._logged: set[str] = set()  # names of clips whose damage has been logged

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows of a step; MediaError if no clip can be read any more.

        If a clip cannot be read, its row comes from another one, which also depends only on the
        seed; that is logged once per clip.
        """
        if draw.least_crop < 1 and self.dataset.has("latents"):
            raise InputError(
                f"least_crop got {draw.least_crop}, but {self.dataset.folder} has cached latents, "
                "which cannot be cropped. Set it to 1, or prepare without --cache latents."
            )
        entries = self._entries(draw)
        self._check_boxes(draw)
        return self._together([self._row(entries, draw, step, row) for row in rows], draw)

    def _entries(self, draw: Draw) -> tuple[ClipEntry, ...]:
        """Return the clips that are long enough; the others are logged once."""
        key = needed_frames(draw)
        if key not in self._long_enough:
            enough = tuple(e for e in self.entries if max(map(len, e.spans)) >= key)
            short = [entry.name for entry in self.entries if entry not in enough]
            what = "frames in a row"
            if draw.distance:
                what = f"frames in one span, {draw.distance} or more from the reference"
            elif not draw.consecutive:
                what = "frames beside the reference in one span"
            if not enough:
                raise InputError(
                    f"frames got {draw.frames}; none of {len(self.entries)} clips has as many "
                    f"{what}. Choose fewer, or add longer clips."
                )
            if short:
                logger.warning(
                    "%d of %d clips are left out, without %d %s: %s",
                    *(len(short), len(self.entries), draw.frames, what, some(short)),
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
                return self._read(entry, draw, rng, place(entry, draw, self.strides, rng))
            except MediaError as error:
                if entry.name not in self._logged:
                    self._logged.add(entry.name)
                    logger.warning("another clip is drawn instead of %s: %s", entry.name, error)
        raise MediaError(
            f"clips got {self.dataset.folder}; none of its {len(entries)} clips can be read any "
            "more. Check the disk, and prepare them again."
        )

    def _read(
        self,
        entry: ClipEntry,
        draw: Draw,
        rng: np.random.Generator,
        placed: Placed,
    ) -> _Row:
        dataset, targets = self.dataset, placed.targets
        pose = dataset.keypoints(entry)
        more = self._extras(placed, pose, draw, rng)
        crop = None
        if draw.least_crop < 1:
            crop = Crop.drawn(dataset.size, draw.least_crop, rng)
            pose = crop.pose(pose)
        drawn = [draw_frame(pose, n, dimmed=self._dimmed) for n in targets.tolist()]
        first = self._picture(entry, placed.reference, crop)
        if dataset.has("latents"):
            pictures = dataset.latents(entry)[targets]
        else:
            frames = [dataset.frame(entry, n) for n in targets.tolist()]
            pictures = np.stack([crop.picture(frame) if crop else frame for frame in frames])
        return _Row(
            entry.name,
            first.reference,
            pictures,
            poses=np.stack(drawn),
            thumb=first.thumb,
            token=first.token,
            skeletons=_frames_of(pose, targets),
            extras=tuple(self._picture(entry, number, crop) for number in more),
        )

    def _picture(self, entry: ClipEntry, number: int, crop: Crop | None) -> _Picture:
        """Return a frame as a reference, from the caches if there are any.

        The image encoder sees the whole frame, as its cached tokens do.
        """
        dataset = self.dataset
        tokens = dataset.tokens(entry) if self.cached_tokens else None
        encoded = dataset.has("latents")
        picture = dataset.frame(entry, number) if not encoded or tokens is None else None
        reference = dataset.latents(entry)[number] if encoded else picture
        assert reference is not None
        if crop is not None:
            reference = crop.picture(reference)
        return _Picture(
            reference,
            thumb=picture if tokens is None else None,
            token=None if tokens is None else np.array(tokens[number]),
        )

    def _extras(
        self,
        placed: Placed,
        pose: PoseClip,
        draw: Draw,
        rng: np.random.Generator,
    ) -> list[int]:
        """Return the frames of further references, far apart in pose."""
        if draw.references == 1:
            return []
        taken = (placed.reference, *placed.targets.tolist())
        free = np.setdiff1d(placed.numbers, taken[:1] if draw.consecutive else taken)
        count = draw_extras(rng, draw, len(free))
        free = rng.choice(free, min(len(free), CANDIDATES), replace=False)
        numbers = np.array([taken[0], *free])
        body = pose.body
        poses = described(body.xy[numbers, 0], body.confidence[numbers, 0])
        return numbers[far_apart(poses, 0, np.arange(1, len(numbers)), count)].tolist()

    def _together(self, rows: Sequence[_Row], draw: Draw) -> Batch:
        encoded = self.dataset.has("latents")
        targets = torch.from_numpy(np.stack([row.targets for row in rows]))
        if encoded:
            targets = rearrange(targets.float(), "b f c h w -> b c f h w")
        else:
            targets = rearrange(targets, "b f H W c -> b c f H W")
        poses = torch.from_numpy(np.stack([row.poses for row in rows]))
        firsts = [_Picture(row.reference, row.thumb, row.token) for row in rows]
        return Batch(
            encoded=encoded,
            **self._pictures(firsts),
            targets=targets,
            poses=rearrange(poses, "b f H W c -> b f c H W"),
            extras=self._further(rows, firsts),
            names=tuple(row.name for row in rows),
            masks=figures_of_rows([row.skeletons for row in rows], draw.figure),
            **boxes_of_rows([row.skeletons for row in rows], draw),
        )

    def _pictures(self, pictures: Sequence[_Picture]) -> dict[str, Any]:
        """Return references as a batch holds them: `reference`, `thumbs` and `tokens`."""
        reference = torch.from_numpy(np.stack([each.reference for each in pictures]))
        thumbs = [each.thumb for each in pictures if each.thumb is not None]
        tokens = [each.token for each in pictures if each.token is not None]
        squashed = None
        if thumbs:
            squares = torch.from_numpy(squash(thumbs, self.image_side))
            squashed = rearrange(squares, "b H W c -> b c H W")
        encoded = self.dataset.has("latents")
        return {
            "reference": reference.float()
            if encoded
            else rearrange(reference, "b H W c -> b c H W"),
            "thumbs": squashed,
            "tokens": torch.from_numpy(np.stack(tokens)).float() if tokens else None,
        }

    def _further(self, rows: Sequence[_Row], firsts: Sequence[_Picture]) -> tuple[Extra, ...]:
        """Return the further references; rows without one repeat their first, which is not used."""
        most = max(len(row.extras) for row in rows)
        return tuple(
            Extra(
                **self._pictures(
                    [
                        row.extras[number] if number < len(row.extras) else first
                        for row, first in zip(rows, firsts, strict=True)
                    ]
                ),
                present=tuple(number < len(row.extras) for row in rows),
            )
            for number in range(most)
        )

    def _check_boxes(self, draw: Draw) -> None:
        """Raise InputError if no clip has a hand or face to weigh; log the clips that have none."""
        for _, part, rule in rules_of(draw):
            if (part, rule) in self._checked:
                continue
            self._checked.add((part, rule))
            without = [entry.name for entry in self.entries if not self._shows(entry, part, rule)]
            share = "all" if LEAST_SHARE[part] == 1 else "half"
            what = f"a {part} with {share} of its points at confidence {rule.threshold:g} or more"
            if len(without) == len(self.entries):
                raise InputError(
                    f"{part}_weight is above 0, but none of the {len(without)} clips of "
                    f"{self.dataset.folder} shows {what}. Lower box_threshold, prepare with an "
                    f"estimator that finds every {part}, or set {part}_weight to 0."
                )
            if without:
                logger.warning(
                    "%d of %d clips do not show %s, so %s_weight has no effect on them: %s",
                    *(len(without), len(self.entries), what, part, some(without)),
                )

    def _shows(self, entry: ClipEntry, part: Part, rule: BoxRule) -> bool:
        """Return whether a usable frame has a box; True for a clip that cannot be read."""
        try:
            pose = self.dataset.keypoints(entry)
        except MediaError:  # another clip is drawn in its place, which is logged then
            return True
        return bool(np.isfinite(part_boxes(_frames_of(pose, entry.usable), part, rule)).any())


def _frames_of(pose: PoseClip, numbers: np.ndarray) -> PoseClip:
    """Return a clip of these frames, in this order."""

    def part(points: Points) -> Points:
        return Points(xy=points.xy[numbers], confidence=points.confidence[numbers])

    parts = {name: part(getattr(pose, name)) for name in SLICES}
    return PoseClip(canvas=pose.canvas, **parts)
