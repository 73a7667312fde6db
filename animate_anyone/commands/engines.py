"""Options for what runs the work: this process, several processes, or Ray."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .options import Options

if TYPE_CHECKING:
    from ..engines.engine import Engine


def add_engine_arguments(group: Options, what: str) -> None:
    """Add the options for workers and Ray; `what` names the items of work, for the help text."""
    add = group.add_argument
    text = f"{what} that are worked on at the same time, each in a process of its own with its own "
    text += (
        "copy of the networks, which may die and costs its running item another try; several "
        "graphics cards are shared out (default: none, the command does the work itself; with "
        "--ray as many as the cluster has room for)"
    )
    add("--workers", type=int, metavar="N", help=text)
    text = "let Ray spread the work over machines: the address of a running cluster (auto, or "
    text += "HOST:PORT), or the word local for this machine alone; needs pip install ray"
    add("--ray", metavar="ADDRESS", help=text)
    text = "processors that Ray reserves for a worker (default: 1)"
    add("--cpus-per-worker", type=float, default=1.0, metavar="NUMBER", help=text)
    text = "graphics cards that Ray reserves for a worker; .5 lets two workers share one (default: "
    text += "1 if the cluster has cards and --device is not cpu, else 0)"
    add("--gpus-per-worker", type=float, metavar="NUMBER", help=text)


def with_whole_paths(options: argparse.Namespace) -> argparse.Namespace:
    """Return options whose paths do not depend on the folder that a worker runs in.

    Of texts only `models` may name a path: a file or folder that is there, unless it is called as
    the embedded weight set.
    """
    from ..weights.sets.aa_mini import AA_MINI

    def whole(name: str, value: object) -> Any:  # noqa: ANN401  (whatever an option holds)
        if isinstance(value, list):
            return [whole(name, each) for each in value]
        if isinstance(value, Path):
            return value.absolute()
        if name == "models" and isinstance(value, str) and value != AA_MINI.name:
            return str(Path(value).absolute()) if Path(value).exists() else value
        return value

    return argparse.Namespace(**{name: whole(name, value) for name, value in vars(options).items()})


def engine_of(
    options: argparse.Namespace,
    threads: int | None = None,  # of torch in each worker; None: its share of the cores
) -> "Engine":
    """Return the engine that the options name; InputError or PackageError before any work."""
    from ..engines.engine import Inline
    from ..engines.machine import usable_cores

    workers = options.workers
    if workers is not None and workers < 1:
        raise InputError(
            f"--workers got {workers}; at least one is needed. This process may use "
            f"{usable_cores()} cores."
        )
    if options.ray is not None:
        from ..engines.rays import RayEngine

        return RayEngine(
            options.ray,
            workers,
            cpus=options.cpus_per_worker,
            gpus=0.0 if options.device == "cpu" else options.gpus_per_worker,
            threads=threads,
        )
    if workers is None:
        return Inline(threads)
    from ..engines.processes import Processes

    return Processes(workers, threads)
