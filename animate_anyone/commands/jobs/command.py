"""`animate --jobs`: read a list of jobs, run what is left of it, and say what became of it."""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...engines.engine import Engine
from ...errors import InputError
from ...jobs.planning import Plan, write_table
from ...jobs.reading import TABLE, Job, JobList, read_jobs
from ...jobs.records import Order
from ...jobs.run import Summary, run_jobs
from ...places import check_folder
from ...shards import owned_by_shard
from ..following import progress_bar
from .animator import MakeAnimator
from .settings import Settings, neighbours

logger = logging.getLogger(__name__)


def run_list(options: argparse.Namespace) -> int:
    """Run the jobs of a file; return 1 if some failed, else 0."""
    if options.sheet is not None:
        raise InputError(
            f"sheet got {options.sheet} beside jobs; a contact sheet is of a single clip. Leave "
            "it out."
        )
    listed = _Listed(options)
    if options.dry_run:
        sys.stdout.write(f"{Plan(listed.part, listed.order).text()}\n")
        return 0
    from ..engines import engine_of

    engine = engine_of(options, options.threads)
    check_folder(options.out)
    with owned_by_shard(options.out, options.shard):
        summary = _run(listed, engine, options)
    sys.stdout.write(_told(summary, options.out))
    return 1 if summary.failed else 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of `animate` alone, whose options are the settings of a job."""
    from .. import animate

    subparsers = argparse.ArgumentParser().add_subparsers()
    animate.add_parser(subparsers)
    return subparsers.choices["animate"]


class _Listed:
    """The jobs of a file, and the orders that they become."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Read the file and open the weights; errors name bad lines, before anything starts."""
        from ..animate import preset_of

        self._settings = Settings(parser())
        self._usual = self._settings.given(options)
        self._folder = options.jobs.absolute().parent
        self._out = options.out.absolute()
        self.jobs: JobList = read_jobs(options.jobs, self._check, neighbours)
        self.part: JobList = options.shard.stretch(self.jobs)  # type: ignore[assignment]
        preset_of(options)
        self._weights = _weights(options)

    def order(self, job: Job) -> Order:
        """Return what a worker is asked to make."""
        settings = self._settings.whole(job.settings, self._usual, self._folder)
        return Order(
            name=job.name,
            result=self._out / job.result,
            settings=settings,
            inputs=tuple(self._settings.paths(settings)),
            weights=self._weights,
        )

    def _check(self, settings: Mapping[str, Any]) -> None:
        self._settings.check(settings, self._usual)


def _run(listed: _Listed, engine: Engine, options: argparse.Namespace) -> Summary:
    plan = Plan(listed.part, listed.order)
    logger.info("%s", plan.text())
    if plan.left:  # so that no table of an earlier start stands beside other results
        (options.out / TABLE).unlink(missing_ok=True)
    make = MakeAnimator(
        models=tuple(str(path.absolute()) for path in options.models or ()),
        preset=options.preset,
        device=options.device,
        dtype=options.dtype,
        provider=options.provider,
        engine_cache=options.engine_cache and str(options.engine_cache.absolute()),
    )
    with _job_bar() as progress:
        summary = run_jobs(plan, engine, make, progress)
    states = write_table(listed.jobs, listed.order, options.out / TABLE)
    if states is None:
        logger.info(
            "%s: not written yet: some jobs have no record. The part that ends last writes it.",
            options.out / TABLE,
        )
    else:
        logger.info("%s: one line for each job", options.out / TABLE)
        _warn_of_others(states, options.out / TABLE)
    return summary


def _warn_of_others(states: Mapping[str, int], table: Path) -> None:
    """Warn of results in the table that are not those of this list as it is now."""
    other, missing = states.get("changed", 0), states.get("missing", 0)
    if other or missing:
        logger.warning(
            "%s: %d of %d results were made from other settings, weights or inputs than those of "
            "this start, and %d are no longer there; their lines say changed or missing. Start "
            "the command again without --shard: it makes them again.",
            *(table, other, sum(states.values()), missing),
        )


@contextmanager
def _job_bar() -> Iterator[Any]:
    with progress_bar("animating", "job") as progress:
        yield progress


def _weights(options: argparse.Namespace) -> dict[str, str]:
    """Return what identifies the networks of all jobs: their files' whole content, not its place.

    Reading them whole takes less than loading them does; samples would miss networks of which only
    some layers were trained.
    """
    from ...evaluation.kept.identity import of_files
    from ...weights.sets.aa_mini import AA_MINI
    from ...weights.sources import files_of
    from ..animate import source_of

    named = options.models or options.preset in (None, AA_MINI.name)
    known = named or not options.dry_run  # a dry run needs no files
    return {
        "content": of_files(files_of(source_of(options))) if known else "",
        "preset": options.preset or "",
        "dtype": options.dtype,
    }


def _told(summary: Summary, out: Path) -> str:
    lines = [f"{out}: {summary.done} jobs made, {summary.failed} failed"]
    lines += [f"  {name}: {error}" for name, error in summary.first_failed]
    if summary.failed > len(summary.first_failed):
        lines.append(f"  and {summary.failed - len(summary.first_failed)} more")
    if summary.failed:
        lines.append("The record beside each says why; the next start tries them again.")
    return "\n".join(lines) + "\n"
