"""Printing and writing the results of `evaluate`."""

import argparse
import sys
from itertools import chain
from typing import Any


def write_results(
    options: argparse.Namespace,  # `figures` and `markdown` name the files
    text: str,
    data: dict[str, Any],
    *,
    quiet: bool = False,  # do not print the table
) -> None:
    """Print the table; write table and figures to the named files, each completely or not."""
    from ...json_files import json_parts
    from ...places import whole_file

    if not quiet:
        sys.stdout.write(text)
    for name, content in (
        ("markdown", [text]),
        ("figures", chain(json_parts(data), ["\n"])),
    ):
        if path := getattr(options, name):
            with whole_file(path, name=name) as part, part.open("w", encoding="utf-8") as file:
                file.writelines(content)
