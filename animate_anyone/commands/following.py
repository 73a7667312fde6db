"""Options for finding and following people, and a class that does it as the options say."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
    from ..pose.networks.sessions import PoseSession
    from ..protocols import Progress
    from ..weights.pose_models import PosePair


def add_follow_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for finding and following people in a video."""
    group = parser.add_argument_group("people")
    add = group.add_argument
    add(
        "--person",
        type=parse_person,
        default="largest",
        metavar="largest|all|N",
        help="which people to follow; N counts them from 0 in order of appearance (default: "
        "largest)",
    )
    add_pose_pair(group)
    add_pose_runs(group)
    text = "lowest score at which a detection counts as a person, 0..1 (default: 0.3)"
    add("--score", type=float, default=0.3, help=text)
    add("--batch", type=int, default=8, help="people per run of the estimator (default: 8)")
    add = parser.add_argument_group("cleaning of keypoints").add_argument
    text = "longest gap in a keypoint's track that is filled (default: 8)"
    add("--max-gap", type=int, default=8, metavar="FRAMES", help=text)
    text = "keep lost keypoints at their last seen position"
    add("--hold", action="store_true", help=text)
    text = "leave keypoints as detected: do not remove those that jump away for a moment, nor put "
    text += "back left and right where they are exchanged for up to four frames"
    add("--keep-spikes", action="store_true", help=text)
    text = "strength of smoothing over time; 0: off, 1: removes jitter, 2: stronger (default: 0)"
    add("--smooth", type=float, default=0.0, help=text)


def add_pose_pair(group: Options) -> None:
    """Add the options for the two pose networks."""
    usual = "(default: aa-mini's, for drawn characters)"
    add = group.add_argument
    text = f"network that finds people {usual}"
    detector = add("--detector", type=Path, metavar="FILE.onnx", help=text)
    text = f"network that finds their keypoints {usual}"
    estimator = add("--estimator", type=Path, metavar="FILE.onnx", help=text)
    add_old_name(group, "--pose-models", detector, estimator)


def add_pose_runs(group: Options) -> None:
    """Add the options that decide how the pose networks run."""
    add = group.add_argument
    runners = ("auto", *PROVIDERS)
    text = "what runs detector and estimator (default: the fastest available)"
    add("--provider", choices=runners, default="auto", help=text)
    text = "folder for the engines that tensorrt builds"
    add("--engine-cache", type=Path, metavar="FOLDER", help=text)
    text = "colours of the networks' inputs; rgb: BGR for the detector and RGB for the estimator, "
    text += "as they were trained; moore: BGR for both, as the public implementation (default: rgb)"
    add("--channel-order", choices=CHANNEL_ORDERS, default="rgb", help=text)
    text = "run the detector on every N-th frame only; 5 to 10 are faster (default: 1)"
    add("--detect-every", type=int, default=1, metavar="N", help=text)


def add_retarget_arguments(parser: argparse.ArgumentParser, usual: str, *before: str) -> None:
    """Add the options for fitting a skeleton to the reference.

    `usual` is the default mode, for the help text; `before` are former names of `--retarget`.
    """
    group = parser.add_argument_group("retargeting: fit the motion to the reference's body")
    add = group.add_argument
    text = f"{describe_modes('; ')} (default: {usual})"
    retarget = add("--retarget", choices=MODES, help=text)
    for name in before:
        add_old_name(group, name, retarget)
    text = "strength of mode limb, 0..1; 0: one scale for all bones, 1: one for each (default: 1)"
    add("--strength", type=float, default=1.0, help=text)
    text = "joint that is placed where the reference has it (default: auto)"
    add("--anchor", default="auto", metavar="JOINT", help=text)
    text = "frame of the motion that is aligned with the reference (default: the best match)"
    add("--match-frame", type=int, metavar="FRAME", help=text)
    add("--lock-x", action="store_true", help="remove movement of the whole body to the sides")
    add("--lock-y", action="store_true", help="remove movement of the whole body up and down")
    text = "scale the clip down until all keypoints are inside the canvas"
    add("--fit-canvas", action="store_true", help=text)
    text = "bend the arms so that hands touch the head, the hips and each other as in the motion; "
    text += "a hand that passes in front of them counts as a touch, since depth cannot be seen"
    add("--contacts", action="store_true", help=text)


