"""Measuring the clips of a test, or a part of them: rows are kept as they are made."""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ...errors import InputError, MediaError
from ...names.some import some
from ...places import check_folder
from ..following import progress_bar
from .results import write_results

if TYPE_CHECKING:
    from ...engines.engine import Engine, MakeWorker, Worker
    from ...evaluation.kept.clips import KeptClips
    from ...evaluation.kept.folder import KeptRows, Settings
    from ...evaluation.kept.row import ClipRow
    from .test import Test

logger = logging.getLogger(__name__)

REPORT = "report"  # name of the two files in the folder of a test that is done


def measure_test(
    options: argparse.Namespace,
    test: "Test",
    settings: "Settings",
    engine: "Engine",
    make: "MakeWorker",  # its worker takes an item of the test and returns its row
) -> int:
    """Measure what is left, print and write the report if all is there; return the exit code."""
    from ...evaluation.kept.clips import open_clips
    from ...evaluation.kept.folder import open_rows

    clips, below = None, options.keep_clips and options.keep_clips.resolve().parents
    if options.out is not None and below and options.out.resolve() in below:
        open_rows(options.out, settings)  # it must be a test's before it holds a folder of clips
    if options.keep_clips:
        clips = open_clips(options.keep_clips, settings.same, options.keep_as)
    if options.out is None:
        return _for_now(options, test, settings, engine, make)
    return _kept(options, test, settings, clips, engine, make)


def _for_now(
    options: argparse.Namespace,
    test: "Test",
    settings: "Settings",
    engine: "Engine",
    make: "MakeWorker",
) -> int:
    """Measure a test whose rows are kept until the report is made, in a temporary folder."""
    from ...evaluation.kept.folder import open_rows

    with TemporaryDirectory(prefix="animate_anyone-") as folder:
        kept, places = open_rows(Path(folder), settings), settings.places
        with progress_bar("evaluate", "clip") as progress:
            for count, row in enumerate(_measured(test, places, engine, make), 1):
                try:
                    kept.write(row)
                except MediaError as error:
                    raise MediaError(
                        f"{error} Figures are kept there until the table is made; --out names a "
                        "folder on another disk."
                    ) from error
                progress(count, len(places))
        return report(options, settings, kept.rows)


def _kept(
    options: argparse.Namespace,
    test: "Test",
    settings: "Settings",
    clips: "KeptClips | None",
    engine: "Engine",
    make: "MakeWorker",
) -> int:
    from ...evaluation.kept.folder import lock_of, open_rows
    from ...places import owned

    kept = open_rows(options.out, settings)
    _warn_of_other_packages(kept.folder, kept.begun, settings, "here")
    places = list(options.shard.spread(settings.places))
    with (
        owned(options.out, name=lock_of(str(options.shard))),
        progress_bar("evaluate", "clip") as progress,
    ):
        left = [place for place in places if not _is_done(kept, place, clips)]
        done = len(places) - len(left)
        for row in _measured(test, left, engine, make):
            kept.write(row)
            progress(done := done + 1, len(places))
    if missing := kept.missing:
        _tell_missing(options, settings, missing)
        return 0
    return report(options, settings, kept.rows, folder=options.out)


def _measured(
    test: "Test", places: Sequence[int], engine: "Engine", make: "MakeWorker"
) -> "Iterator[ClipRow]":
    """Yield the rows of these places, in any order; MediaError at the end if workers died of some.

    A worker that dies costs its clip another try.
    """
    from ...engines.engine import Lost

    lost: list[int] = []
    items = ((place, test.item(place)) for place in places)
    with closing(engine.run(_Placed(make), items)) as run:  # type: ignore[type-var]
        for (place, _), outcome in run:
            if isinstance(outcome, Lost):
                lost.append(place)
            else:
                yield outcome
    if lost:
        names = [test.names[place - test.first] for place in lost]
        raise MediaError(
            f"workers could not measure {len(lost)} of {len(places)} clips ({some(names, 3)}): "
            "each time a worker died, perhaps for lack of "
            "memory. Start the command again with fewer workers; with --out the rest is kept."
        )


@dataclass(frozen=True)
class _Placed:
    """Makes a worker that takes an item with its place, by which the engine's results are known."""

    make: "MakeWorker"

    def __call__(self) -> "Worker":
        work = self.make()
        return lambda placed: work(placed[1])


def _is_done(kept: "KeptRows", place: int, clips: "KeptClips | None") -> bool:
    """Return whether a clip has its row, and its generated clips where these are kept."""
    return kept.has(place) and (clips is None or clips.has(kept.read(place).kept))


