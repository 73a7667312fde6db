"""Training examples: clips of drawn characters, encoded once and kept as shards on disk."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ...drawn.clip import paint_clip, skeletons_of
from ...errors import InputError
from ...json_files import read_record
from ...media.fitting import squash
from ...media.pictures import to_pixels
from ...places import owned, whole_file
from ...pose.drawing.draw import draw_pose
from ...protocols import Autoencoder
from ...types import Size
from .batch import Batch, Draw

log = logging.getLogger(__name__)

TOKEN_PICTURE = 64  # pixels of the picture that the image encoder sees
SHORT_CLIPS = 0.25  # share of stage 2's steps with fewer frames, because users have short clips
DETAILED = 0.6  # share of clips whose skeletons have hands, and of those that have a face
ARRAYS = ("latents", "poses", "masks", "thumbs")
ENCODER = "encoder.npy"  # latents of one picture, by which a folder's autoencoder is identified
SAME = 0.1  # tolerance for bf16 latents from different machines, in standard deviations


def write_shard(
    path: Path,
    autoencoder: Autoencoder,
    *,
    seed: int,
    clips: int,
    frames: int,
    consecutive: bool,  # consecutive frames, else frames spread over the motion
    size: Size,
) -> None:
    """Paint, encode and store clips; everything random depends on the seed alone."""
    rng = np.random.default_rng((seed, clips, frames, size.width, size.height))
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in ARRAYS}
    for _ in range(clips):
        start, stride = rng.integers(200), int(rng.integers(1, 3))
        times = start + stride * np.arange(frames) if consecutive else rng.uniform(0, 400, frames)
        paintings = paint_clip(rng, times, size)
        pictures = np.stack([p.picture for p in paintings])
        latents = autoencoder.encode(to_pixels(pictures))
        gathered["latents"].append(latents.to(torch.float16).numpy())
        # Skeletons of other sources may come without fingers and faces.
        hands, face = (rng.random(2) < DETAILED).tolist()
        drawn = draw_pose(skeletons_of(paintings, size), hands=hands, face=face)
        gathered["poses"].append(drawn)
        masks = torch.from_numpy(np.stack([p.mask for p in paintings])).float()[:, None]
        gathered["masks"].append(F.avg_pool2d(masks, 8)[:, 0].round().to(torch.uint8).numpy())
        gathered["thumbs"].append(rearrange(squash(pictures, TOKEN_PICTURE), "f H W c -> f c H W"))
    folder = path.with_suffix(".partial")
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in gathered.items():
        np.save(folder / f"{name}.npy", np.stack(values))
    (folder / "shard.json").write_text(json.dumps({"seed": seed, "consecutive": consecutive}))
    folder.rename(path)


def write_shards(
    folder: Path,
    autoencoder: Autoencoder,
    *,
    first: int,  # seed of the first shard
    shards: int,
    clips: int = 100,
    frames: int = 7,
    consecutive: bool = False,
    size: Size,
) -> None:
    """Paint missing shards; a shard's name gives its kind, picture size and seed."""
    _check_encoder(folder, autoencoder)
    kind = "clips" if consecutive else "frames"
    for seed in range(first, first + shards):
        path = folder / f"{kind}-{size.width}x{size.height}-{seed:05d}"
        if not path.exists():
            facts = {"clips": clips, "frames": frames, "consecutive": consecutive, "size": size}
            with owned(folder, name=f".{path.name}.lock"):
                write_shard(path, autoencoder, seed=seed, **facts)
            log.info("wrote %s", path.name)


def _check_encoder(folder: Path, autoencoder: Autoencoder) -> None:
    """Raise InputError if another autoencoder encoded the folder's examples: no mixture."""
    path, size = folder / ENCODER, Size(64, 64)
    rng = np.random.default_rng(0)
    picture = paint_clip(rng, np.zeros(1), size)[0].picture
    latents = autoencoder.encode(to_pixels(picture[None])).float().cpu().numpy()
    if not path.exists():
        with whole_file(path) as part, part.open("wb") as file:
            np.save(file, latents)
        return
    try:
        before = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"data folder got {folder}, whose {ENCODER} is damaged ({error}). Delete that file if "
            "this autoencoder made all examples there, otherwise delete the folder."
        ) from error
    if before.shape != latents.shape or not np.allclose(before, latents, atol=SAME):
        raise InputError(
            f"data folder got {folder}, whose examples were encoded by another autoencoder. Choose "
            "a new folder, or delete this one."
        )


class Shards:
    """The shards of a folder that fit a stage: a `Source` of drawn characters."""

    def __init__(self, folder: Path, *, consecutive: bool) -> None:
        """Open all complete shards of this kind; InputError if there is none."""
        self.shards: list[dict[str, Any]] = []
        for path in sorted(folder.glob("*/shard.json")):
            whole = path.parent.suffix != ".partial"
            if whole and read_record(path, "shard").get("consecutive") == consecutive:
                files = {
                    part: np.load(path.parent / f"{part}.npy", mmap_mode="r") for part in ARRAYS
                }
                self.shards.append({"name": path.parent.name, **files})
        if not self.shards:
            raise InputError(
                f"data folder got {folder}; it holds no shard of "
                f"{'running clips' if consecutive else 'single frames'}. "
                "Write some with the data command first."
            )

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return rows of a step; all come from one shard, so that their sizes agree."""
        rng = np.random.default_rng((draw.seed, step))
        weights = np.array([len(shard["latents"]) for shard in self.shards], float)
        shard = self.shards[rng.choice(len(weights), p=weights / weights.sum())]
        count, length = shard["latents"].shape[:2]
        chosen = rng.choice(count, draw.examples, replace=count < draw.examples)
        if draw.consecutive:
            wanted = min(draw.frames, length)
            run = wanted if rng.random() >= SHORT_CLIPS else int(rng.integers(1, wanted + 1))
            first = rng.integers(length - run + 1, size=draw.examples)
            targets = first[:, None] + np.arange(run)
            reference = rng.integers(length, size=draw.examples)
        else:
            order = np.argsort(rng.random((draw.examples, length)), 1)
            reference, targets = order[:, 0], order[:, 1 : draw.frames + 1]
        own = list(rows)
        return _gathered(shard, chosen[own], reference[own], targets[own])


def _gathered(
    shard: dict[str, Any], rows: np.ndarray, reference: np.ndarray, targets: np.ndarray
) -> Batch:
    def stacked(part: str) -> Tensor:
        pairs = zip(rows, targets, strict=True)
        return torch.from_numpy(np.stack([shard[part][row][frames] for row, frames in pairs]))

    return Batch(
        encoded=True,
        reference=torch.from_numpy(shard["latents"][rows, reference]).float(),
        thumbs=torch.from_numpy(shard["thumbs"][rows, reference]),
        targets=rearrange(stacked("latents").float(), "b f c h w -> b c f h w"),
        poses=rearrange(stacked("poses"), "b f H W c -> b f c H W"),
        masks=stacked("masks").float()[:, None] / 255,
        names=tuple(f"{shard['name']} character {row}" for row in rows),
    )
