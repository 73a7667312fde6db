"""Options of `animate` for lists of jobs."""

import argparse
from pathlib import Path

from ...errors import InputError
from ..engines import add_engine_arguments
from ..options import add_shard, add_threads

NEEDED = ("reference", "poses")


def add_jobs_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for lists of jobs."""
    group = parser.add_argument_group("many clips")
    text = "make a clip for each line of this file, a JSON record with a name and the options that "
    text += 'differ, such as {"name": "anna", "reference": "anna.png", "poses": "wave.mp4", '
    text += '"steps": 10}; the options of the command line hold for all lines. --out is a folder; '
    text += "finished clips are kept when the command is started again"
    group.add_argument("--jobs", type=Path, metavar="FILE.jsonl", help=text)
    add_shard(group, "jobs")
    add_engine_arguments(group, "jobs")
    add_threads(group)


def require_without_jobs(options: argparse.Namespace) -> None:
    """Raise InputError unless a single clip is asked for as a whole."""
    for name in NEEDED:
        if getattr(options, name) is None:
            raise InputError(
                f"{name} got nothing; a clip needs --reference and --poses. Add --{name}, or name "
                "a list of jobs with --jobs."
            )
    given = {"shard": not options.shard.whole, "workers": (options.workers or 1) > 1}
    for name in (*(name for name, is_given in given.items() if is_given), "ray"):
        if given.get(name, getattr(options, name)):
            raise InputError(
                f"{name} got {getattr(options, name)} for a single clip; it shares out the jobs of "
                "a list. Leave it out, or name the list with --jobs."
            )
