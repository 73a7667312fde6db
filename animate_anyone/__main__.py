"""The command line: `python -m animate_anyone COMMAND`."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from .errors import AnimateAnyoneError
from .places import DEBUG, in_a_line

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
    "commands.training.prepare",
    "commands.training.train",
    "commands.evaluate.command",
    "commands.training.ablations",
    "commands.training.mini",
)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m animate_anyone",
        description="One picture of a character and a driving motion become a video.",
    )
    parser.add_argument(
        DEBUG, action="store_true", help="show the traceback of an error; may stand anywhere"
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f".{name}", __package__).add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done; 1: it failed for a reason that this package does not know; 2: an error that names the
    way out; 130: interrupted. A training that stopped at SIGTERM ends the process with 143. Each
    error is one line, unless `--debug` asks for the traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = DEBUG in given
    options = command_line().parse_args([each for each in given if each != DEBUG])
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        print(f"{options.command}: {in_a_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, AnimateAnyoneError) else 1


if __name__ == "__main__":
    sys.exit(main())
