"""The record beside a job's result: what was made from what, or why it was not."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..json_files import read_record
from ..places import whole_file
from .inputs import is_same
from .reading import RECORD

VERSION = 1
DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class Order:
    """What a worker is asked to make: a job with everything that decides its result."""

    name: str
    result: Path  # the file to write
    settings: Mapping[str, Any]  # JSON values; those that differ from the defaults
    inputs: Sequence[Path]  # files and folders that are read
    weights: Mapping[str, str]  # file -> hash of samples of its content

    @property
    def record(self) -> Path:
        """Return the path of its record."""
        return record_path(self.result)

    @property
    def identity(self) -> str:
        """Return a hash of settings and weights; inputs are compared by their content."""
        text = json.dumps([self.settings, self.weights], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of a job."""

    name: str
    state: str  # DONE or FAILED
    error: str = ""  # why it failed, in words
    result: str  # name of the result's file
    bytes: int = 0  # of the result
    sha256: str = ""  # of the result
    # Of its frames before they were encoded: H.264's encoder may give other bytes for the same
    # frames, if the width is no multiple of 128.
    frames_sha256: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    identity: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    seconds: float = 0.0
    sampling_seconds: float = 0.0  # of them, in the networks
    report: Sequence[str] = ()  # what was found and assumed on the way

    def write(self, path: Path) -> None:
        """Write the record whole."""
        with whole_file(path) as part:
            text = json.dumps({"version": VERSION, **asdict(self)}, indent=1)
            part.write_text(text + "\n", encoding="utf-8")


def record_path(result: Path) -> Path:
    """Return the path of the record of a result."""
    return result.with_name(f"{result.name}{RECORD}")


def known_record(path: Path) -> Mapping[str, Any]:
    """Return a job's record as it stands; an empty one if it is missing or damaged."""
    try:
        record = read_record(path, "record")
    except InputError:
        return {}
    return record if record.get("version") == VERSION else {}


def read_state(order: Order) -> tuple[str, Mapping[str, Any]]:
    """Return what is known of a job, and its record.

    "done": its result is there and was made from the same; "failed": it was tried; "changed": it
    was made from other settings, weights or inputs; "": nothing is known.
    """
    record = known_record(order.record)
    if not record:
        return "", {}
    if record.get("state") != DONE:
        return FAILED, record
    try:
        size = order.result.stat().st_size
    except OSError:
        return "", record
    same = record.get("identity") == order.identity and size == record.get("bytes")
    inputs = record.get("inputs", {})
    paths = {str(path): path for path in order.inputs}
    if not same or not isinstance(inputs, dict) or set(inputs) != set(paths):
        return "changed", record
    if not all(isinstance(known, dict) for known in inputs.values()):
        return "changed", record
    if all(is_same(path, inputs[name]) for name, path in paths.items()):
        return DONE, record
    return "changed", record
