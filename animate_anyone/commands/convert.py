"""`python -m animate_anyone convert`: the files of a weight set into one file."""

import argparse
from pathlib import Path

from ..weights.sets.table import presets

SLOTS = ("denoiser", "reference_net", "pose_guider", "motion", "autoencoder", "image_encoder")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "convert",
        help="put the files of a weight set into one file",
        description="Files are recognised by their contents; name those where that cannot decide.",
    )
    add = parser.add_argument
    add("inputs", nargs="*", type=Path, help="weight files, or one folder with them")
    for slot in SLOTS:
        add(f"--{slot.replace('_', '-')}", type=Path, metavar="FILE", help="this file is the one")
    add("--out", type=Path, required=True, metavar="FILE.safetensors")
    add("--dtype", choices=("fp16", "bf16", "fp32"), default="fp16", help="of the weights (fp16)")
    add("--preset", choices=presets(), help="instead of the one that the files tell")
    add("--licence", metavar="TEXT", help="to be stored, instead of the preset's")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert; return the exit code."""
    from ..weights.convert import convert

    slots = {slot: getattr(options, slot) for slot in SLOTS}
    convert(
        options.inputs,
        options.out,
        named={slot: path for slot, path in slots.items() if path is not None},
        dtype=options.dtype,
        preset=options.preset,
        licence=options.licence,
    )
    return 0
