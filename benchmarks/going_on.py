"""Seams and drift of long clips, the difference in what is kept, and two characters in a picture.

    python -m benchmarks.going_on [--json] [--frames 600] [--chunk 100] [--held 4] [--steps 4]
        [--characters 1] [--pairs 16] [--memory] [--models BUNDLE]

The motions are drawn, so the true frames are known. aa-mini's first step is nearly as good as all
of them, so what holds here for memory, seams and kept pixels holds for other weights too, but
their drift has to be measured with them.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from animate_anyone.animate import Sampling, animate, sampling_of
from animate_anyone.animate.continuing import (
    Made,
    animate_in_pieces,
    encode_beginning,
    plan_pieces,
)
from animate_anyone.animate.keeping import FrameInputs
from animate_anyone.diffusion.windows import window_starts
from animate_anyone.drawn import PICTURE_SIZE
from animate_anyone.evaluation.held_out import held_out_pair
from animate_anyone.evaluation.pairs import Pair
from animate_anyone.media import to_bytes, to_pixels
from animate_anyone.weights.load import Models, load_models

from .peak_memory import peak_mb
from .two_characters import WAYS, measured

SHARE = 10  # the clip's first and last tenth are compared
ALLOWED_SEAM, ALLOWED_DRIFT, ALLOWED_MB = 1.1, 1.2, 100
LEAST_GAIN = 2.0  # dB in the figure, of each character's own reference over the other's
MEMORY_FRAMES = (120, 1200)


def main() -> int:
    """Print a table or JSON; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--frames", type=int, default=600)
    add("--chunk", type=int, default=100, help="frames in a piece")
    add("--held", type=int, default=4, help="frames that two pieces share")
    add("--steps", type=int, default=4)
    add("--characters", type=int, default=1, help="how many held-out characters are animated")
    add("--first", type=int, default=0, help="number of the first of them")
    add("--pairs", type=int, default=16, help="pictures with two characters; 0: none")
    add("--threads", type=int, default=2)
    add("--models", default="aa-mini", help="or a bundle of the same layout")
    add("--memory", action="store_true", help=f"also the peak memory of {MEMORY_FRAMES} frames")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(peak(options.one, options)))
        return 0
    torch.set_num_threads(options.threads)
    models = load_models(options.models)
    sampling = replace(sampling_of(models.preset), steps=options.steps)
    result = compare(models, sampling, options)
    result["kept"] = kept_difference(models, sampling, options.first)
    if options.pairs:  # at one step without guidance, which suits aa-mini
        one_step = replace(sampling, steps=1, guidance=1.0)
        figures_of_two = measured(models, one_step, options.pairs)
        result["two characters"] = {way: float(np.mean(figures_of_two[way])) for way in WAYS}
    if options.memory:
        rows = [_in_own_process(frames, options) for frames in MEMORY_FRAMES]
        result["memory"] = {"rows": rows, "grown_mb": round(rows[1]["mb"] - rows[0]["mb"], 1)}
    print(json.dumps(result, indent=2) if options.json else _table(result, options))
    return int(bool(faults(result)))


