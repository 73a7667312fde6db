"""What reads poses and fills the caches while clips are prepared, made anew in every process."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ..errors import ConfigError, InputError, WeightsError
from ..pose.files.keypoints import read_keypoints
from ..pose.people.extract import ExtractConfig, extract
from ..pose.skeleton.fit import fit_pose
from ..protocols import Autoencoder, ImageEncoder
from ..types import PoseClip, Size
from ..weights.encoders import load_autoencoder, load_image_encoder
from ..weights.load import resolve_preset
from ..weights.pose_models import PosePair, chosen_pose_models, open_pose_pair
from ..weights.read import read_weights
from ..weights.sets.moore import MOORE
from ..weights.sources import open_parts
from .find import Found
from .manifest import clip_folder
from .tracks import Track, main_person, read_track

SAME_SHAPE = 0.01  # canvas and frames may differ so much in their aspect, by rounding


class NoKeypointsError(InputError):
    """There are no keypoints of a clip, or they are of another one."""


class TrackReader(Protocol):
    """Says whom a clip shows."""

    def read(
        self,
        found: Found,
        frames: Iterable[np.ndarray],  # (H, W, 3) uint8; to be read to the end
    ) -> Track:
        """Return the main person; InputError or MediaError if the clip cannot be read."""
        ...


@dataclass(frozen=True)
class Tools:
    """Everything one process needs; an encoder is None where nothing of it is cached."""

    poses: TrackReader
    autoencoder: Autoencoder | None = None
    image_encoder: ImageEncoder | None = None
    device: torch.device | str = "cpu"


@dataclass(frozen=True)
class NetworkPoses:
    """Poses as a detector and an estimator see them."""

    pair: PosePair
    config: ExtractConfig

    def read(self, found: Found, frames: Iterable[np.ndarray]) -> Track:
        """Look at all frames."""
        del found
        return main_person(extract(frames, *self.pair, self.config)[0])


@dataclass(frozen=True)
class KeptPoses:
    """Poses that were extracted before: POSE_KEYPOINT files, or another prepared data set."""

    folder: Path

    def read(self, found: Found, frames: Iterable[np.ndarray]) -> Track:
        """Read the keypoints and check that they belong to the frames."""
        size, count = None, 0
        for frame in frames:
            size, count = Size(frame.shape[1], frame.shape[0]), count + 1
        if size is None:
            raise InputError("frames got none; a clip needs at least one. Export it again.")
        return _checked(self._kept(found, size), size, count)

    def _kept(self, found: Found, size: Size) -> Track:
        prepared = clip_folder(self.folder, found.name) / "keypoints.npz"
        if prepared.is_file():
            return read_track(prepared)
        for name in (found.name, found.name.rsplit("/", 1)[-1]):
            for path in (self.folder / f"{name}.json", self.folder / name):
                if path.exists():
                    return main_person(read_keypoints(path, size))
        raise NoKeypointsError(
            f"poses got {self.folder}; it holds no {found.name}.json. Extract them with "
            "python -m animate_anyone pose extract, or leave --poses out."
        )


@dataclass(frozen=True, kw_only=True)
class ToolMaker:
    """Makes the tools that the options of `prepare` name; travels to other processes."""

    detector: Path | None = None  # None, both: the embedded pair
    estimator: Path | None = None
    provider: str = "auto"
    channel_order: str = "rgb"
    engine_cache: Path | None = None  # where TensorRT keeps its engines
    detect_every: int = 1
    kept: Path | None = None  # folder of keypoints; None: the networks look
    models: str = "aa-mini"  # weight set that has the encoders which are not named below
    vae: Path | None = None
    image_encoder: Path | None = None
    caches: tuple[str, ...] = ()
    device: str = "cpu"

    def __call__(self) -> Tools:
        """Load everything."""
        return Tools(
            self._poses(),
            self._autoencoder() if "latents" in self.caches else None,
            self._image_encoder() if "tokens" in self.caches else None,
            self.device,
        )

    def poses_name(self) -> str:
        """Return what tells these poses from those of other networks."""
        if self.kept:
            return "kept keypoints"
        paths = chosen_pose_models(self.detector, self.estimator)
        contents = b"".join(path.read_bytes() for path in paths)
        told = f"{self.channel_order} {self.detect_every}".encode()
        return hashlib.sha256(contents + told).hexdigest()

    def cache_names(self) -> dict[str, str]:
        """Return a hash of the network behind each cache; ConfigError for an unknown cache."""
        makers = {"latents": self._autoencoder, "tokens": self._image_encoder}
        if unknown := set(self.caches) - set(makers):
            raise ConfigError(
                f"cache got {', '.join(sorted(unknown))}; known are {', '.join(makers)}."
            )
        return {cache: _hash(makers[cache]()) for cache in self.caches}

    def _autoencoder(self) -> Autoencoder:
        if self.vae:
            scale = MOORE.latent_scale  # Stable Diffusion's
            return load_autoencoder(read_weights(self.vae), scale, torch.float32, self.device)
        parts = open_parts(self.models)
        if parts.autoencoder is None:
            raise _lacking(self.models, "autoencoder", "--vae")
        scale = resolve_preset(parts).latent_scale
        return load_autoencoder(parts.autoencoder, scale, torch.float32, self.device)

    def _image_encoder(self) -> ImageEncoder:
        weights = None
        if self.image_encoder:
            weights = read_weights(self.image_encoder)
        elif (weights := open_parts(self.models).image_encoder) is None:
            raise _lacking(self.models, "image encoder", "--image-encoder")
        return load_image_encoder(weights, torch.float32, self.device)

    def _poses(self) -> TrackReader:
        if self.kept:
            return KeptPoses(self.kept)
        pair = open_pose_pair(
            self.detector,
            self.estimator,
            self.provider,
            channel_order=self.channel_order,
            engine_cache=self.engine_cache,
        )
        return NetworkPoses(pair, ExtractConfig(detect_every=self.detect_every))


def _lacking(models: str, what: str, option: str) -> WeightsError:
    return WeightsError(
        f"models got {models!r}, which has no {what}; nothing can be cached with it. Name its "
        f"file with {option}, or leave that cache out."
    )


def _hash(encoder: object) -> str:
    """Return a hash of what encodes; of an autoencoder the decoder is no part of it."""
    digest = hashlib.sha256()
    network: torch.nn.Module = encoder.network  # type: ignore[attr-defined]
    for name, value in sorted(network.state_dict().items()):
        if name.startswith(("decoder.", "post_quant_conv.")):
            continue
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _checked(kept: Track, size: Size, frames: int) -> Track:
    pose: PoseClip = kept.pose
    if len(pose) != frames:
        raise NoKeypointsError(
            f"poses got keypoints of {len(pose)} frames; the clip has {frames}. Extract them from "
            "this very file."
        )
    aspect = pose.canvas.width * size.height / (pose.canvas.height * size.width)
    if abs(aspect - 1) > SAME_SHAPE:
        raise NoKeypointsError(
            f"poses got a canvas of {pose.canvas.width}x{pose.canvas.height}; the frames are "
            f"{size.width}x{size.height}, of another shape. Extract them from this very file."
        )
    return Track(fit_pose(pose, size), kept.crowded)
