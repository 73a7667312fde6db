"""The pose reader and the encoders that prepare clips; every process makes its own."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ..errors import ConfigError, InputError, WeightsError
from ..pose.files.keypoints import read_with_notes
from ..pose.people.doubt import knows_only_drawn
from ..pose.people.extract import ExtractConfig, extract_people
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

SAME_SHAPE = 0.01  # relative difference in aspect of canvas and frames that rounding can cause


class NoKeypointsError(InputError):
    """The keypoints of a clip are missing, or belong to another clip."""


class TrackReader(Protocol):
    """Reads the poses of a clip's main person."""

    def read(
        self,
        found: Found,
        frames: Iterable[np.ndarray],  # (H, W, 3) uint8; must be read to the end
        fps: float,  # frames per second
    ) -> Track:
        """Return the main person; InputError or MediaError if the clip cannot be read."""
        ...


@dataclass(frozen=True)
class Tools:
    """The tools of one process; an encoder is None if its results are not cached."""

    poses: TrackReader
    autoencoder: Autoencoder | None = None
    image_encoder: ImageEncoder | None = None
    device: torch.device | str = "cpu"


@dataclass(frozen=True)
class NetworkPoses:
    """Reads poses with a detector and an estimator."""

    pair: PosePair
    config: ExtractConfig

    def read(self, found: Found, frames: Iterable[np.ndarray], fps: float) -> Track:
        """Extract the poses of all frames, and return the main person."""
        del found
        people = extract_people(frames, *self.pair, self.config)
        track = main_person(people.clip, fps, people.colours)
        return replace(track, drawn=knows_only_drawn(*self.pair))


@dataclass(frozen=True)
class StoredPoses:
    """Reads poses that were extracted before, from POSE_KEYPOINT files or a prepared data set."""

    folder: Path

    def read(self, found: Found, frames: Iterable[np.ndarray], fps: float) -> Track:
        """Read the keypoints and check that they belong to the frames."""
        size, count = None, 0
        for frame in frames:
            size, count = Size(frame.shape[1], frame.shape[0]), count + 1
        if size is None:
            raise InputError("frames got none; a clip needs at least one. Export it again.")
        return _checked(self._stored(found, size, fps), size, count)

    def _stored(self, found: Found, size: Size, fps: float) -> Track:
        path = stored_path(self.folder, found)
        if path is None:
            raise NoKeypointsError(
                f"poses got {self.folder}; it holds no {found.name}.json. Extract them with "
                "python -m animate_anyone pose extract, or leave --poses out."
            )
        if path.suffix == ".npz":
            return read_track(path)
        reading = read_with_notes(path, size)
        return replace(main_person(reading.clip, fps), notes=reading.lines())


def stored_path(folder: Path, found: Found) -> Path | None:
    """Return the file or folder of a clip's stored keypoints; None if there is none.

    A data set has them as `keypoints.npz`; others are JSON files, or folders with one per frame.
    """
    prepared = clip_folder(folder, found.name) / "keypoints.npz"
    names = (found.name, found.name.rsplit("/", 1)[-1])
    stored = (path for name in names for path in (folder / f"{name}.json", folder / name))
    return next((path for path in (prepared, *stored) if path.exists()), None)


@dataclass(frozen=True, kw_only=True)
class ToolMaker:
    """Makes the tools for the options of `prepare`; can be pickled for other processes."""

    detector: Path | None = None  # None for both: the embedded pair
    estimator: Path | None = None
    provider: str = "auto"
    channel_order: str = "rgb"
    engine_cache: Path | None = None  # folder in which TensorRT caches its engines
    detect_every: int = 1
    stored: Path | None = None  # folder of keypoints; None: the networks extract them
    models: str = "aa-mini"  # weight set of the encoders that are not given below
    vae: Path | None = None
    image_encoder: Path | None = None
    caches: tuple[str, ...] = ()
    device: str = "cpu"

    def __call__(self) -> Tools:
        """Load the networks and return the tools."""
        return Tools(
            self._poses(),
            self._autoencoder() if "latents" in self.caches else None,
            self._image_encoder() if "tokens" in self.caches else None,
            self.device,
        )

    def poses_name(self) -> str:
        """Return a hash of the pose networks and their options, or the name of another source."""
        if self.stored:
            return "kept keypoints"  # saved in settings.json of data sets
        paths = chosen_pose_models(self.detector, self.estimator)
        contents = b"".join(path.read_bytes() for path in paths)
        options = f"{self.channel_order} {self.detect_every}".encode()
        return hashlib.sha256(contents + options).hexdigest()

    def cache_names(self) -> dict[str, str]:
        """Return a hash of the encoder of each cache; ConfigError for an unknown cache."""
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
        if self.stored:
            return StoredPoses(self.stored)
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
        f"models got {models!r}, which has no {what}, so this cache cannot be made. Give its "
        f"file with {option}, or leave that cache out."
    )


def _hash(encoder: object) -> str:
    """Return a hash of an encoder's weights, without the decoder of an autoencoder."""
    digest = hashlib.sha256()
    network: torch.nn.Module = encoder.network  # type: ignore[attr-defined]
    for name, value in sorted(network.state_dict().items()):
        if name.startswith(("decoder.", "post_quant_conv.")):
            continue
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _checked(stored: Track, size: Size, frames: int) -> Track:
    pose: PoseClip = stored.pose
    if len(pose) != frames:
        raise NoKeypointsError(
            f"poses got keypoints of {len(pose)} frames; the clip has {frames}. Extract them from "
            "this file."
        )
    aspect = pose.canvas.width * size.height / (pose.canvas.height * size.width)
    if abs(aspect - 1) > SAME_SHAPE:
        raise NoKeypointsError(
            f"poses got a canvas of {pose.canvas.width}x{pose.canvas.height}; the frames are "
            f"{size.width}x{size.height}, which has another aspect. Extract them from this file."
        )
    return replace(stored, pose=fit_pose(pose, size))