def compare(models: Models, sampling: Sampling, options: argparse.Namespace) -> dict:
    """Return seam and drift of one clip made in windows, in pieces, and through pictures."""
    ways: dict[str, Callable[[Pair], Tensor]] = {
        "windows": lambda pair: in_windows(models, sampling, pair),
        "pieces": lambda pair: in_pieces(models, sampling, pair, options),
        "pieces through pictures": lambda pair: through_pictures(models, sampling, pair, options),
    }
    pieces = plan_pieces(options.frames, options.chunk, options.held)
    cuts, at = [], 0
    for piece in pieces:
        at += piece.frames - piece.held
        cuts.append(at)
    seams = dict.fromkeys(ways, cuts[:-1])
    seams["windows"] = window_starts(options.frames, sampling.windows)[1:]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(options.first, options.first + options.characters):
        pair = held_out_pair(number, options.frames, stride=2)
        for name, make in ways.items():
            found[name].append(figures(make(pair), pair, seams[name]))
    return {
        name: {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        for name, rows in found.items()
    }


def in_windows(models: Models, sampling: Sampling, pair: Pair) -> Tensor:  # (f, 3, H, W)
    """Return a pair's clip sampled at once."""
    return torch.cat(list(animate(models, pair.reference, pair.poses, sampling)))


def in_pieces(
    models: Models, sampling: Sampling, pair: Pair, options: argparse.Namespace
) -> Tensor:  # (f, 3, H, W)
    """Return a pair's clip in pieces whose held latents are passed on as they are."""
    pieces = plan_pieces(len(pair.poses), options.chunk, options.held)
    frames = map(FrameInputs, pair.poses)
    return _joined(animate_in_pieces(models, pair.reference, frames, pieces, sampling))


def through_pictures(
    models: Models, sampling: Sampling, pair: Pair, options: argparse.Namespace
) -> Tensor:  # (f, 3, H, W)
    """Return the same from separate runs, each continuing the pictures of the one before."""
    parts: list[Tensor] = []
    at = 0
    for number, piece in enumerate(plan_pieces(len(pair.poses), options.chunk, options.held)):
        held = parts[-1][-piece.held :] if parts else None
        start = at - piece.held
        frames = map(FrameInputs, pair.poses[start : start + piece.frames])
        made = animate_in_pieces(
            models,
            pair.reference,
            frames,
            plan_pieces(piece.frames, None),
            replace(sampling, seed=sampling.seed + number),
            beginning=None if held is None else encode_beginning(models, held),
        )
        parts.append(_joined(made))
        at += piece.frames - piece.held
    return torch.cat(parts)


def figures(
    result: Tensor,  # (f, 3, H, W), 0..1
    pair: Pair,
    seams: list[int],  # frames at which a piece or window begins
) -> dict[str, float]:
    """Return flicker over seams and elsewhere, and errors in the first and last tenth."""
    change = (result.diff(dim=0) - pair.truth.diff(dim=0)).abs().mean((1, 2, 3)) * 255
    over = torch.zeros(len(change), dtype=torch.bool)
    over[[seam - 1 for seam in seams]] = True
    assert pair.near is not None
    tenth = max(1, len(result) // SHARE)
    found = {
        "seam": float(change[over].mean()) if seams else 0.0,
        "inside": float(change[~over].mean()),
    }
    for name, part in (("first", slice(0, tenth)), ("last", slice(-tenth, None))):
        found |= {
            f"{key}_{name}": value
            for key, value in errors(result[part], pair.truth[part], pair.near[part]).items()
        }
    return found | {"seam_ratio": found["seam"] / found["inside"]}


def errors(
    result: Tensor,  # (f, 3, H, W)
    truth: Tensor,  # (f, 3, H, W)
    near: Tensor,  # (f, H, W) bool, the figure and a little around it
) -> dict[str, float]:  # levels of 255
    """Return errors of mean and spread per channel outside the figure, and the RMSE inside."""
    outside = [clip.movedim(1, 0)[:, ~near] for clip in (result, truth)]
    inside = [clip.movedim(1, 0)[:, near] for clip in (result, truth)]
    return {
        "mean": 255 * float((outside[0].mean(1) - outside[1].mean(1)).abs().max()),
        "spread": 255 * float((outside[0].std(1) - outside[1].std(1)).abs().max()),
        "figure": 255 * float((inside[0] - inside[1]).square().mean().sqrt()),
    }


def kept_difference(models: Models, sampling: Sampling, number: int) -> dict[str, float]:
    """Return the largest difference outside the mask, and the error of the figure inside."""
    frames, size = 24, PICTURE_SIZE
    pair = held_out_pair(number, frames, stride=2)
    scene = held_out_pair(number + 1, frames, stride=2)  # its clip gives the background
    behind, masks = to_bytes(scene.truth), pair_masks(pair, scene)
    inputs = [
        FrameInputs(pose, ground, mask)
        for pose, ground, mask in zip(pair.poses, behind, masks, strict=True)
    ]
    pieces = plan_pieces(frames, None)
    made = animate_in_pieces(models, pair.reference, iter(inputs), pieces, sampling)
    result = _joined(made)
    outside = masks == 0
    assert pair.near is not None
    difference = np.abs(to_bytes(result).astype(int) - behind)[outside]
    return {
        "largest_difference_outside": float(difference.max()),
        "share_outside": float(outside.mean()),
        "figure_kept": errors(result, pair.truth, pair.near)["figure"],
        "figure_alone": errors(in_windows(models, sampling, pair), pair.truth, pair.near)["figure"],
        "width": size.width,
    }


def pair_masks(pair: Pair, scene: Pair) -> np.ndarray:  # (f, H, W) uint8
    """Return masks that cover the character and the one whose place it takes."""
    from animate_anyone.pose.drawing.hull import PoseMask

    masks = [PoseMask().of(one.skeletons, PICTURE_SIZE) for one in (pair, scene)]
    return np.maximum(*masks)


def faults(result: dict) -> list[str]:
    """Return what exceeds its limit."""
    found = []
    for name in ("pieces", "pieces through pictures"):
        if result[name]["seam_ratio"] > ALLOWED_SEAM:
            found.append(f"{name}: flicker over seams is {result[name]['seam_ratio']:.2f} times")
        for key in ("mean_last", "spread_last", "figure_last"):
            if result[name][key] > ALLOWED_DRIFT * result["windows"][key]:
                found.append(f"{name}: {key} is {result[name][key]:.2f}")
    if result["kept"]["largest_difference_outside"]:
        found.append("kept: something outside of the mask has changed")
    if two := result.get("two characters"):
        gain = two[WAYS[0]] - two[WAYS[1]]
        if gain < LEAST_GAIN:
            found.append(f"two characters: own references are only {gain:.2f} dB better")
    if result.get("memory", {}).get("grown_mb", 0) > ALLOWED_MB:
        found.append(f"memory grows by {result['memory']['grown_mb']} MB")
    return found


def peak(frames: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the peak memory of a clip in pieces."""
    torch.set_num_threads(options.threads)
    models = load_models(options.models)
    sampling = replace(sampling_of(models.preset), steps=1)
    pose = np.zeros((PICTURE_SIZE.height, PICTURE_SIZE.width, 3), np.uint8)
    inputs = (FrameInputs(pose.copy()) for _ in range(frames))
    pieces = plan_pieces(frames, options.chunk, options.held)
    reference = torch.rand(1, 3, PICTURE_SIZE.height, PICTURE_SIZE.width)
    made = sum(
        len(each.frames) for each in animate_in_pieces(models, reference, inputs, pieces, sampling)
    )
    return {"frames": made, "pieces": len(pieces), "mb": round(peak_mb(), 1)}


def _in_own_process(frames: int, options: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.going_on", "--one", str(frames)]
    for name in ("chunk", "held", "threads", "models"):
        words += [f"--{name}", str(getattr(options, name))]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def _joined(made: Iterator[Made]) -> Tensor:  # (f, 3, H, W)
    return to_pixels(np.concatenate([each.frames for each in made]))


def _table(result: dict, options: argparse.Namespace) -> str:
    names = ["windows", "pieces", "pieces through pictures"]
    keys = ["seam", "inside", "seam_ratio"]
    keys += [f"{key}_{when}" for key in ("mean", "spread", "figure") for when in ("first", "last")]
    lines = [
        f"{options.frames} frames, pieces of up to {options.chunk} with {options.held} held, "
        f"{options.steps} steps, {options.characters} characters; levels of 255",
        f"{'':<14}" + "".join(f"{name:>26}" for name in names),
    ]
    lines += [
        f"{key:<14}" + "".join(f"{result[name][key]:>26.3f}" for name in names) for key in keys
    ]
    lines.append("kept: " + ", ".join(f"{key} {value:g}" for key, value in result["kept"].items()))
    if two := result.get("two characters"):
        told = ", ".join(f"{way} {value:.2f}" for way, value in two.items())
        lines.append(f"two characters, dB in the figure: {told}")
    if "memory" in result:
        for row in result["memory"]["rows"]:
            lines.append(f"{row['frames']} frames in {row['pieces']} pieces: peak {row['mb']} MB")
    return "\n".join([*lines, *faults(result)])


if __name__ == "__main__":
    sys.exit(main())
