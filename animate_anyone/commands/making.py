"""One clip of `animate`: its inputs are read and checked, then it is made and written."""

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Preset
from ..pose.retarget.modes import USUAL_MODE
from ..types import Size
from .following import Follower, progress_bar, retarget_config
from .going_on import frames_limit, going_on
from .keeping import Keeping
from .options import machine_from, sampling_from
from .persons import check_persons, with_regions

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ..animate.condition import ReferenceCondition
    from ..animate.continuing import Made
    from ..pose.retarget.retarget import RetargetConfig
    from ..protocols import Progress
    from ..weights.load import Models
    from .driving import Driving

logger = logging.getLogger(__name__)

SHEET_FRAMES = 8
# Keypoints and drawn skeletons may already be fitted to the reference.
_USUAL_MODES = {"keypoints": "none", "skeleton": "none", "video": USUAL_MODE}


class Clip:
    """A clip whose inputs and settings fit together; no network has run for it yet."""

    def __init__(self, options: argparse.Namespace, preset: Preset, follower: Follower) -> None:
        """Read and check what the options name; InputError for contradictions."""
        from ..animate import check_plan, check_strengths
        from ..media import picture_size, read_picture
        from .driving import open_driving

        self._options, self._follower, self.preset = options, follower, preset
        self.sampling_seconds = 0.0  # in the networks and the autoencoder, once it is written
        self.frames_hash = sha256()  # of the frames before they are encoded, once it is written
        driving = open_driving(
            options.poses, options.fps, frames_limit(options), options.driving, options.canvas
        )
        logger.info("%s: %s", options.poses, driving.speed)
        check_persons(options, driving)
        as_it_is = options.keep_background == "driving" or options.per_person
        usual = "none" if as_it_is else _USUAL_MODES[driving.kind]
        self.fit = retarget_config(options, options.retarget or usual)
        canvas = picture_size(options.reference[0]) if self.fit.compares else driving.size
        self.size = _size(options.size, canvas, preset)
        self.sampling = sampling_from(options, preset)
        check_plan(preset, len(driving.frames), self.size, self.sampling)
        self.way = going_on(options, driving, self.size, self.sampling)
        self.driving = replace(self.way.driving, dimmed=preset.dimmed_poses)
        self._keeping = Keeping(options, self.fit.mode, self.driving, self.size)
        self.strengths = options.reference_strength or [1.0] * len(options.reference)
        check_strengths(self.strengths, len(options.reference), "reference-strength")
        longest = 4 * max(self.size.width, self.size.height)
        self._references = [read_picture(path, longest=longest) for path in options.reference]

    def write(
        self,
        out: Path,  # the video; whole or not at all
        load: "Callable[[], Models]",  # called when the motion is ready
        device: "torch.device",
        *,
        keep_models: bool = False,  # for the next clip; False: each is forgotten after its use
        encode: "Callable[..., ReferenceCondition] | None" = None,  # as for `animate_in_pieces`
        show: "Callable[[str, str], AbstractContextManager[Progress]]" = progress_bar,
    ) -> int:
        """Make the clip and write it; return its number of frames."""
        from ..animate import ReferenceCondition
        from ..animate.continuing import animate_in_pieces
        from ..media import (
            ForegroundMask,
            VideoWriter,
            check_picture_place,
            to_bytes,
            with_alpha,
        )

        options, way, size, keeping = self._options, self.way, self.size, self._keeping
        driving = self.driving
        self.require_room(device)
        if options.sheet:
            check_picture_place(options.sheet, "sheet")
        sheet = _Sheet(way.shown)
        cut = options.foreground_mask
        mask = ForegroundMask(cut, way.shown, size) if cut else None
        audio = options.poses if driving.has_audio and not options.no_audio else None
        # The place is checked first, so that a fault there comes before the long computation.
        more = {"audio_from": audio, "audio_start": way.sound_start, "expected": way.shown}
        clear = mask is not None or keeping.transparent
        with VideoWriter(out, size, driving.fps, **more, alpha=clear) as writer:
            character = to_bytes(self._references[0])[0]
            driving = _ready_to_draw(driving, self.fit, self._follower, character)
            plate = keeping.plate(driving, size, character, self._follower)
            references = keeping.on_plate(self._references, plate, self._follower)
            inputs = keeping.inputs(driving, size, character, self._follower, plate)
            inputs = with_regions(options, inputs, driving, size)
            models = load()
            pictures = [picture.to(device) for picture in references]
            with show("sampling", "window") as progress:
                made = animate_in_pieces(
                    models,
                    pictures,
                    inputs,
                    way.pieces,
                    self.sampling,
                    strengths=self.strengths,
                    beginning=way.beginning(models, pictures[0], size),
                    progress=progress,
                    let_go=None if keep_models else models.let_go,
                    encode=encode or ReferenceCondition,
                )
                for part in self._timed(made):
                    frames = part.frames
                    if mask is not None:
                        frames = mask.on(frames)
                    elif part.masks is not None and keeping.transparent:
                        frames = with_alpha(frames, part.masks)
                    writer.write(frames)
                    self.frames_hash.update(frames.tobytes())
                    sheet.add(part.frames, part.poses)
        keeping.report()
        logger.info("%s: %d frames of %dx%d", out, writer.frames, size.width, size.height)
        if options.sheet:
            sheet.write(options.sheet, [to_bytes(picture)[0] for picture in references])
        return writer.frames

    def require_room(self, device: "torch.device") -> None:
        """Raise InputError if the memory of this machine can never hold what the clip needs."""
        from ..animate.room import require_room_for_clip

        value_bytes = machine_from(self._options)[1].itemsize
        plan = (self.preset, self.way.pieces[0].frames, self.size, self.sampling)
        require_room_for_clip(*plan, device, value_bytes)

    def _timed(self, made: "Iterator[Made]") -> "Iterator[Made]":
        """Yield what is made, and count the seconds that making it takes."""
        while True:
            start = time.perf_counter()
            part = next(made, None)
            self.sampling_seconds += time.perf_counter() - start
            if part is None:
                return
            yield part


