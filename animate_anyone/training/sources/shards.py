"""Training examples: clips of drawn characters, encoded once and kept as shards on disk."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ...drawn.clip import paint_any_clip, paint_clip, paint_patterned_clip, skeletons_of
from ...errors import InputError
from ...json_files import read_record
from ...media.fitting import squash
from ...media.pictures import to_pixels
from ...places import owned, whole_file
from ...pose.drawing.draw import draw_pose
from ...pose.skeleton.stack import SLICES, stack
from ...protocols import Autoencoder
from ...types import Size
from .batch import Batch, Draw, Extra, refuse_clip_settings
from .extras import described, described_pictures, draw_extras, far_apart
from .weighed import boxes_of_rows, clip_of_points, rules_of

log = logging.getLogger(__name__)

# All kinds of characters, with backs; full figures from the front, usual or in patterned clothes.
Cast = Literal["fronts", "kinds", "patterned"]
_PAINTERS = {
    "fronts": (paint_clip, ()),
    "kinds": (paint_any_clip, (1,)),
    "patterned": (paint_patterned_clip, (2,)),
}
TOKEN_PICTURE = 64  # pixels of the picture that the image encoder sees
SHORT_CLIPS = 0.25  # share of stage 2's steps with fewer frames, because users have short clips
DETAILED = 0.6  # share of clips whose skeletons have hands, and of those that have a face
ARRAYS = ("latents", "poses", "masks", "thumbs")
POINTS = "points"  # (clips, f, 134, 3): x, y and confidence; shards of earlier versions have none
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
    cast: Cast = "fronts",
) -> None:
    """Paint, encode and store clips; everything random depends on the seed alone."""
    facts = (seed, clips, frames, size.width, size.height)
    painted, stream = _PAINTERS[cast]
    rng = np.random.default_rng((*facts, *stream))
    gathered: dict[str, list[np.ndarray]] = {name: [] for name in (*ARRAYS, POINTS)}
    for _ in range(clips):
        start, stride = rng.integers(200), int(rng.integers(1, 3))
        times = start + stride * np.arange(frames) if consecutive else rng.uniform(0, 400, frames)
        paintings = painted(rng, times, size)
        pictures = np.stack([p.picture for p in paintings])
        latents = autoencoder.encode(to_pixels(pictures))
        gathered["latents"].append(latents.to(torch.float16).numpy())
        # Skeletons of other sources may come without fingers and faces.
        hands, face = (rng.random(2) < DETAILED).tolist()
        skeletons = skeletons_of(paintings, size)
        gathered["poses"].append(draw_pose(skeletons, hands=hands, face=face))
        points = stack(skeletons)
        marked = np.concatenate([points.xy, points.confidence[..., None]], -1)[:, 0]
        gathered["points"].append(marked.astype(np.float32))
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
    cast: Cast = "fronts",
) -> None:
    """Paint missing shards; a shard's name gives its kind, picture size and seed."""
    _check_encoder(folder, autoencoder)
    kind = ("clips" if consecutive else "frames") + ("" if cast == "fronts" else f"-{cast}")
    for seed in range(first, first + shards):
        path = folder / f"{kind}-{size.width}x{size.height}-{seed:05d}"
        if not path.exists():
            facts = {"clips": clips, "frames": frames, "consecutive": consecutive, "size": size}
            with owned(folder, name=f".{path.name}.lock"):
                write_shard(path, autoencoder, seed=seed, cast=cast, **facts)
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
                marks = path.parent / f"{POINTS}.npy"
                if marks.is_file():
                    files[POINTS] = np.load(marks, mmap_mode="r")
                self.shards.append({"name": path.parent.name, **files})
        if not self.shards:
            raise InputError(
                f"data folder got {folder}; it holds no shard of "
                f"{'running clips' if consecutive else 'single frames'}. "
                "Write some with the data command first."
            )

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return rows of a step; all come from one shard, so that their sizes agree."""
        refuse_clip_settings(draw, "drawn characters")
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
        drawn = _Drawn(shard, chosen, reference, targets)
        extras = _extras(rng, draw, drawn) if draw.references > 1 else []
        own = list(rows)
        return _gathered(drawn.rows(own), [extra.rows(own) for extra in extras], draw)


@dataclass(frozen=True)
class _Drawn:
    """Examples of a shard: characters, and the frames that are references and targets."""

    shard: dict[str, Any]
    characters: np.ndarray  # (b,)
    reference: np.ndarray  # (b,)
    targets: np.ndarray  # (b, f)

    def rows(self, own: list[int]) -> "_Drawn":
        """Return some of the examples."""
        parts = (self.characters, self.reference, self.targets)
        return _Drawn(self.shard, *(part[own] for part in parts))

    def pictures(self, part: str) -> Tensor:
        """Return a part of the references' arrays."""
        return torch.from_numpy(self.shard[part][self.characters, self.reference])

    def of_targets(self, part: str) -> np.ndarray:
        """Return a part of the targets' arrays."""
        pairs = zip(self.characters, self.targets, strict=True)
        return np.stack([self.shard[part][character][frames] for character, frames in pairs])


