"""The command line: `python -m animate_anyone COMMAND`."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from .errors import AnimateAnyoneError

# Modules with a function `add_parser(subparsers)`, in the order of the help text. Each parser sets
# the default `run`, a function that takes the parsed arguments and returns the exit code. Large
# packages are imported inside `run`, so that `--help` and mistyped commands answer at once.
COMMANDS = (
    "commands.demo",
    "commands.animate",
    "commands.pose",
    "commands.convert",
    "commands.download",
    "parity.command",
    "commands.prepare",
    "commands.train",
    "commands.evaluate",
    "commands.ablations",
    "commands.mini",
)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m animate_anyone",
        description="One picture of a character and a driving motion become a video.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f".{name}", __package__).add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; our own errors are printed without a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = command_line().parse_args(arguments)
    try:
        return options.run(options)
    except AnimateAnyoneError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
