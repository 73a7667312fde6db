"""`python -m animate_anyone demo`: the embedded weights on a drawn character, offline."""

import argparse
import logging
import time
from fractions import Fraction
from pathlib import Path

from ..types import Size
from .animate import progress_bar
from .options import add_sampling_arguments, machine_from, sampling_from

logger = logging.getLogger(__name__)

SIZE = Size(128, 128)
FPS = Fraction(12)
STRIDE = 2  # frames of the motion per frame of the clip: a lively one
CHARACTER = 7  # of the held-out test


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="animate a bundled drawn character; needs nothing else",
        description="Animate a drawn character that training never saw, with the embedded weights.",
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("demo.mp4"), metavar="CLIP.mp4", help="(demo.mp4)")
    add("--sheet", type=Path, metavar="PICTURE", help="contact sheet (beside the clip, .png)")
    add("--models", default="aa-mini", metavar="BUNDLE", help="of the same kind (aa-mini)")
    add("--frames", type=int, default=24, help="(24)")
    add(
        "--character",
        type=int,
        default=CHARACTER,
        metavar="NUMBER",
        help=f"another one of the held-out test ({CHARACTER})",
    )
    add_sampling_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Draw, animate, compare; return the exit code."""
    import numpy as np

    from ..animate import animate, check_plan
    from ..media import VideoWriter, contact_sheet, spread, to_bytes, write_picture
    from ..training.held_out import held_out_pair
    from ..weights.load import load_models

    device, dtype = machine_from(options)
    models = load_models(options.models, dtype=dtype, device=device)
    sampling = sampling_from(options, models.preset)
    check_plan(models.preset, options.frames, SIZE, sampling)
    pair = held_out_pair(options.character, options.frames, SIZE, STRIDE)
    poses = pair.poses

    started = time.monotonic()
    with VideoWriter(options.out, SIZE, FPS) as writer:
        with progress_bar("sampling") as progress:
            picture = pair.reference.to(device)
            chunks = animate(models, picture, poses, sampling, progress=progress)
        result = np.concatenate([to_bytes(chunk) for chunk in chunks])
        writer.write(result)
    reference, truth = to_bytes(pair.reference)[0], to_bytes(pair.truth)
    shown = spread(options.frames, 8)
    rows = {
        "reference": [reference],
        "skeleton": [poses[i] for i in shown],
        "result": [result[i] for i in shown],
        "truth": [truth[i] for i in shown],
    }
    sheet = options.sheet or options.out.with_suffix(".png")
    write_picture(sheet, contact_sheet(rows, cell=2 * SIZE.height))
    seconds = time.monotonic() - started
    logger.info("%s and %s: %d frames in %.1f s", options.out, sheet, len(result), seconds)
    return 0