@dataclass(frozen=True)
class _Extra:
    """One further reference of every example."""

    frames: np.ndarray  # (b,)
    present: np.ndarray  # (b,), bool

    def rows(self, own: list[int]) -> "_Extra":
        """Return those of some examples."""
        return _Extra(self.frames[own], self.present[own])


def _extras(rng: np.random.Generator, draw: Draw, drawn: _Drawn) -> list[_Extra]:
    """Return the further references: frames that are not targets, far apart in pose."""
    length = drawn.shard["latents"].shape[1]
    frames = np.zeros((draw.examples, draw.references - 1), int)
    present = np.zeros(frames.shape, bool)
    for row, (character, first, targets) in enumerate(
        zip(drawn.characters, drawn.reference, drawn.targets, strict=True)
    ):
        taken = [first] if draw.consecutive else [first, *targets]
        free = np.setdiff1d(np.arange(length), taken)
        count = draw_extras(rng, draw, len(free))
        chosen = far_apart(_described(drawn.shard, character), first, free, count)
        frames[row, :count], present[row, :count] = chosen, True
    return [_Extra(*part) for part in zip(frames.T, present.T, strict=True) if part[1].any()]


def _described(shard: dict[str, Any], character: int) -> np.ndarray:
    """Return the poses of a character as numbers."""
    if POINTS not in shard:
        return described_pictures(shard["poses"][character])
    body = shard[POINTS][character][:, SLICES["body"]]
    return described(body[..., :2], body[..., 2])


def _gathered(drawn: _Drawn, extras: list[_Extra], draw: Draw) -> Batch:
    shard = drawn.shard
    latents, poses, masks = (
        torch.from_numpy(drawn.of_targets(part)) for part in ("latents", "poses", "masks")
    )
    return Batch(
        encoded=True,
        reference=drawn.pictures("latents").float(),
        thumbs=drawn.pictures("thumbs"),
        targets=rearrange(latents.float(), "b f c h w -> b c f h w"),
        poses=rearrange(poses, "b f H W c -> b f c H W"),
        masks=masks.float()[:, None] / 255,
        extras=tuple(_extra(replace(drawn, reference=each.frames), each) for each in extras),
        names=tuple(f"{shard['name']} character {row}" for row in drawn.characters),
        **_boxes(drawn, draw),
    )


def _extra(drawn: _Drawn, extra: _Extra) -> Extra:
    return Extra(
        reference=drawn.pictures("latents").float(),
        thumbs=drawn.pictures("thumbs"),
        present=tuple(extra.present.tolist()),
    )


def _boxes(drawn: _Drawn, draw: Draw) -> dict[str, Tensor]:
    """Return the boxes of hands and faces; InputError if the shard has no keypoints."""
    if not rules_of(draw):
        return {}
    shard = drawn.shard
    if POINTS not in shard:
        raise InputError(
            f"hand_weight or face_weight is above 0, but {shard['name']} was drawn by an earlier "
            "version and holds no keypoints. Delete it and draw it again, or set both to 0."
        )
    height, width = shard["poses"].shape[2:4]
    rows = [clip_of_points(row, Size(width, height)) for row in drawn.of_targets(POINTS)]
    return boxes_of_rows(rows, draw)
