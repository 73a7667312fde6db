"""`python -m animate_anyone download`: published weights from their hub repositories."""

import argparse
import logging
from pathlib import Path

logger = logging.getLogger(__name__)

POSE_PAIR = "dwpose"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "download",
        help="fetch a published weight set, or DWPose",
        description="Every file is checked; an interrupted download goes on where it stopped.",
    )
    add = parser.add_argument
    add("preset", metavar="NAME", help=f"moore, novita, musepose, or {POSE_PAIR}")
    add("--to", "--folder", dest="to", type=Path, required=True, metavar="FOLDER")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Download; return the exit code."""
    if options.preset == POSE_PAIR:
        from ..weights.pose_models import DWPOSE_LICENCE, download_pose_models

        logger.info("DWPose, detector and estimator; licence: %s", DWPOSE_LICENCE)
        detector, estimator = download_pose_models(options.to)
        logger.info("use them by --detector %s --estimator %s", detector, estimator)
        return 0
    from ..weights.hub.download import download

    download(options.preset, options.to)
    return 0
