"""How surely doubtful skeletons are told from good ones: `python -m benchmarks.doubt`.

aa-mini's pair runs on clips of drawn characters, which it knows, and on clips without people:
noise, painted scenery, and, with --pictures, a window that moves over each picture of a folder.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from animate_anyone.drawn.clip import paint_clip
from animate_anyone.media import read_picture, to_bytes
from animate_anyone.mini.pose_pair.painting.scenery import make_scenery
from animate_anyone.pose.people.doubt import Evidence, weigh
from animate_anyone.pose.people.pipeline import follow
from animate_anyone.types import Size
from animate_anyone.weights.pose_models import open_pose_pair

FRAMES = 16
SEED = 424242
SIDES = (128, 384)  # pixels


def drawn_clips(count: int) -> Iterator[list[np.ndarray]]:
    """Yield clips of drawn characters, every second one at 128x128."""
    for index in range(count):
        rng = np.random.default_rng((SEED, index))
        sides = rng.integers(*SIDES, 2) if index % 2 else (128, 128)
        times = np.arange(FRAMES) + rng.uniform(0, 400)
        paintings = paint_clip(rng, times, Size(int(sides[0]), int(sides[1])))
        yield [painting.picture for painting in paintings]


def empty_clips(count: int) -> Iterator[list[np.ndarray]]:
    """Yield clips without people: noise of single pixels, noise over patches, scenery."""
    for index in range(count):
        rng = np.random.default_rng((SEED, 1, index))
        if index % 3 == 0:
            yield list(rng.integers(0, 256, (FRAMES, 128, 128, 3), np.uint8))
        elif index % 3 == 1:
            patches = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (160, 160))
            noisy = patches + rng.normal(0, 10, (FRAMES, *patches.shape))
            yield list(np.clip(noisy, 0, 255).astype(np.uint8))
        else:
            yield moved_over(make_scenery(rng, Size(320, 320)), rng)


def moved_over(picture: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return a clip of a window that moves over a picture (H, W, 3)."""
    share = rng.uniform(0.6, 0.9)
    first, last = rng.uniform(0, 1 - share, (2, 2))
    extent = np.array(picture.shape[1::-1])
    scale = 256 / (share * extent.max())
    size = tuple(max(16, int(side)) for side in share * extent * scale)
    frames = []
    for time in np.linspace(0, 1, FRAMES):
        corner = (first + (last - first) * time) * extent
        matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
        frames.append(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_AREA))
    return frames


def picture_clips(folder: Path) -> Iterator[list[np.ndarray]]:
    """Yield a clip for each picture of a folder."""
    for index, path in enumerate(sorted(folder.iterdir())):
        yield moved_over(to_bytes(read_picture(path))[0], np.random.default_rng((SEED, 2, index)))


def report(title: str, clips: Iterator[list[np.ndarray]]) -> None:
    """Print how many of these clips are called doubtful, and the range of each measure."""
    pair = open_pose_pair(provider="cpu")
    count, found = 0, []
    for frames in clips:
        count += 1
        evidence = weigh(follow(frames, *pair)[0])
        found += [evidence] if evidence else []
    doubtful = sum(bool(evidence.doubts(drawn=True)) for evidence in found)
    print(f"{title}: {count} clips, somebody in {len(found)}, {doubtful} of them doubtful")
    for name in Evidence.__dataclass_fields__ if found else ():
        low, middle, high = np.quantile([getattr(e, name) for e in found], (0, 0.5, 1))
        print(f"  {name:10} {low:.3f} to {high:.3f}, median {middle:.3f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60, help="clips of each kind (default: 60)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="pictures without people")
    options = parser.parse_args()
    report("drawn characters", drawn_clips(options.clips))
    report("noise and scenery", empty_clips(options.clips))
    if options.pictures:
        report("pictures", picture_clips(options.pictures))


if __name__ == "__main__":
    main()
