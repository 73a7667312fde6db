"""`python -m animate_anyone convert`: put the files of a weight set into one file."""

import argparse
from pathlib import Path

from ..weights.sets.table import presets

SLOTS = ("denoiser", "reference_net", "pose_guider", "motion", "autoencoder", "image_encoder")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "convert",
        help="put the files of a weight set into one file",
        description="Put the files of a weight set into one file. Files are recognised by their "
        "tensors; if a file cannot be recognised, name it with the option of its network.",
    )
    add = parser.add_argument
    add("inputs", nargs="*", type=Path, help="weight files, or one folder with them")
    for slot in SLOTS:
        option, network = slot.replace("_", "-"), slot.replace("_", " ")
        add(f"--{option}", type=Path, metavar="FILE", help=f"file that holds the {network}")
    add("--out", type=Path, required=True, metavar="FILE.safetensors", help="the file to write")
    text = "number type of the weights (default: fp16)"
    add("--dtype", choices=("fp16", "bf16", "fp32"), default="fp16", help=text)
    text = "the weight set that the files belong to (default: recognised from the files)"
    add("--preset", choices=presets(), help=text)
    text = "licence to store in the file (default: the preset's)"
    add("--licence", metavar="TEXT", help=text)
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
