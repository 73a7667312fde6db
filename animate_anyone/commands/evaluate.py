"""The command `evaluate`: the held-out test, printed as a table and written as JSON."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..types import Size

if TYPE_CHECKING:
    from tqdm import tqdm


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `evaluate`."""
    parser = subparsers.add_parser(
        "evaluate", help="measure aa-mini on held-out characters and motions"
    )
    parser.set_defaults(run=run)
    parser.add_argument("--models", default="aa-mini", help="preset, bundle or folder")
    parser.add_argument("--pairs", type=int, default=64, help="characters, each in one motion")
    parser.add_argument("--first", type=int, default=0, help="number of the first pair")
    parser.add_argument("--frames", type=int, default=1, help="length of each clip")
    parser.add_argument("--steps", type=int, default=None, help="sampling steps")
    parser.add_argument("--cfg", type=float, default=None, help="guidance scale; 1 is none")
    parser.add_argument(
        "--without-motion", action="store_true", help="leave the temporal layers out"
    )
    parser.add_argument("--json", type=Path, help="write the table here too")
    own = parser.add_argument_group("a clip of your own, of which the truth is not known")
    own.add_argument("--result", type=Path, metavar="CLIP", help="what `animate` wrote")
    own.add_argument(
        "--poses",
        type=Path,
        metavar="FILE",
        help="its skeletons: keypoints (.json) or a skeleton clip",
    )


def run(options: argparse.Namespace) -> int:
    """Measure and tell."""
    if options.result or options.poses:
        return _run_on_clip(options)
    if options.pairs < 1 or options.frames < 1 or options.first < 0:
        raise InputError(
            f"--pairs got {options.pairs}, --frames {options.frames} and --first {options.first}; "
            "the first two must be 1 or more, --first 0 or more."
        )
    from tqdm import tqdm

    from ..animate import sampling_of
    from ..evaluation.report import as_markdown, evaluate
    from ..training.held_out import held_out_pairs
    from ..weights.load import load_models

    models = load_models(options.models)
    if options.without_motion:
        from ..evaluation.ablation import without_motion

        models = without_motion(models)
    sampling = sampling_of(models.preset)
    changes = {"steps": options.steps, "guidance": options.cfg}
    sampling = replace(sampling, **{k: v for k, v in changes.items() if v is not None})
    with tqdm(total=options.pairs, unit="pair") as bar:
        table = evaluate(
            models,
            sampling,
            held_out_pairs(options.pairs, options.frames, first=options.first),
            progress=lambda done: _advance(bar, done),
        )
    sys.stdout.write(as_markdown(table) + "\n")
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0


def _advance(bar: "tqdm", done: int) -> None:
    bar.update(done - bar.n)


def _run_on_clip(options: argparse.Namespace) -> int:
    import numpy as np

    from ..evaluation.following import following
    from ..media import frames_of, to_pixels
    from .driving import open_driving, read_driving

    if not (options.result and options.poses):
        raise InputError("--result and --poses belong together; give both.")
    frames = np.stack(list(frames_of(options.result)))
    size = Size(frames.shape[2], frames.shape[1])
    driving = open_driving(options.poses, limit=len(frames))
    if driving.kind == "video":
        raise InputError(
            f"--poses got {options.poses}, a video of a person; the overlap is measured with "
            "skeletons. Extract them first (pose extract), and fit them as `animate` did "
            "(pose retarget)."
        )
    poses = read_driving(driving, size)
    table = following(to_pixels(frames), to_pixels(poses))
    for name, value in table.items():
        sys.stdout.write(f"{name:18} {value:.3f}\n")
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0
