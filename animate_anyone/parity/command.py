"""`python -m animate_anyone parity`: compare our numbers with a golden folder."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "parity",
        help="compare networks, windows, schedule and sampling with stored numbers",
        description=(
            "Run our networks, windows, schedule and sampling in float32 on the inputs of a folder "
            "in the layout of tests/golden, and print the largest absolute error of each group. "
            "The exit code is 1 if one lies beyond its limit."
        ),
    )
    parser.add_argument("folder", type=Path, help="holds config.json and the .safetensors files")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the comparison; return 1 if a limit is broken."""
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
                f"  {'ok' if group.passed else 'BEYOND'}\n"
            )
            sys.stdout.flush()
    passed = all(group.passed for group in groups)
    if options.json:
        rows = [{**asdict(group), "passed": group.passed} for group in groups]
        document = {"folder": str(options.folder), "passed": passed, "groups": rows}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 0 if passed else 1
