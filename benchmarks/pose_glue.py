"""CPU time per frame of pose extraction without its networks, or the peak memory of extraction.

    python -m benchmarks.pose_glue [--frames N] [--memory] [--json]

One core, one person, 1080p frames, the tensor shapes of YOLOX-L and DWPose-L; no network runs.
Target: 3 ms per frame. --memory extracts clips of 5 and 60 seconds with networks of a few
kilobytes, each clip in its own process; the two peaks may differ by 300 MB.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from animate_anyone.pose.drawing.draw import draw_frame
from animate_anyone.pose.networks.detector import (
    Boxes,
    decode_cells,
    grid_cells,
    letterbox,
    suppress,
)
from animate_anyone.pose.networks.estimator import crop, crop_windows, decode_simcc
from animate_anyone.pose.people.between import People
from animate_anyone.pose.people.clothes import torso_colours
from animate_anyone.pose.people.extract import extract
from animate_anyone.pose.skeleton.layouts import WHOLEBODY
from animate_anyone.types import PoseClip, Size
from animate_anyone.weights.pose_models import open_pose_pair

from .peak_memory import peak_mb

TARGET_MS = 3.0
TARGET_MB = 300.0
FRAME = Size(1920, 1080)
RATE = 30  # frames per second
CLIPS = (5, 60)  # seconds
DETECTOR = (640, 640)  # height, width
ESTIMATOR = (288, 384)  # width, height


def glue(frames: int) -> dict[str, float]:
    """Return milliseconds per frame for each part of the work, as medians over frames."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (FRAME.height, FRAME.width, 3), np.uint8)
    cells = grid_cells(*DETECTOR)
    rows = rng.uniform(0, 0.3, (len(cells), 85)).astype(np.float32)
    _plant(rows, cells, (320.0, 180.0, 130.0, 290.0))
    box = np.array([[760.0, 140, 1160, 1000]])
    x, y = (rng.normal(size=(1, 133, 2 * side)).astype(np.float32) for side in ESTIMATOR)
    clip = _person(box)
    places = box[0, :2] + rng.uniform(0.3, 0.7, (1, 133, 2)) * (box[0, 2:] - box[0, :2])
    people = People(Boxes(box, np.ones(1)), places, np.full((1, 133), 0.9), WHOLEBODY)
    small = Size(round(512 * FRAME.width / FRAME.height), 512)

    def boxes() -> None:
        people = decode_cells(rows, cells, 0.3)
        suppress(people.boxes, people.scores)

    work: dict[str, Callable[[], object]] = {
        "letterbox": lambda: letterbox(picture, *DETECTOR),
        "boxes": boxes,
        "crop": lambda: crop(picture, crop_windows(box, *ESTIMATOR)[0], *ESTIMATOR),
        "decode": lambda: decode_simcc(x, y, *ESTIMATOR),
        "clothes": lambda: torso_colours(picture, people),
        "draw": lambda: draw_frame(clip, 0, small),
    }
    return {part: _median_ms(run, frames) for part, run in work.items()}


def peak_memory(seconds: int) -> float:
    """Extract a clip in this process and return its peak memory in MB."""
    from tests.core.pose import fake_models  # only in a checkout; needs onnx

    with tempfile.TemporaryDirectory() as folder:
        planted = [(320, 180, 120, 280, 0.9, 0.9, 0, 16)]
        rows = fake_models.raw_rows(planted, DETECTOR)
        detector = fake_models.fixed_detector(Path(folder) / "d.onnx", rows, DETECTOR)
        estimator = fake_models.colour_estimator(Path(folder) / "e.onnx", (96, 72))
        clip, _ = extract(_frames(seconds * RATE), *open_pose_pair(detector, estimator))
    assert len(clip) == seconds * RATE
    return peak_mb()


def _frames(count: int) -> Iterator[np.ndarray]:
    for number in range(count):
        frame = np.full((FRAME.height, FRAME.width, 3), number % 256, np.uint8)
        frame[300 : 300 + number % 200] = (255, 0, 0)
        yield frame


def _plant(rows: np.ndarray, cells: np.ndarray, box: tuple[float, float, float, float]) -> None:
    """Write a detected person into the 40 cells nearest to a box's centre; box: centre, sides."""
    centres = (cells[:, :2] + 0.5) * cells[:, 2:]
    near = np.argsort(np.hypot(*(centres - box[:2]).T))[:40]
    rows[near, :2] = box[:2] / cells[near, 2:] - cells[near, :2]
    rows[near, 2:4] = np.log(box[2:] / cells[near, 2:])
    rows[near, 4:6] = np.linspace(0.95, 0.7, 40)[:, None]


def _person(box: np.ndarray) -> PoseClip:
    """Return one person with all keypoints visible, at random places in a box."""
    rng = np.random.default_rng(1)
    xy = rng.uniform(box[0, :2], box[0, 2:], (1, 133, 2)).astype(np.float32)
    return WHOLEBODY.to_clip(FRAME, xy[None], np.full((1, 1, 133), 0.9))


def _median_ms(run: Callable[[], object], times: int) -> float:
    """Return CPU milliseconds of one call; other load on the machine hardly changes them."""
    run()
    taken = []
    for _ in range(times):
        start = time.process_time()
        run()
        taken.append(1000 * (time.process_time() - start))
    return float(np.median(taken))


def _memory_of_clips() -> dict[str, float]:
    peaks = {}
    for seconds in CLIPS:
        command = [sys.executable, "-m", "benchmarks.pose_glue", "--peak-of", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[f"{seconds} s"] = float(done.stdout)
    return peaks


def main() -> None:
    """Print the time of the parts and their sum, or the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=50, help="repetitions of every part")
    parser.add_argument("--memory", action="store_true", help="measure peak memory of clips")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of is not None:
        print(peak_memory(options.peak_of))
        return
    values = _memory_of_clips() if options.memory else glue(options.frames)
    if options.memory:
        name, unit, target = "growth", "MB", TARGET_MB
        total = max(values.values()) - min(values.values())
    else:
        name, unit, target, total = "sum", "ms", TARGET_MS, sum(values.values())
    if options.json:
        json.dump({"unit": unit, "target": target, **values, name: total}, sys.stdout, indent=2)
        print()
        return
    for part, value in {**values, name: total}.items():
        print(f"{part:>10}{value:>9.2f} {unit}")
    print(f"{'target':>10}{target:>9.2f} {unit}")


if __name__ == "__main__":
    main()