def _ready_to_draw(
    driving: "Driving", fit: "RetargetConfig", follower: Follower, reference: "np.ndarray"
) -> "Driving":
    """Return the motion ready to be drawn; drawn skeletons stay pictures without retargeting."""
    from .driving import fit_to_reference, read_skeletons

    if driving.kind != "video" and not fit.compares:
        return driving
    driving = read_skeletons(driving, follower)
    if not fit.compares:
        return driving
    return fit_to_reference(driving, reference, follower, fit)


class _Sheet:
    """Collects a few frames of a clip for a contact sheet."""

    def __init__(self, frames: int) -> None:
        from ..media import spread

        self._wanted = spread(frames, SHEET_FRAMES)
        self._kept: list = []
        self._poses: list = []
        self._passed = 0

    def add(self, frames, poses) -> None:  # noqa: ANN001  (f, H, W, 3) uint8, numpy is imported late
        for frame, pose in zip(frames, poses, strict=True):
            if self._passed in self._wanted:
                self._kept.append(frame.copy())
                self._poses.append(pose)
            self._passed += 1

    def write(self, path: Path, references: list) -> None:
        from ..media import contact_sheet, write_picture

        rows = {
            "reference": references,
            "skeleton": self._poses,
            "result": self._kept,
        }
        sheet = contact_sheet(rows, cell=max(128, min(256, len(self._kept[0]))))
        write_picture(path, sheet, "sheet")
        logger.info("%s: contact sheet", path)


def _size(asked: Size | None, motion: Size, preset: Preset) -> Size:
    """Return the given size in multiples of 8, or the motion's shape at the preset's short side."""
    from ..animate import snap_size

    if asked is None:
        scale = min(preset.width, preset.height) / min(motion.width, motion.height)
        return snap_size(Size(round(motion.width * scale), round(motion.height * scale)))
    snapped = snap_size(asked)
    if snapped != asked:
        logger.warning(
            "size %dx%d: sides must be multiples of 8, taking %dx%d",
            *(asked.width, asked.height, snapped.width, snapped.height),
        )
    return snapped
