"""The worker of `evaluate`: networks that are loaded once, and clips measured with them."""

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ..engines import with_whole_paths
from .opening import identity_of, instruments_of
from .test import Generator, Measure, Test, measure_of_finished

if TYPE_CHECKING:
    from ...evaluation.kept.row import ClipRow
    from ...evaluation.metrics.metric import Instruments
    from ...evaluation.protocol import Protocol

# Options that a worker does not read, or that another process cannot.
_OF_THE_COMMAND = ("run", "command", "figures", "markdown", "out", "shard", "merge", "ray")


@dataclass(frozen=True)
class MakeMeasurer:
    """Makes the worker of a process: it takes an item of a `Test` and returns its `ClipRow`."""

    key: str  # equal for equal options and protocols
    options: argparse.Namespace = field(compare=False)  # paths are absolute
    protocol: "Protocol" = field(compare=False)
    networks: str  # of the command's process, as JSON; others give other figures

    @classmethod
    def of(
        cls,
        options: argparse.Namespace,
        protocol: "Protocol",  # with the changes of options and data set
        test: Test,
        instruments: "Instruments",
    ) -> "MakeMeasurer":
        """Return the maker for a test that is described in this process."""
        values = vars(with_whole_paths(options))
        kept = {name: x for name, x in values.items() if name not in _OF_THE_COMMAND}
        kept["quiet"] = True
        networks = _as_text(identity_of(options, instruments) | test.networks)
        key = repr((sorted(kept.items()), protocol))
        return cls(key, argparse.Namespace(**kept), protocol, networks)

    def __call__(self) -> "Callable[[Any], ClipRow]":
        """Load the networks and return the worker; InputError if they are others here."""
        options, protocol = self.options, self.protocol
        instruments = instruments_of(options, protocol)
        if options.results:
            measure, networks = measure_of_finished(protocol, instruments)
        else:
            generator = Generator(options, protocol, instruments)
            measure, networks = generator.measure, generator.networks
        self._check(identity_of(options, instruments) | networks)
        return self.around(measure)()

    def around(self, measure: Measure) -> "Callable[[], Callable[[Any], ClipRow]]":
        """Return a maker of a worker that measures with networks which are loaded already."""
        from ...engines.machine import refuse_machine
        from ...evaluation.kept.clips import KeptClips

        folder: Path | None = self.options.keep_clips
        keep = None if folder is None else KeptClips(folder, self.options.keep_as).writer

        def work(item: Any) -> "ClipRow":  # noqa: ANN401  (whatever the test gives)
            try:
                return measure(item, keep)
            except Exception as error:
                refuse_machine(error)
                raise

        return lambda: work

    def _check(self, networks: dict[str, Any]) -> None:
        ours, theirs = json.loads(_as_text(networks)), json.loads(self.networks)
        unlike = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
        if unlike:
            each = "; ".join(f"{n}: {theirs.get(n)} there, {ours.get(n)} here" for n in unlike)
            raise InputError(
                f"a worker on {platform.node()} would give other figures than the machine that "
                f"gave the command ({each}). Give --device and --dtype, and the same files to all."
            )


def _as_text(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
