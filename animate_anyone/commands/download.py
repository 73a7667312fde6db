"""`python -m animate_anyone download`: download published weights from Hugging Face."""

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..weights.sets.table import get_set, published
from .options import add_out

if TYPE_CHECKING:
    from ..protocols import Progress

logger = logging.getLogger(__name__)


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "download",
        help="download a published weight set, or DWPose's pose networks",
        description="Download a published weight set. The checksum of every file is verified; an "
        "interrupted download resumes where it stopped.",
    )
    text = f"the weight set: one of {', '.join(published())}"
    parser.add_argument("preset", metavar="NAME", help=text)
    add_out(parser, "FOLDER", "folder for the files", "--to", "--folder")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Download; return the exit code."""
    from ..weights.hub.download import download

    with _terminal_bar() as progress:
        paths = download(options.preset, options.out, progress)
    roles = [file.role for file in get_set(options.preset).files]
    found = dict(zip(roles, paths, strict=True))
    if {"detector", "estimator"} <= set(found):
        logger.info(
            "use them with --detector %s --estimator %s", found["detector"], found["estimator"]
        )
    return 0


@contextmanager
def _terminal_bar() -> "Iterator[Progress]":
    """Show the progress of the current file on the terminal."""
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            if done < bar.n or total != bar.total:  # another file
                bar.reset(total)
            bar.update(done - bar.n)

        yield progress
