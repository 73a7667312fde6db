"""Printing and writing the results of `evaluate`."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
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
    from ...places import whole_file

    if not quiet:
        sys.stdout.write(text)
    for path, content in (
        (options.markdown, [text]),
        (options.figures, chain(_parts(data), ["\n"])),
    ):
        if path:
            with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
                file.writelines(content)


def _parts(value: object, depth: int = 0) -> Iterator[str]:
    """Yield JSON with an indent of 1, a record at a time, so that it is never whole in memory."""
    if not isinstance(value, Mapping) or not value:
        whole = dict(value) if isinstance(value, Mapping) else value
        yield json.dumps(whole, indent=1).replace("\n", "\n" + " " * depth)
        return
    for number, (name, each) in enumerate(value.items()):
        start = "," if number else "{"
        yield f"{start}\n{' ' * (depth + 1)}{json.dumps(name)}: "
        yield from _parts(each, depth + 1)
    yield f"\n{' ' * depth}}}"
