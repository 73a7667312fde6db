"""Options of `animate` for what stays, and the inputs of each frame that follow from them."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..pose.drawing.hull import PoseMask
from ..types import PoseClip, Size
from .following import Follower

if TYPE_CHECKING:
    from torch import Tensor

    from ..animate.keeping import FrameInputs
    from .driving import Driving

logger = logging.getLogger(__name__)

KEEP = ("driving", "reference", "transparent")
FILL = "fill"  # in place of a picture: the background is filled where the person is
_COLOURED, _MOST_COLOURED = 32, 0.01  # levels between channels, and share of such pixels


def add_keeping_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for what stays outside of a mask."""
    add = parser.add_argument_group("what stays").add_argument
    text = "what stays outside of the mask: the driving video (its person is replaced), the "
    text += "reference picture, or nothing (transparent, for --out with .webm or .mov)"
    add("--keep-background", choices=KEEP, help=text)
    text = "video, folder of pictures or picture that is white where the result is made and black "
    text += "where the background stays (default: the hull of the limbs in every frame)"
    add("--mask", type=Path, metavar="FILE", help=text)
    text = "margin around the limbs in a mask from the pose, as a share of the shorter side "
    text += f"(default: {PoseMask.margin:g})"
    add("--mask-margin", type=float, metavar="SHARE", help=text)
    text = f"width of the mask's soft edge, in the same unit (default: {PoseMask.feather:g})"
    add("--mask-feather", type=float, metavar="SHARE", help=text)
    text = "the background without anybody in it: a picture, or the word fill, which paints over "
    text += "the person from around. With --keep-background reference it is what stays, so nothing "
    text += "of the picture's own figure is seen; with driving the character is cut out and set on "
    text += "it, so that the weights paint this background around the new figure too"
    add("--plate", metavar=f"PICTURE|{FILL}", help=text)


