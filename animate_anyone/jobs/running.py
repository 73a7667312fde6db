"""Running one job: its result is whole or absent, and its record says what happened."""

import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..engines.machine import refuse_machine
from ..errors import AnimateAnyoneError
from ..places import cause_of, in_a_line
from .inputs import describe_input
from .records import DONE, FAILED, Order, Record, read_state

PACKAGES = ("animate-anyone", "torch", "numpy", "av", "opencv-python-headless", "onnxruntime")


@dataclass(frozen=True)
class Made:
    """What a job's work says of itself."""

    report: tuple[str, ...] = ()
    frames_sha256: str = ""
    sampling_seconds: float = 0.0


Work = Callable[[Order], Made]
"""Makes the result of an order at its path, whole or not at all."""


def run_job(order: Order, work: Work) -> Record:
    """Make a job's result and its record, and return the record; a failed job is a record too.

    A job that is done already is left as it is. An earlier result and record of other settings are
    removed first, so that a result never stands beside a record that is not its own. Raises
    UnwellError, without a record, if the machine cannot go on, as with a full disk.
    """
    state, known = read_state(order)
    if state == DONE:
        names = [each.name for each in fields(Record) if each.name in known]
        return Record(**{**_common(order), **{name: known[name] for name in names}})
    start = time.perf_counter()
    made, error = Made(), ""
    try:
        for path in (order.record, order.result):
            path.unlink(missing_ok=True)
        inputs = {str(path): describe_input(path) for path in order.inputs}
        made = work(order)
        content = _content(order)
    except Exception as fault:
        refuse_machine(fault)
        error, content = in_a_line(fault), {}
        inputs = {str(path): _described(path) for path in order.inputs}
    record = Record(
        **_common(order),
        state=FAILED if error else DONE,
        error=error,
        **content,
        frames_sha256=made.frames_sha256,
        inputs=inputs,
        versions=versions(),
        machine=platform.node(),
        seconds=round(time.perf_counter() - start, 3),
        sampling_seconds=round(made.sampling_seconds, 3),
        report=made.report,
    )
    return _written(record, order)


def lost_job(order: Order, reason: str) -> Record:
    """Write and return the record of a job whose workers died."""
    with suppress(OSError):  # an earlier result, which the workers died before they removed
        order.result.unlink(missing_ok=True)
    record = Record(**_common(order), state=FAILED, error=reason)
    return _written(record, order)


def _written(record: Record, order: Order) -> Record:
    """Write a record, and return it; a place that cannot be written makes it a failed one."""
    try:
        record.write(order.record)
    except Exception as fault:
        refuse_machine(fault)
        return replace(record, state=FAILED, error=record.error or in_a_line(fault))
    return record


@lru_cache(1)
def versions() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _common(order: Order) -> dict[str, Any]:
    return {
        "name": order.name,
        "result": order.result.name,
        "settings": order.settings,
        "weights": order.weights,
        "identity": order.identity,
    }


def _content(order: Order) -> dict[str, Any]:
    content = order.result.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _described(path: Path) -> dict:
    """Return what can be said of an input of a failed job."""
    try:
        return describe_input(path)
    except (OSError, ValueError, AnimateAnyoneError) as error:
        return {"error": cause_of(error)}
