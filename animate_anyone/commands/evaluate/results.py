"""Printing and writing the results of `evaluate`."""

import argparse
import json
import sys
from typing import Any


def write_results(
    options: argparse.Namespace,  # `figures` and `markdown` name the files
    text: str,
    data: dict[str, Any],
    *,
    quiet: bool = False,  # do not print the table
) -> None:
    """Print the table; write table and figures to the named files, each completely or not."""
    from ...places import whole_file

    if not quiet:
        sys.stdout.write(text)
    both = ((options.markdown, text), (options.figures, json.dumps(data, indent=1) + "\n"))
    for path, content in both:
        if path:
            with whole_file(path) as part:
                part.write_text(content, encoding="utf-8")
