"""Pickles that run code when they are opened without care: each leaves a file as a mark."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class _Calls:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *values: object) -> None:
        self.function, self.values = function, values

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.function, self.values


def _by_exec(mark: Path) -> object:
    return {"conv_in.weight": _Calls(exec, f"open({str(mark)!r}, 'w')")}


def _by_open(mark: Path) -> object:
    return {"state_dict": [_Calls(open, str(mark), "w")]}


def _by_state(mark: Path) -> object:
    """Return a state whose harmless class gets a state that opens a file."""
    return torch.nn.ParameterDict({"a": torch.nn.Parameter(torch.ones(1))}), _by_open(mark)


def _as_key(mark: Path) -> object:
    return {(_Calls(open, str(mark), "w")): torch.ones(1)}


def _nested(mark: Path) -> object:
    inner = pickle.dumps(_by_open(mark))
    return {"a": _Calls(pickle.loads, inner)}


TRAPS = (_by_exec, _by_open, _by_state, _as_key, _nested)


def write_trap(path: Path, trap: Callable[[Path], object], mark: Path) -> None:
    """Write a pickle with code: in torch's old format, and in its zipped one for some."""
    if len(trap.__name__) % 2:
        with path.open("wb") as file:
            pickle.dump(trap(mark), file)
        return
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(trap(mark), 2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    path.write_bytes(data.getvalue())
