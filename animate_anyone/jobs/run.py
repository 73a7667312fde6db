"""Running a list of jobs by an engine, and counting what became of them."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from ..engines.engine import Engine, Lost, MakeWorker
from ..protocols import Progress
from .planning import Plan
from .records import DONE, Record
from .running import lost_job

_KEPT = 10  # failed jobs that a summary names


@dataclass
class Summary:
    """What became of the jobs of one start."""

    done: int = 0
    failed: int = 0
    first_failed: list[tuple[str, str]] = field(default_factory=list)  # names and reasons

    def add(self, record: Record) -> None:
        """Count a record."""
        if record.state == DONE:
            self.done += 1
            return
        self.failed += 1
        if len(self.first_failed) < _KEPT:
            self.first_failed.append((record.name, record.error))


def run_jobs(
    plan: Plan,
    engine: Engine,
    make: MakeWorker,  # its worker takes an `Order` and returns a `Record`
    progress: Progress | None = None,  # in jobs; may raise to stop
    told: Callable[[Record], None] | None = None,  # called with each record
) -> Summary:
    """Run what is left of a list of jobs; each is recorded beside its result."""
    summary = Summary()
    with closing(engine.run(make, plan.orders())) as run:  # type: ignore[type-var]
        for count, (order, outcome) in enumerate(run, plan.done + 1):
            if isinstance(outcome, Lost):
                more = "A smaller size or --chunk pieces take less memory."
                outcome = lost_job(order, f"{outcome} {more}")
            record = outcome
            summary.add(record)
            if told is not None:
                told(record)
            if progress is not None:
                progress(count, plan.total)
    return summary