def parse_person(text: str) -> str | int:
    """Parse the value of `--person`: largest, all, or a number."""
    if text in ("largest", "all"):
        return text
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither largest, all nor a number from 0")


def retarget_config(options: argparse.Namespace, mode: str) -> RetargetConfig:
    """Return the retargeting that the options describe; InputError for invalid values."""
    return RetargetConfig(
        mode=mode,
        strength=options.strength,
        match_frame=options.match_frame,
        anchor=options.anchor,
        lock_x=options.lock_x,
        lock_y=options.lock_y,
        fit_canvas=options.fit_canvas,
        contacts=options.contacts,
    )


def follow_config(options: argparse.Namespace) -> FollowConfig:
    """Return how people are followed; ConfigError or InputError for invalid options."""
    return FollowConfig(
        extract=ExtractConfig(
            detect_every=options.detect_every, score=options.score, batch=options.batch
        ),
        person=options.person,
        clean=CleanConfig(
            max_gap=options.max_gap,
            hold=options.hold,
            spikes=not options.keep_spikes,
            smooth=options.smooth,
        ),
    )


class Follower:
    """Follows people with the networks that the options name; they are loaded at first use."""

    def __init__(
        self,
        options: argparse.Namespace,
        opens: "Callable[..., PoseSession] | None" = None,  # as for `open_pose_pair`
        show: "Callable[[str, str], AbstractContextManager[Progress]] | None" = None,
    ) -> None:
        """Check the options; InputError for contradictions and missing files.

        `show` makes what shows the progress; None: a bar on the terminal.
        """
        from ..weights.pose_models import chosen_pose_models

        self._options, self._opens, self._show = options, opens, show or progress_bar
        self._config = follow_config(options)
        self._pair: PosePair | None = None
        chosen_pose_models(options.detector, options.estimator)

    def clip(
        self,
        frames: Iterable[np.ndarray],  # (H, W, 3) uint8 RGB
        count: int,  # expected number of frames, for the progress bar
        fps: Fraction | None,
    ) -> tuple[PoseClip, FollowReport]:
        """Return the skeletons of people in a video and a report; frames are not kept."""
        clean = replace(self._config.clean, fps=float(fps or DEFAULT_FPS))
        with self._show("following", "frame") as show:
            return follow(
                frames,
                *self._opened(),
                replace(self._config, clean=clean, fps_is_known=fps is not None),
                lambda done: show(done, max(done, count)),
            )

    def picture(
        self,
        picture: np.ndarray,  # (H, W, 3) uint8 RGB
    ) -> tuple[PoseClip, FollowReport]:
        """Return the skeleton of the largest person in the reference picture and a report."""
        config = replace(self._config, person="largest")
        try:
            return follow([picture], *self._opened(), config)
        except InputError as error:
            raise InputError(str(error).replace("frame 0", "reference", 1)) from error

    def _opened(self) -> "PosePair":
        if self._pair is None:
            from ..weights.pose_models import open_pose_pair

            options = self._options
            more = {} if self._opens is None else {"opens": self._opens}
            self._pair = open_pose_pair(
                options.detector,
                options.estimator,
                options.provider,
                channel_order=options.channel_order,
                engine_cache=options.engine_cache,
                **more,
            )
        return self._pair


@contextmanager
def progress_bar(title: str, unit: str = "window") -> "Iterator[Progress]":
    """Show a progress bar on the terminal; yields a callback progress(done, total)."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


@contextmanager
def no_progress_bar(title: str, unit: str = "") -> "Iterator[Progress]":
    """Show nothing, as for one item of many; yields a callback as `progress_bar`."""
    del title, unit
    yield lambda done, total: None
