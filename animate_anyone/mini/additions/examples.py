"""Examples for a LoRA and a ControlNet: drawn characters whose frames differ from the reference."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor

from ...drawn import PICTURE_SIZE
from ...drawn.characters import Character, make_character
from ...drawn.clip import skeletons_of
from ...drawn.looks import edges_of, inked
from ...drawn.motions import make_motion
from ...drawn.painting import Painting, paint
from ...errors import TrainingError
from ...evaluation.held_out import HELD_OUT
from ...media.fitting import squash
from ...media.pictures import to_pixels
from ...places import whole_file
from ...pose.drawing.draw import draw_pose
from ...protocols import Autoencoder
from ...training.sources.batch import Batch
from ...training.sources.shards import DETAILED, TOKEN_PICTURE

log = logging.getLogger(__name__)

WORN = ("hair_style", "bottom_style")  # properties that the outline shows
COLOURS = (
    "skin", "hair", "eyes", "top", "top_second", "pattern", "pattern_scale", "bottom",
    "bottom_second", "shoes", "background", "background_second",
)  # fmt: skip
SAME = 0.25  # share of drivers that are the target itself
PLAIN = 0.6  # share of the other drivers whose top has no pattern
LOWEST_EDGE, HIGHEST_EDGE = 0.05, 0.25  # range of Canny's lower threshold


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A character's reference and its target frames."""

    reference: np.ndarray  # (H, W, 3), uint8 RGB
    targets: np.ndarray  # (f, H, W, 3), uint8 RGB
    masks: np.ndarray  # (f, H, W), uint8, 255 inside the figure
    poses: np.ndarray  # (f, H, W, 3), uint8: skeletons
    hints: np.ndarray  # (f, H, W), uint8: edges


Draw = Callable[[np.random.Generator, int], Drawn]  # takes a generator and a number of frames


def draw_ink(rng: np.random.Generator, frames: int) -> Drawn:
    """Return ink drawings as frames of a character whose reference is painted as usual."""
    character = make_character(rng)
    reference, paintings = _painted(rng, character, [character], frames)
    targets = np.stack([inked(p.picture, p.mask) for p in paintings[0]])
    return _drawn(rng, reference, paintings[0], targets, np.zeros(targets.shape[:3], np.uint8))


def draw_edges(rng: np.random.Generator, frames: int) -> Drawn:
    """Return frames in which the character wears the clothes that the edges show.

    Edges come from a driver with the same build and other colours. The frames have the driver's
    cut of hair or hat and of skirt or trousers, and the reference's colours and pattern.
    """
    character, other = make_character(rng), make_character(rng)
    target = replace(character, **{name: getattr(other, name) for name in WORN})
    driver = target
    if rng.random() >= SAME:
        driver = replace(
            target,
            background_style="plain",
            **{name: getattr(make_character(rng), name) for name in COLOURS},
        )
        if rng.random() < PLAIN:
            driver = replace(driver, pattern="plain")
    reference, (wanted, seen) = _painted(rng, character, [target, driver], frames)
    low = rng.uniform(LOWEST_EDGE, HIGHEST_EDGE)
    hints = np.stack([edges_of(p.picture, low, 2 * low) for p in seen])
    return _drawn(rng, reference, wanted, np.stack([p.picture for p in wanted]), hints)


def _painted(
    rng: np.random.Generator,
    character: Character,  # of the reference
    others: Sequence[Character],
    frames: int,
) -> tuple[np.ndarray, list[list[Painting]]]:
    """Return a reference picture, and paintings of each other at the same moments of a motion."""
    motion = make_motion(rng)
    first, *times = rng.uniform(0, 400, frames + 1)
    reference = paint(character, motion.angles(first), PICTURE_SIZE).picture
    moments = [motion.angles(time) for time in times]
    return reference, [
        [paint(other, angles, PICTURE_SIZE) for angles in moments] for other in others
    ]