class Keeping:
    """What stays in a clip; gives the inputs of every frame in order."""

    def __init__(
        self,
        options: argparse.Namespace,
        mode: str,  # of retargeting
        driving: "Driving",  # with the frames that are used
        size: Size,  # of the result
    ) -> None:
        """Check the options; InputError for contradictions and masks that do not fit."""
        self._what: str | None = options.keep_background
        self._file: Path | None = options.mask
        self._plate: str | None = options.plate
        self._empty, self._full, self._frames = 0, 0, 0
        _check_together(options)
        if self._what == "driving":
            _check_driving(driving, mode)
        given = {"margin": options.mask_margin, "feather": options.mask_feather}
        self._shape = PoseMask(**{name: one for name, one in given.items() if one is not None})
        self._wanted = [] if self._file is None else _frames_of_mask(self._file, driving, size)
        if self._plate is not None and self._plate != FILL:
            _check_plate(Path(self._plate), size)

    @property
    def transparent(self) -> bool:
        """Return whether the result is transparent outside the mask."""
        return self._what == "transparent"

    def plate(
        self,
        driving: "Driving",  # ready to be drawn
        size: Size,
        reference: np.ndarray,  # (H, W, 3) uint8 RGB, of any size
        follower: Follower,
    ) -> np.ndarray | None:  # (size.height, size.width, 3) uint8 RGB
        """Return the background without anybody in it, and log where it is from; None: unused."""
        from ..animate.plates import clean_plate, person_in
        from ..media import fit_frame, read_picture, to_bytes
        from .driving import frames_as_listed

        if self._plate is None:
            return None
        if self._plate != FILL:
            path = Path(self._plate)
            picture = to_bytes(read_picture(path, longest=4 * max(size.width, size.height)))[0]
            return fit_frame(picture, size, "pad")
        if self._what == "reference":
            name, picture, pose = "reference", reference, _person(reference, follower, "reference")
        else:
            assert driving.clip is not None
            first = driving.frames[0]
            name, picture = "driving", next(frames_as_listed(driving))
            pose = driving.clip.at(slice(first, first + 1))
        picture = fit_frame(picture, size, "pad")
        nobody = not pose.body.confidence.any()
        empty = np.zeros(picture.shape[:2], np.uint8)
        plate = clean_plate(picture, empty if nobody else person_in(picture, pose, name))
        logger.info("plate: %s", plate.text())
        return plate.picture

    def on_plate(
        self,
        references: "list[Tensor]",  # (1, 3, H, W) each, of any sizes
        plate: np.ndarray | None,  # (H, W, 3) uint8 RGB, of the result's size
        follower: Follower,
    ) -> "list[Tensor]":
        """Return the reference pictures; on the plate if they replace somebody in front of it."""
        from ..animate.plates import figure_in, set_on
        from ..media import fit_frame, to_bytes, to_pixels

        if plate is None or self._what != "driving":
            return references
        size, result = Size(plate.shape[1], plate.shape[0]), []
        for number, reference in enumerate(references, start=1):
            name = "reference" if len(references) == 1 else f"reference {number}"
            picture = to_bytes(reference)[0]
            pose = _person(picture, follower, name)
            picture = fit_frame(picture, size, "pad")
            figure = figure_in(picture, pose, name)
            seen = (figure > 0).mean()
            logger.info("plate: %s was cut out (%.1f%% of it) and set on it", name, 100 * seen)
            result.append(to_pixels(set_on(picture, figure, plate)[None]).to(reference))
        return result

    def inputs(
        self,
        driving: "Driving",  # ready to be drawn
        size: Size,
        reference: np.ndarray,  # (H, W, 3) uint8 RGB, of any size
        follower: Follower,
        plate: np.ndarray | None = None,  # (size.height, size.width, 3) uint8 RGB
    ) -> "Iterator[FrameInputs]":
        """Yield the inputs of every frame of the driving motion."""
        from ..animate.keeping import FrameInputs
        from .driving import drawn_frames

        poses = drawn_frames(driving, size)
        if self._what is None:
            yield from map(FrameInputs, poses)
            return
        behind = self._behind(driving, size, reference if plate is None else plate)
        own = self._file_masks(size) if self._file else None
        there = None if plate is not None else self._of_reference(reference, size, follower)
        for row, (pose, ground) in enumerate(zip(poses, behind, strict=False)):
            if own is not None:
                mask = next(own)
            elif driving.clip is not None:
                mask = self._shape.of_frame(driving.clip, driving.frames[row], size)
            else:
                mask = self._shape.of_drawing(pose)
            mask = mask if there is None else np.maximum(mask, there)
            self._frames += 1
            self._empty += not mask.any()
            self._full += bool(mask.min())
            yield FrameInputs(pose, ground, mask)

    def report(self) -> None:
        """Log how many masks were empty or full; call it when all frames are made."""
        for count, word, result in (
            (self._empty, "empty", "nothing was made there, only the background is seen"),
            (self._full, "full", "nothing of the background stayed there"),
        ):
            if count:
                logger.warning(
                    "mask: %d of %d frames had %s masks; %s. Check the poses, or change --mask, "
                    "--mask-margin or --mask-feather.",
                    *(count, self._frames, word, result),
                )

    def _behind(
        self, driving: "Driving", size: Size, reference: np.ndarray
    ) -> Iterator[np.ndarray | None]:
        from ..media import fit_frame
        from .driving import frames_as_listed

        if self._what == "driving":
            for frame in frames_as_listed(driving):
                yield fit_frame(frame, size, "pad")
            return
        still = fit_frame(reference, size, "pad") if self._what == "reference" else None
        while True:
            yield still

    def _of_reference(
        self, reference: np.ndarray, size: Size, follower: Follower
    ) -> np.ndarray | None:
        """Return the mask of the character in the picture, which must not stay beside the new one.

        None if the picture does not stay, or if the mask is the user's.
        """
        if self._what != "reference" or self._file:
            return None
        pose, report = follower.picture(reference)
        if not report.found:
            raise InputError(
                "keep-background got reference, but no person was found in the picture, so its "
                "own character would stay beside the new one. Give --mask, or the background "
                "itself with --plate, or the networks that find people with --detector and "
                "--estimator."
            )
        return self._shape.of_frame(pose, 0, size)

    def _file_masks(self, size: Size) -> Iterator[np.ndarray]:
        from ..media import fit_drawing, frames_of

        assert self._file is not None
        last, mask = -1, np.zeros((size.height, size.width), np.uint8)
        pictures = frames_of(self._file, background="black")
        for frame in self._wanted:
            while last < frame:
                picture = next(pictures, None)
                if picture is None:
                    raise InputError(
                        f"mask got {self._file}; its frames end before those of the clip. It may "
                        "be truncated: export it again."
                    )
                last += 1
                mask = _grey(fit_drawing(picture, size), self._file, last)
            yield mask


