"""Make every kind of file that people bring, read it, and print what came out as a table.

    python -m benchmarks.brought [--out docs/what-people-bring.md]

The command fails if a file was read wrongly without a word.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from .case import WRONG, Case, tried
from .table import GROUPS

ABOUT = """# What people bring

Kinds of files, each made and read by `python -m benchmarks.brought`. A file is right (within the
bound that stands there) or refused with an error that says why. `make test` tries the same files.
"""


def main() -> int:
    """Print or write the table; return 1 if anything was silently wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.brought", description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file to write instead of printing")
    options = parser.parse_args()
    text, wrong = ABOUT, 0
    for title, cases in GROUPS.items():
        rows, faults = _rows(cases)
        wrong += faults
        head = [["file", "what is right", "result", "seen"], ["---"] * 4]
        table = "\n".join(f"| {' | '.join(row)} |" for row in head + rows)
        text += f"\n## {title}\n\n{len(cases)} kinds, silently wrong: {faults}\n\n{table}\n"
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text, encoding="utf-8")
    return int(wrong > 0)


def _rows(cases: tuple[Case, ...]) -> tuple[list[list[str]], int]:
    rows = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            outcome = tried(case, Path(folder))
        rows.append([case.name, case.expected, outcome.kind, outcome.seen.replace("|", "\\|")])
    return rows, sum(row[2] == WRONG for row in rows)


if __name__ == "__main__":
    sys.exit(main())
