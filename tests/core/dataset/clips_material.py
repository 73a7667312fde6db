"""Tiny clips of drawn characters with their exact keypoints, written as files."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from animate_anyone.dataset.tools import StoredPoses, Tools
from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import skeletons_of
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import paint
from animate_anyone.media import VideoWriter
from animate_anyone.pose.files.keypoints import write_keypoints
from animate_anyone.types import PoseClip, Size

SIZE = Size(64, 64)


@cache
def character(
    seed: int, frames: int, size: Size = SIZE, stride: float = 1.0
) -> tuple[np.ndarray, PoseClip]:
    """Return frames (f, H, W, 3) uint8 of a character in motion, and its keypoints."""
    rng = np.random.default_rng(seed)
    body, motion = make_character(rng, close_up=False), make_motion(rng)
    paintings = [paint(body, motion.angles(stride * frame), size) for frame in range(frames)]
    return np.stack([each.picture for each in paintings]), skeletons_of(paintings, size)


def write_clip(
    folder: Path,
    name: str,  # with the suffix of a container, or none for a folder of pictures
    frames: np.ndarray,  # (f, H, W, 3) uint8
    pose: PoseClip | None = None,  # written to folder/../poses
    fps: float = 30,
) -> Path:
    """Write a clip, and its keypoints where `StoredPoses` reads them."""
    path = folder / name
    if path.suffix:
        with VideoWriter(path, Size(frames.shape[2], frames.shape[1]), fps) as writer:
            writer.write(frames)
    else:
        path.mkdir(parents=True)
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(path / f"{number}.png")
    if pose is not None:
        keypoints = folder.parent / "poses" / Path(name).with_suffix(".json")
        keypoints.parent.mkdir(parents=True, exist_ok=True)
        write_keypoints(keypoints, pose)
    return path


def write_character(folder: Path, name: str, seed: int, frames: int, size: Size = SIZE) -> None:
    """Write a clip of a drawn character with its keypoints."""
    write_clip(folder, name, *character(seed, frames, size))


class MeanEncoder:
    """Encodes 8x8 pixels as their mean colour; can be set to fail at its n-th call."""

    def __init__(self, fails_at: int = 0) -> None:
        self.calls, self.fails_at = 0, fails_at

    def encode(self, frames: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError("out of memory")
        return functional.avg_pool2d(frames, 8) * 2 - 1

    def decode(self, latents: Tensor) -> Tensor:
        return functional.interpolate(latents / 2 + 0.5, scale_factor=8)


class MeanToken:
    """Encodes a picture as its mean colour."""

    def encode(self, picture: Tensor) -> Tensor:
        return picture.mean((2, 3))[:, None]


@dataclass(frozen=True)
class StoredTools:
    """Makes tools that read keypoints; can be pickled for other processes."""

    poses: Path
    caches: tuple[str, ...] = ()
    encoder: MeanEncoder | None = None

    def __call__(self) -> Tools:
        encoder = self.encoder or MeanEncoder()
        return Tools(
            StoredPoses(self.poses),
            encoder if "latents" in self.caches else None,
            MeanToken() if "tokens" in self.caches else None,
            torch.device("cpu"),
        )