def _warn_of_other_packages(folder: Path, there: "Settings", here: "Settings", what: str) -> None:
    """Warn if a folder was begun with other packages than `what` was."""
    versions = [settings.report["versions"] for settings in (there, here)]
    names = {**versions[0], **versions[1]}
    unlike = [name for name in names if versions[0].get(name) != versions[1].get(name)]
    if unlike:
        each = ", ".join(
            f"{n} {versions[0].get(n)} there and {versions[1].get(n)} {what}" for n in unlike
        )
        logger.warning(
            "%s was begun with other packages (%s); figures of the two may differ in their last "
            "digits.", folder, each,
        )  # fmt: skip


def _tell_missing(options: argparse.Namespace, settings: "Settings", missing: list[int]) -> None:
    count = len(settings.names)
    names = ", ".join(settings.names[place - settings.first] for place in missing[:3])
    more = ", ..." if len(missing) > 3 else ""
    sys.stdout.write(
        f"{count - len(missing)} of {count} clips are measured; their figures are kept in "
        f"{options.out}. Missing: {len(missing)} ({names}{more}). The table is made when all "
        "are there: by the part that ends last in this folder, or by `evaluate --merge` from the "
        "folders of all parts.\n"
    )
    if options.figures or options.markdown:
        logger.warning("--figures and --markdown are written with the table, so not yet.")


def merge(options: argparse.Namespace) -> int:
    """Make the report of a test from the folders of its parts; return the exit code."""
    from ...evaluation.kept.folder import merged, read_rows

    parts = [read_rows(folder) for folder in options.merge]
    rows, first = merged(parts), parts[0]
    for part in parts[1:]:
        _warn_of_other_packages(part.folder, part.settings, first.settings, f"in {first.folder}")
    return report(options, first.settings, rows)


def report(
    options: argparse.Namespace,
    settings: "Settings",
    rows: "Sequence[ClipRow]",  # of all clips, in order
    folder: Path | None = None,  # of the test: the report is written there too
) -> int:
    """Print the table, write what the options ask for, and return the exit code."""
    from ...evaluation.report import report_of
    from ...evaluation.tables import as_markdown

    made = report_of(settings.report, rows)
    text, data = as_markdown(made) + "\n", made.data(lazily=True)
    write_results(options, text, data)
    if folder is not None:
        write_results(_files(folder), text, data, quiet=True)
    return 0


def _files(folder: Path) -> Any:  # noqa: ANN401  (a namespace with the options of results)
    return argparse.Namespace(markdown=folder / f"{REPORT}.md", figures=folder / f"{REPORT}.json")


def check_keeping(options: argparse.Namespace) -> None:
    """Refuse options of keeping that contradict others, and places that cannot be written."""
    of_clip = options.result or options.poses
    kept = [name for name in ("out", "keep_clips") if getattr(options, name)]
    if of_clip and (kept or not options.shard.whole):
        raise InputError(
            "--result and --poses measure one clip, of which nothing is kept. Leave --out, "
            "--keep-clips and --shard out; --figures writes its figures."
        )
    if of_clip and (options.ray is not None or (options.workers or 1) > 1):
        raise InputError(
            "--result and --poses measure one clip, which no workers can share. Leave --workers "
            "and --ray out."
        )
    for name in kept:
        check_folder(getattr(options, name), create=False, name=name.replace("_", "-"))
    if options.out is None and not options.shard.whole:
        raise InputError(
            f"--shard got {options.shard} without --out; the figures of a part must be kept to be "
            "merged. Name a folder with --out, one for all parts or one for each."
        )
    if options.keep_as is not None and options.keep_clips is None:
        raise InputError("--keep-as was given without --keep-clips; name a folder for the clips.")
    if options.results and options.keep_clips:
        raise InputError(
            "--keep-clips was given with --results, whose clips are there already. Leave it out."
        )
    if options.out and options.keep_clips and options.out.resolve() == options.keep_clips.resolve():
        raise InputError(
            f"--keep-clips and --out got the same folder, {options.out}; figures and clips have a "
            "folder each. Name another one, perhaps below it."
        )
    options.keep_as = options.keep_as or "mp4"


def check_merge(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that a merge does not use."""
    used = {"merge", "figures", "markdown", "run", "command"}
    others = [
        action.option_strings[0]
        for action in parser._actions
        if action.dest not in used
        and action.option_strings
        and getattr(options, action.dest, action.default) != action.default
    ]
    if others:
        raise InputError(
            f"--merge was given with {', '.join(others)}; the folders already say how their clips "
            "were made and measured. Leave these out."
        )
