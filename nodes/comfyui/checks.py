"""Checks of widget values when a node runs.

ComfyUI's own checks are not enough: its older version does not check choices, no version checks
values that arrive over a link, and NaN passes every range.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

from comfy_api.latest import io

from ...animate_anyone.errors import InputError

Execute = TypeVar("Execute", bound=Callable[..., io.NodeOutput])


def checked(execute: Execute) -> Execute:
    """Return `execute` with a check before it: InputError for values that the schema forbids."""

    @functools.wraps(execute)
    def run(cls: type[io.ComfyNode], **values: Any) -> io.NodeOutput:
        for widget in cls.define_schema().inputs:
            if values.get(widget.id) is not None:
                check(widget, values[widget.id])
        return execute(cls, **values)

    return run  # type: ignore[return-value]


def check(widget: io.Input, value: Any) -> None:
    """Raise unless the schema of this input allows the value."""
    if isinstance(widget, io.Combo.Input):
        _check_choice(widget.id, value, widget.options or [])
    elif isinstance(widget, io.Int.Input | io.Float.Input):
        _check_range(widget.id, value, widget.min, widget.max, isinstance(widget, io.Int.Input))


def _check_choice(name: str, value: Any, options: list[str]) -> None:
    if value not in options:
        shown = ", ".join(map(str, options[:12])) or "nothing to choose from yet"
        raise InputError(f"{name} got {value!r}; choose one of: {shown}.")


def _check_range(name: str, value: Any, lowest: float, highest: float, whole: bool) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = is_number and math.isfinite(value) and not (whole and value != int(value))
    if not fits or value < lowest or value > highest:
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name} got {value!r}; it must be {kind} from {lowest} to {highest}.")
