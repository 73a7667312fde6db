"""`python -m animate_anyone download`: a published weight set from its hub repositories."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "download",
        help="fetch a published weight set",
        description="Every file is checked; an interrupted download goes on where it stopped.",
    )
    parser.add_argument("preset", metavar="PRESET", help="moore, novita or musepose")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Download; return the exit code."""
    from ..weights.download import download

    download(options.preset, options.to)
    return 0
