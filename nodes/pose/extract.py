"""Pose networks: choosing them, downloading them on request, running them on clips."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from comfy_api.input import VideoInput
from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.pose.networks.sessions import PoseSession, SessionPool
from ...animate_anyone.weights.hub.download import fetch_all
from ...animate_anyone.weights.pose_models import (
    PosePair,
    embedded_pose_models,
    open_pose_pair,
)
from ...animate_anyone.weights.sets import dwpose
from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ..clips.read import DrivingClip, driving_clip
from ..comfyui import folders, host
from ..comfyui.sockets import DwPose

ENGINES = "tensorrt"  # folder in the model folder where TensorRT stores its engines
PUBLIC = {file.to: file for file in dwpose.SET.files}

log = logging.getLogger(__name__)


def model_names(role: str) -> list[str]:
    """Return the choices for a role, `detector` or `estimator`."""
    public = next(file.to for file in dwpose.SET.files if file.role == role)
    found = list(folders.onnx_files())
    return [AA_MINI.name, *found, *([] if public in found else [public])]


def choose_networks(
    detector: str, estimator: str, provider: str, channel_order: str, *, download: bool
) -> DwPose:
    """Return the networks with these names; they are not opened yet."""
    paths = model_path("detector", detector, download), model_path("estimator", estimator, download)
    pool = SessionPool()
    size = 0 if provider == "cpu" else sum(path.stat().st_size for path in paths)
    return DwPose(*paths, provider, channel_order, pool, host.make_reservation(size, pool.release))


def model_path(role: str, name: str, download: bool) -> Path:
    """Return the file of a network; with `download` a missing public file is downloaded."""
    if name == AA_MINI.name:
        return embedded_pose_models()[0 if role == "detector" else 1]
    files = folders.onnx_files()
    found = files.get(name) or next((p for n, p in files.items() if Path(n).name == name), None)
    if found is not None:
        return found
    target = folders.model_folder() / name
    if name not in PUBLIC:
        raise InputError(f"{role} got {name}; there is no such file. Choose another.")
    if not download:
        raise InputError(
            f"{role} got {name}; it must be in {target.parent}. Set download to true, or get "
            f"{PUBLIC[name].address} and put it there."
        )
    report = host.progress(PUBLIC[name].size or 1)
    return fetch_all([PUBLIC[name]], target.parent, report)[0]


def open_networks(networks: DwPose) -> PosePair:
    """Return the networks ready to run; the user can interrupt them while they run."""
    host.reserve(networks.patcher)
    cache = None
    if networks.provider == ENGINES:
        cache = folders.model_folder() / ENGINES
        cache.mkdir(parents=True, exist_ok=True)

    def shared(path: Path, provider: str, *, engine_cache: Path | None, name: str) -> PoseSession:
        found = networks.sessions.get(path, provider, engine_cache=engine_cache, name=name)
        return cast(PoseSession, _Interruptible(found))

    return open_pose_pair(
        networks.detector,
        networks.estimator,
        networks.provider,
        channel_order=networks.channel_order,
        engine_cache=cache,
        opens=shared,
    )


def extract_pose(
    networks: DwPose,
    image: Tensor | None,  # IMAGE
    video: VideoInput | None,  # or a clip, which is read frame by frame
    person: str | int,  # largest, all or a number
    extract: dict[str, Any],  # fields of ExtractConfig
    clean: dict[str, Any],  # fields of CleanConfig; the speed of a video replaces its fps
    mask: Tensor | None = None,  # MASK beside the IMAGE: 1 where it is transparent
) -> tuple[list[dict[str, Any]], str]:
    """Return POSE_KEYPOINT and a report."""
    from ...animate_anyone.pose.files.keypoints import to_keypoints
    from ...animate_anyone.pose.people.extract import ExtractConfig
    from ...animate_anyone.pose.people.pipeline import FollowConfig, follow
    from ...animate_anyone.pose.people.smoothing import CleanConfig

    with driving_clip(image, video, mask) as clip:
        fps = {"fps": float(clip.fps)} if clip.fps else {}
        config = FollowConfig(
            extract=ExtractConfig(**extract),
            person=person,  # type: ignore[arg-type]
            clean=CleanConfig(**{**clean, **fps}),
            fps_is_known=bool(fps),
        )
        total = max(1, clip.total)
        report = host.progress(total)
        found, summary = follow(
            clip.frames,
            *open_networks(networks),
            config,
            lambda done: report(min(done, total), total),
        )
        summary = summary.with_notes(clip.remarks(len(found)))
    log.info("Poses: %s", summary.text().splitlines()[0])
    return to_keypoints(found), summary.text()


def read_drawn_poses(
    image: Tensor | None,  # IMAGE, skeletons on black
    video: VideoInput | None,  # or the same as a clip
    mask: Tensor | None = None,  # MASK beside the IMAGE: 1 where it is transparent
) -> tuple[list[dict[str, Any]], str]:
    """Return POSE_KEYPOINT and a report."""
    from ...animate_anyone.pose.drawing.read_back import read_skeleton_frames
    from ...animate_anyone.pose.files.keypoints import to_keypoints

    with driving_clip(image, video, mask, "black") as clip:
        found, summary = read_skeleton_frames(_reported(clip))
        text = "\n".join([str(summary), *clip.remarks(len(found))])
    return to_keypoints(found), text


def _reported(clip: DrivingClip) -> Iterator[np.ndarray]:
    """Yield the frames of a clip and advance the node's progress bar."""
    total = max(1, clip.total)
    report = host.progress(total)
    for done, frame in enumerate(clip.frames, 1):
        yield frame
        report(min(done, total), total)


class _Interruptible:
    """A session that checks before every run whether the user has cancelled."""

    def __init__(self, session: PoseSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Run the network."""
        host.check_interrupt()
        return self._session.run(tensor)