def _person(picture: np.ndarray, follower: Follower, name: str) -> PoseClip:
    """Return the skeleton of the person in a picture; InputError if there is none."""
    pose, report = follower.picture(picture)
    if not report.found:
        raise InputError(
            f"plate got a {name} in which no person was found, so no figure can be cut out of it. "
            "Give the networks that find people with --detector and --estimator."
        )
    return pose


def _check_plate(path: Path, size: Size) -> None:
    from ..media import picture_size

    own = picture_size(path, "plate")
    if own != size:
        logger.warning(
            "plate: %s has %dx%d pixels and is fitted to %dx%d",
            *(path, own.width, own.height, size.width, size.height),
        )


def _check_together(options: argparse.Namespace) -> None:
    """Raise InputError for options that contradict each other."""
    given = {"margin": options.mask_margin, "feather": options.mask_feather}
    shape = {f"mask-{name}": value for name, value in given.items() if value is not None}
    files = {"mask": options.mask, "plate": options.plate}
    everything = {name: value for name, value in files.items() if value is not None} | shape
    if options.keep_background is None and everything:
        name, value = next(iter(everything.items()))
        raise InputError(
            f"{name} got {value} without keep-background, so nothing would stay. Add "
            f"--keep-background {', '.join(KEEP[:-1])} or {KEEP[-1]}."
        )
    if options.plate == "":
        raise InputError(
            f"plate got an empty name. Name a picture, or the word {FILL}, or leave it out."
        )
    if options.mask and shape:
        name, value = next(iter(shape.items()))
        raise InputError(
            f"{name} got {value} beside a mask; a file is used as it is. Leave one of them out."
        )
    if options.keep_background == "transparent" and options.plate is not None:
        raise InputError(
            f"plate got {options.plate} with keep-background transparent, which shows no "
            "background. Leave --plate out, or keep the driving or the reference's background."
        )
    if options.keep_background == "transparent" and options.foreground_mask:
        raise InputError(
            f"foreground-mask got {options.foreground_mask} beside keep-background transparent; "
            "both set the transparency. Leave one of them out."
        )


def _frames_of_mask(path: Path, driving: "Driving", size: Size) -> list[int]:
    """Return which frame of a mask's file belongs to each frame of the motion."""
    from ..media import clip_info, fit_drawing, frames_of

    info, frames = clip_info(path), driving.frames
    for note in info.notes:
        logger.warning("mask: %s: %s", path, note)
    if info.size != size:
        logger.warning(
            "mask: %s has %dx%d pixels and is fitted to %dx%d like the motion",
            *(path, info.size.width, info.size.height, size.width, size.height),
        )
    if info.frames == 1:
        one = _grey(fit_drawing(next(frames_of(path, background="black")), size), path, 0)
        if not one.any() or one.min():
            word, result = ("black", "made") if not one.any() else ("white", "kept")
            raise InputError(
                f"mask got {path}, which is {word} everywhere, so nothing would be {result}. Make "
                "it white where the result is made and black where the background stays."
            )
        return [0] * len(frames)
    source = driving.info.frames if driving.info else len(driving.clip or ())
    if info.frames in (source, len(frames)):
        return list(frames) if info.frames == source else list(range(info.frames))
    raise InputError(
        f"mask got {path} with {info.frames} frames; the motion has {source}, and {len(frames)} of "
        "them are used. Give a mask for each of these, or one picture for all."
    )


def _check_driving(driving: "Driving", mode: str) -> None:
    if driving.kind != "video":
        what = "keypoints" if driving.kind == "keypoints" else "drawn skeletons"
        raise InputError(
            f"keep-background got driving, but {driving.path} holds {what}, which have no "
            "background. Give the video of the person as --poses, or keep the reference's."
        )
    if mode != "none":
        raise InputError(
            f"keep-background got driving with retargeting {mode}, which moves the skeleton to "
            "where the reference stands, away from the person who is replaced. Leave --retarget "
            "out."
        )


def _grey(picture: np.ndarray, path: Path, number: int) -> np.ndarray:
    """Return a picture of a mask as (H, W) uint8; InputError if it has colours."""
    if (np.ptp(picture, axis=-1) > _COLOURED).mean() > _MOST_COLOURED:
        raise InputError(
            f"mask got {path}; its frame {number} has colours. A mask is grey: white where the "
            "result is made, black where the background stays."
        )
    return picture.mean(axis=-1).round().astype(np.uint8)