def _drawn(
    rng: np.random.Generator,
    reference: np.ndarray,
    paintings: list[Painting],
    targets: np.ndarray,
    hints: np.ndarray,
) -> Drawn:
    hands, face = (rng.random(2) < DETAILED).tolist()
    return Drawn(
        reference=reference,
        targets=targets,
        masks=np.stack([p.mask for p in paintings]),
        poses=draw_pose(skeletons_of(paintings, PICTURE_SIZE), hands=hands, face=face),
        hints=hints,
    )


def held_out(draw: Draw, index: int, frames: int) -> Drawn:
    """Return an example that is not used in training."""
    return draw(np.random.default_rng((HELD_OUT, index)), frames)


class Examples:
    """Encoded examples; every step draws some of them by its number."""

    def __init__(self, parts: dict[str, np.ndarray]) -> None:
        """Use stacked results of `encoded`, any number of examples."""
        self.parts = parts

    @classmethod
    def of(
        cls, path: Path, draw: Draw, autoencoder: Autoencoder, *, count: int, frames: int, seed: int
    ) -> "Examples":
        """Return the examples of a file; draw and encode them first if it does not exist."""
        if not path.exists():
            rng = np.random.default_rng((seed, count, frames))
            rows = [encoded(draw(rng, frames), autoencoder) for _ in range(count)]
            whole: dict[str, Any] = {
                name: np.stack([row[name] for row in rows]) for name in rows[0]
            }
            with whole_file(path) as part, part.open("wb") as file:
                np.savez(file, **whole)
            log.info("wrote %s: %d characters, %d frames each", path, count, frames)
        with np.load(path) as file:
            examples = cls(dict(file))
        characters, pictures = examples.parts["targets"].shape[:2]
        if (characters, pictures) != (count, frames):
            raise TrainingError(
                f"{path} got {characters} characters of {pictures} frames; the run asks for "
                f"{count} of {frames}. Remove the file, or choose another folder."
            )
        return examples

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Batch, Tensor]:
        """Return random examples, and their hints (b, f, 3, H, W) in 0..1."""
        rows = rng.choice(len(self.parts["targets"]), count, replace=False)
        return as_batch({name: values[rows] for name, values in self.parts.items()})


def encoded(drawn: Drawn, autoencoder: Autoencoder) -> dict[str, np.ndarray]:
    """Return one example as the networks' inputs and targets."""
    pictures = np.concatenate([drawn.reference[None], drawn.targets])
    latents = autoencoder.encode(to_pixels(pictures)).to(torch.float16).numpy()
    masks = torch.from_numpy(drawn.masks).float()[:, None]
    return {
        "reference": latents[0],
        "targets": latents[1:],
        "thumbs": rearrange(squash(pictures[:1], TOKEN_PICTURE), "1 H W c -> c H W"),
        "masks": F.avg_pool2d(masks, 8)[:, 0].round().to(torch.uint8).numpy(),
        "poses": drawn.poses,
        "hints": np.packbits(drawn.hints > 0, axis=-1),
    }


def as_batch(rows: dict[str, np.ndarray]) -> tuple[Batch, Tensor]:
    """Return stacked examples as a batch, and their hints (b, f, 3, H, W) in 0..1."""
    batch = Batch(
        encoded=True,
        reference=torch.from_numpy(rows["reference"]).float(),
        targets=rearrange(torch.from_numpy(rows["targets"]).float(), "b f c h w -> b c f h w"),
        poses=rearrange(torch.from_numpy(rows["poses"]), "b f H W c -> b f c H W"),
        thumbs=torch.from_numpy(rows["thumbs"]),
        masks=torch.from_numpy(rows["masks"]).float()[:, None] / 255,
    )
    hints = torch.from_numpy(np.unpackbits(rows["hints"], axis=-1)).float()
    return batch, repeat(hints, "b f H W -> b f 3 H W")
