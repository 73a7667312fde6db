"""Abuse the program in every way that is known, and print what came of it as a table.

    python -m benchmarks.abuse [--only KIND ...] [--short] [--seed N] [--folder runs/abuse]
                               [--host VERSION] [--minutes M] [--again] [--out docs/abuse.md]

Each kind is saved in the folder when it is done; a second call makes only those that are missing.
With --host a kind of the server is saved for that ComfyUI alone. Hand-made prompts are saved one by
one, for each seed: a call goes on where the last one stopped. Rows of the page that have no saved
result stay as they are.
The command fails if there was a fault. It needs Linux; the kinds of the server need a ComfyUI.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .order import Order
from .table import KINDS, OF_HOSTS, document, lines_of
from .verdict import Tally


def main() -> int:
    """Run the campaign; return 1 if anything was a fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abuse", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", nargs="+", choices=list(KINDS), help="these kinds alone")
    parser.add_argument("--short", action="store_true", help="a few attempts of each kind")
    parser.add_argument("--seed", type=int, default=0, help="the same seed does the same damage")
    parser.add_argument("--folder", type=Path, default=Path("runs/abuse"), help="for the results")
    parser.add_argument("--again", action="store_true", help="also kinds that are done")
    parser.add_argument("--host", help="use this ComfyUI alone, by its version")
    parser.add_argument(
        "--minutes", type=float, help="stop the hand-made prompts of a host after so long"
    )
    parser.add_argument("--out", type=Path, help="Markdown file to write from all saved results")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    faults = 0
    for name in options.only or KINDS:
        host = f".{options.host}" if options.host and name in OF_HOSTS else ""
        saved = options.folder / f"{name}{host}{'.short' if options.short else ''}.json"
        if options.again or not saved.is_file():
            started = time.perf_counter()
            with tempfile.TemporaryDirectory(prefix="abuse-") as folder:
                tallies = KINDS[name](
                    Order(
                        folder=Path(folder),
                        seed=options.seed,
                        short=options.short,
                        host=options.host,
                        results=options.folder,
                        minutes=options.minutes,
                    )
                )
            print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            if not any(tally.unfinished for tally in tallies):
                for number, tally in enumerate(tallies):
                    tally.write(saved if number == 0 else saved.with_suffix(f".{number}.json"))
        else:
            tallies = [Tally.read(path) for path in _parts(saved)]
        faults += sum(tally.counts["fault"] for tally in tallies)
        print("\n".join(lines_of(tallies)), flush=True)
    if options.out is not None:
        before = options.out.read_text(encoding="utf-8") if options.out.is_file() else ""
        options.out.write_text(document(saved_in(options.folder), before), encoding="utf-8")
    return int(faults > 0)


def saved_in(folder: Path) -> list[Tally]:
    """Return all results of a folder; of two with one title the newer."""
    found: dict[str, Tally] = {}
    for name in KINDS:
        files = [folder / f"{name}.json", *folder.glob(f"{name}.[0-9]*.json")]
        whole = [path for path in files if path.is_file() and path.suffixes[-2:-1] != [".part"]]
        for path in sorted(whole, key=lambda path: path.stat().st_mtime_ns):
            if not path.name.endswith(".short.json"):
                tally = Tally.read(path)
                found[tally.title] = tally
    return list(found.values())


def _parts(saved: Path) -> list[Path]:
    """Return the files of one kind: some kinds have a row for each host."""
    return [saved, *sorted(saved.parent.glob(f"{saved.stem}.[0-9].json"))]


if __name__ == "__main__":
    sys.exit(main())
