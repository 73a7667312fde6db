"""People in videos and pictures, followed as the options of a command say."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..pose.networks.backends import PROVIDERS
from ..pose.networks.estimator import CHANNEL_ORDERS
from ..pose.people.extract import ExtractConfig
from ..pose.people.pipeline import FollowConfig, FollowReport, follow
from ..pose.people.smoothing import CleanConfig
from ..pose.retarget.modes import MODES, describe_modes
from ..pose.retarget.retarget import RetargetConfig
from ..types import DEFAULT_FPS, PoseClip
from .options import Options, add_old_name

if TYPE_CHECKING:
    from ..protocols import Progress
    from ..weights.pose_models import PosePair


def add_follow_arguments(parser: argparse.ArgumentParser) -> None:
    """Add everything that decides how people are found in a video and followed."""
    group = parser.add_argument_group("people")
    add = group.add_argument
    add(
        "--person",
        type=parse_person,
        default="largest",
        metavar="largest|all|N",
        help="whom to follow, N in the order of appearance from 0 (largest)",
    )
    add_pose_pair(group)
    add_pose_runs(group)
    add("--score", type=float, default=0.3, help="least certainty of a person, 0..1 (0.3)")
    add("--batch", type=int, default=8, help="people per run of the estimator (8)")
    add = parser.add_argument_group("cleaning of what was found").add_argument
    add("--max-gap", type=int, default=8, metavar="FRAMES", help="longest gap that is filled (8)")
    add("--hold", action="store_true", help="keep points where they were seen last")
    add("--keep-spikes", action="store_true", help="keep points that jump away for one frame")
    add("--smooth", type=float, default=0.0, help="0 off, 1 against jitter, 2 stronger (0)")


def add_pose_pair(group: Options) -> None:
    """Add the two networks that read poses."""
    usual = "(aa-mini's, for drawn characters)"
    add = group.add_argument
    detector = add("--detector", type=Path, metavar="FILE.onnx", help=f"finds people {usual}")
    text = f"finds their joints {usual}"
    estimator = add("--estimator", type=Path, metavar="FILE.onnx", help=text)
    add_old_name(group, "--pose-models", detector, estimator)


def add_pose_runs(group: Options) -> None:
    """Add how these networks are run."""
    add = group.add_argument
    runners = ("auto", *PROVIDERS)
    add("--provider", choices=runners, default="auto", help="what runs the two (the fastest)")
    add("--engine-cache", type=Path, metavar="FOLDER", help="where tensorrt keeps its engines")
    add("--channel-order", choices=CHANNEL_ORDERS, default="rgb", help="of the estimator (rgb)")
    add("--detect-every", type=int, default=1, metavar="FRAMES", help="5 to 10 are faster (1)")


def add_retarget_arguments(parser: argparse.ArgumentParser, usual: str, *before: str) -> None:
    """Add everything that decides how a skeleton is fitted to the reference.

    `usual` is the mode where none is named, `before` the names that the option had.
    """
    group = parser.add_argument_group("retargeting")
    add = group.add_argument
    text = f"{describe_modes('; ')} ({usual})"
    retarget = add("--retarget", choices=MODES, help=text)
    for name in before:
        add_old_name(group, name, retarget)
    add("--strength", type=float, default=1.0, help="of the single bones in limb, 0..1 (1)")
    add("--anchor", default="auto", metavar="JOINT", help="laid on the reference's (auto)")
    add("--match-frame", type=int, help="frame laid on the reference (the best)")
    add("--lock-x", action="store_true", help="no walking sideways")
    add("--lock-y", action="store_true", help="no moving up and down")
    add("--fit-canvas", action="store_true", help="shrink the clip until all points are inside")


def parse_person(text: str) -> str | int:
    """Read whom to follow: largest, all, or a number."""
    if text in ("largest", "all"):
        return text
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither largest, all nor a number from 0")


def retarget_config(options: argparse.Namespace, mode: str) -> RetargetConfig:
    """Return how a skeleton is fitted; InputError for what cannot be meant."""
    return RetargetConfig(
        mode=mode,
        strength=options.strength,
        match_frame=options.match_frame,
        anchor=options.anchor,
        lock_x=options.lock_x,
        lock_y=options.lock_y,
        fit_canvas=options.fit_canvas,
    )


def follow_config(options: argparse.Namespace) -> FollowConfig:
    """Return how people are followed; ConfigError or InputError for what cannot be meant."""
    return FollowConfig(
        extract=ExtractConfig(
            detect_every=options.detect_every, score=options.score, batch=options.batch
        ),
        person=options.person,
        clean=CleanConfig(
            max_gap_frames=options.max_gap,
            hold=options.hold,
            spikes=not options.keep_spikes,
            smooth=options.smooth,
        ),
    )


class Follower:
    """Follows people with the networks that the options name; these are loaded at first use."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Refuse options that contradict each other, and files that are not there."""
        from ..weights.pose_models import chosen_pose_models

        self._options = options
        self._config = follow_config(options)
        self._pair: PosePair | None = None
        chosen_pose_models(options.detector, options.estimator)

    def clip(
        self,
        frames: Iterable[np.ndarray],  # (H, W, 3) uint8 RGB
        count: int,  # how many there will be, as far as it is known
        fps: Fraction | None,
    ) -> tuple[PoseClip, FollowReport]:
        """Follow people through a video; frames are read once and not kept."""
        clean = replace(self._config.clean, fps=float(fps or DEFAULT_FPS))
        with progress_bar("following", "frame") as show:
            return follow(
                frames,
                *self._opened(),
                replace(self._config, clean=clean),
                lambda done: show(done, max(done, count)),
            )

    def picture(
        self,
        picture: np.ndarray,  # (H, W, 3) uint8 RGB
    ) -> tuple[PoseClip, FollowReport]:
        """Return the largest person of the reference picture."""
        config = replace(self._config, person="largest")
        try:
            return follow([picture], *self._opened(), config)
        except InputError as error:
            raise InputError(str(error).replace("frame 0", "reference", 1)) from error

    def _opened(self) -> "PosePair":
        if self._pair is None:
            from ..weights.pose_models import open_pose_pair

            options = self._options
            self._pair = open_pose_pair(
                options.detector,
                options.estimator,
                options.provider,
                channel_order=options.channel_order,
                engine_cache=options.engine_cache,
            )
        return self._pair


@contextmanager
def progress_bar(title: str, unit: str = "window") -> "Iterator[Progress]":
    """Show the progress of a long loop on the terminal."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
