"""Two characters in one picture: does each look like its own reference?

    python -m benchmarks.two_characters [--pairs N] [--steps N] [--cfg N] [--sheet PICTURE]

Pairs of drawn characters, fixed by seed: one stands on the left and one on the right of a picture
of 256x128 pixels, and the reference of each is a picture of its own, 128x128, in another pose. The
figures are PSNR in dB inside each figure's silhouette, of aa-mini: with the persons' regions, with
the references swapped, and with both references but no regions.
"""

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from animate_anyone.animate import Networks, Sampling, animate, condition, sampling_of
from animate_anyone.animate.persons import regions_of
from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import skeletons_of
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import Painting, paint
from animate_anyone.media import contact_sheet, to_bytes, to_pixels, write_picture
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.types import Points, PoseClip, Size
from animate_anyone.weights.load import load_models

SEED = 555
ALONE, TOGETHER = Size(128, 128), Size(256, 128)
WAYS = ("own regions", "swapped references", "no regions")


@dataclass(frozen=True)
class TwoFigures:
    """A picture with two characters, and a reference of each."""

    references: list[Tensor]  # (1, 3, H, W), 0..1
    poses: np.ndarray  # (1, H, W, 3) uint8
    regions: np.ndarray  # (1, 2, H, W) bool
    silhouettes: list[np.ndarray]  # (H, W) bool
    truth: Tensor  # (1, 3, H, W)


def two_figures(index: int) -> TwoFigures:
    """Return a pair of characters; the right one stands before the left one."""
    rng = np.random.default_rng((SEED, index))
    left = make_character(rng, close_up=False)
    ground = ("background", "background_second", "background_style")
    behind = {name: getattr(left, name) for name in ground}
    right = replace(make_character(rng, close_up=False), **behind)
    motions = [make_motion(rng) for _ in range(4)]
    moments = [motion.angles(float(rng.integers(200))) for motion in motions]
    figures = [
        paint(replace(one, centre=centre), moment, TOGETHER)
        for one, centre, moment in zip((left, right), (0.25, 0.75), moments, strict=False)
    ]
    over = figures[1].mask > 127
    truth = np.where(over[..., None], figures[1].picture, figures[0].picture)
    own = [paint(one, m, ALONE) for one, m in zip((left, right), moments[2:], strict=True)]
    skeletons = _together(figures)
    return TwoFigures(
        references=[to_pixels(each.picture[None]) for each in own],
        poses=draw_pose(skeletons),
        regions=regions_of(skeletons, TOGETHER),
        silhouettes=[(figures[0].mask > 127) & ~over, over],
        truth=to_pixels(truth[None]),
    )


def _together(figures: list[Painting]) -> PoseClip:
    """Return the skeletons of two figures as a clip of one frame and two people."""
    clips = [skeletons_of([figure], TOGETHER) for figure in figures]

    def both(name: str) -> Points:
        parts = [getattr(clip, name) for clip in clips]
        return Points(
            xy=np.concatenate([part.xy for part in parts], axis=1),
            confidence=np.concatenate([part.confidence for part in parts], axis=1),
        )

    names = ("body", "left_hand", "right_hand", "face", "feet")
    return PoseClip(canvas=TOGETHER, **{name: both(name) for name in names})


def results(models: Networks, pair: TwoFigures, sampling: Sampling) -> dict[str, Tensor]:
    """Return the picture of each way, (1, 3, H, W)."""
    ways = (
        (pair.references, pair.regions),
        (pair.references[::-1], pair.regions),
        (pair.references, None),
    )
    return {
        name: torch.cat(list(animate(models, references, pair.poses, sampling, regions=regions)))
        for name, (references, regions) in zip(WAYS, ways, strict=True)
    }


def psnr_inside(result: Tensor, truth: Tensor, silhouette: np.ndarray) -> float:
    """Return the PSNR in dB of the pixels of a figure."""
    inside = torch.from_numpy(silhouette)
    error = (result - truth)[0][:, inside].square().mean()
    return float(-10 * torch.log10(error))


@contextmanager
def _said_once(logger: logging.Logger) -> Iterator[None]:
    """Let a logger say each line once; every pair here would say the same of its references."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        line = record.getMessage()
        return not (line in said or said.add(line))

    logger.addFilter(is_new)
    try:
        yield
    finally:
        logger.removeFilter(is_new)


def measured(
    models: Networks,
    sampling: Sampling,
    pairs: int,
    shown: dict[str, list[np.ndarray]] | None = None,  # gets the pictures, if given
) -> dict[str, list[float]]:
    """Return the PSNR in dB inside each figure, by way."""
    figures: dict[str, list[float]] = {name: [] for name in WAYS}
    with _said_once(logging.getLogger(condition.__name__)):
        for index in range(pairs):
            pair = two_figures(index)
            made = results(models, pair, sampling)
            for name, result in made.items():
                figures[name] += [psnr_inside(result, pair.truth, one) for one in pair.silhouettes]
            if shown is not None:
                for name, picture in {"truth": pair.truth, **made}.items():
                    shown[name].append(to_bytes(picture)[0])
    return figures


def main() -> None:
    """Print the mean over all figures of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--cfg", type=float, default=1.0)
    parser.add_argument("--sheet", type=Path, help="also write the pictures of eight pairs")
    options = parser.parse_args()
    models = load_models("aa-mini")
    sampling = replace(sampling_of(models.preset), steps=options.steps, guidance=options.cfg)
    shown: dict[str, list[np.ndarray]] = {name: [] for name in ("truth", *WAYS)}
    figures = measured(models, sampling, options.pairs, shown)
    for name, values in figures.items():
        error = np.std(values, ddof=1) / len(values) ** 0.5
        print(f"{name:<20}{np.mean(values):>7.2f} dB in the figure, standard error {error:.2f}")
    gain = np.mean(figures[WAYS[0]]) - np.mean(figures[WAYS[1]])
    print(f"own references are {gain:.2f} dB above swapped ones")
    if options.sheet:
        write_picture(options.sheet, contact_sheet({k: v[:8] for k, v in shown.items()}, cell=160))


if __name__ == "__main__":
    main()
