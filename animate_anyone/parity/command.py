"""`python -m animate_anyone parity`: compare our numbers with a golden folder."""

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checks import Group

MOST_NAMES = 4  # tensors named in a line of the table


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "parity",
        help="compare networks, windows, schedule and sampling with stored numbers",
        description=(
            "Run our networks, windows, schedule and sampling in float32 on the inputs of a folder "
            "in the layout of tests/golden, and print the largest absolute error of each group. "
            "A folder may store only some of the numbers; the table lists what is absent. The exit "
            "code is 1 if an error exceeds its limit, or if nothing of a group is stored."
        ),
    )
    parser.add_argument("folder", type=Path, help="holds config.json and the .safetensors files")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the comparison; return 0 if every group passed, else 1."""
    from .checks import compare
    from .golden import GoldenFolder

    groups = []
    if not options.json:
        sys.stdout.write(f"{'group':<26}{'error':>12}{'limit':>10}  tensors\n")
    for group in compare(GoldenFolder(options.folder, options.device)):
        groups.append(group)
        if not options.json:
            sys.stdout.write(
                f"{group.name:<26}{group.error:>12.2e}{group.limit:>10.0e}{group.tensors:>9}"
                f"  {verdict(group)}\n"
            )
            sys.stdout.flush()
    passed = all(group.passed for group in groups)
    if options.json:
        rows = [
            {
                **asdict(group),
                "error": group.error if math.isfinite(group.error) else None,
                "passed": group.passed,
            }
            for group in groups
        ]
        document = {"folder": str(options.folder), "passed": passed, "groups": rows}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 0 if passed else 1


def verdict(group: "Group") -> str:
    """Return a group's result in words, with the tensors that the folder does not store."""
    if group.surplus:
        text = f"STORED, BUT NOT COMPUTED: {_first_names(group.surplus)}"
    elif not group.tensors:
        return "NOTHING STORED"
    else:
        text = "ok" if group.passed else "ABOVE THE LIMIT"
    return f"{text}; absent: {_first_names(group.absent)}" if group.absent else text


def _first_names(keys: "tuple[str, ...]") -> str:
    more = len(keys) - MOST_NAMES
    return ", ".join(keys[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
