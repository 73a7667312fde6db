"""Peak memory and time of aa-mini for a short and a long clip, decoded to video.

    python -m benchmarks.long_clip [--json] [--frames 48 600] [--steps 4] [--models BUNDLE]

Each length runs in its own process, because the peak memory of a process never falls. The time per
step does not depend on the number of steps, so a few steps are enough.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from animate_anyone.animate import animate, sampling_of
from animate_anyone.diffusion.windows import plan_windows
from animate_anyone.drawn import PICTURE_SIZE
from animate_anyone.media import VideoWriter, to_bytes
from animate_anyone.weights.load import load_models

from .peak_memory import peak_mb

ALLOWED_MB = 150  # how much more memory the long clip may need, not counting latents


def main() -> int:
    """Print a table or JSON; return 1 if the memory grows by more than ALLOWED_MB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs=2, default=(48, 600), metavar="N")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", default="aa-mini", help="or a bundle of the same layout")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.one, options)))
        return 0
    rows = [_in_own_process(frames, options) for frames in options.frames]
    short, long = rows
    grown = long["peak_mb"] - short["peak_mb"] - (long["latents_mb"] - short["latents_mb"])
    result = {
        "rows": rows,
        "grown_mb_beyond_latents": round(grown, 1),
        "allowed_mb": ALLOWED_MB,
        "seconds_per_window_ratio": round(
            (long["sampling_cpu_s"] / long["windows"])
            / (short["sampling_cpu_s"] / short["windows"]),
            3,
        ),
    }
    print(json.dumps(result, indent=2) if options.json else _table(result))
    return int(grown > ALLOWED_MB)


def measure(frames: int, options: argparse.Namespace) -> dict[str, float]:
    """Animate this many frames to a video; return time, memory and number of windows."""
    torch.set_num_threads(options.threads)
    models = load_models(options.models)
    sampling = replace(sampling_of(models.preset), steps=options.steps)
    poses = np.zeros((frames, PICTURE_SIZE.height, PICTURE_SIZE.width, 3), np.uint8)
    reference = torch.rand(1, 3, PICTURE_SIZE.height, PICTURE_SIZE.width)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with VideoWriter(Path(folder) / "clip.mp4", PICTURE_SIZE, 30) as writer:
            chunks = animate(models, reference, poses, sampling)
            sampled = time.process_time()
            for chunk in chunks:
                writer.write(to_bytes(chunk))
        done = time.process_time()
    pixels = PICTURE_SIZE.width * PICTURE_SIZE.height
    latents = models.preset.unet.in_channels * pixels // 64 * frames * 4
    return {
        "frames": frames,
        "windows": options.steps * len(plan_windows(frames, sampling.windows)),
        "sampling_cpu_s": round(sampled - started, 2),
        "decoding_cpu_s": round(done - sampled, 2),
        "latents_mb": round(latents / 2**20, 1),
        "peak_mb": round(peak_mb(), 1),
    }


def _in_own_process(frames: int, options: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.long_clip", "--one", str(frames)]
    for name in ("steps", "threads", "models"):
        words += [f"--{name}", str(getattr(options, name))]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def _table(result: dict) -> str:
    names = list(result["rows"][0])
    lines = ["".join(f"{name:>16}" for name in names)]
    lines += ["".join(f"{row[name]:>16}" for name in names) for row in result["rows"]]
    lines.append(
        f"peak memory grows by {result['grown_mb_beyond_latents']} MB beyond the latents "
        f"(allowed {result['allowed_mb']}); "
        f"CPU time per window x{result['seconds_per_window_ratio']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
