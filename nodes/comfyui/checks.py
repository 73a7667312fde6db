"""Checks of widget values when a node runs.

ComfyUI's own checks are not enough: its older version does not check choices, no version checks
values that arrive over a link, and NaN passes every range.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from comfy_api.latest import io

from ...animate_anyone.errors import AnimateAnyoneError, InputError, MediaError
from ...animate_anyone.places import system_refused

RECORDS = ("LATENT", "POSE_KEYPOINT")  # types whose values are records (dict) over a link too
WRITTEN_BY_PAGE = ("AA_POSE_STAGE",)  # types whose values are text, though they are no widgets
Execute = TypeVar("Execute", bound=Callable[..., io.NodeOutput])


def checked(execute: Execute) -> Execute:
    """Return `execute` with a check before it: InputError for values that the schema forbids."""

    @functools.wraps(execute)
    def run(cls: type[io.ComfyNode], **values: Any) -> io.NodeOutput:
        inputs = cls.define_schema().inputs
        for widget in inputs:
            if values.get(widget.id) is not None:
                check(widget, values[widget.id])
        _check_given(inputs, values)
        try:
            return execute(cls, **values)
        except OSError as error:
            if isinstance(error, AnimateAnyoneError) or not error.strerror:
                raise
            raise MediaError(system_refused(error)) from error

    return run  # type: ignore[return-value]


def _check_given(inputs: Sequence[io.Input], values: Mapping[str, Any]) -> None:
    """Raise for null in a required input; a prompt made by hand may hold it, or a node give it."""
    for widget in inputs:
        if not widget.optional and values.get(widget.id, "") is None:
            way = "Set" if isinstance(widget, io.WidgetInput) else "Connect"
            raise InputError(f"{widget.id} got null; the node needs a value there. {way} it.")


def check(widget: io.Input, value: Any) -> None:
    """Raise unless the schema of this input allows the value."""
    if isinstance(widget, io.Combo.Input):
        _check_choice(widget.id, value, widget.options or [])
    elif not isinstance(widget, io.WidgetInput) and widget.get_io_type() not in WRITTEN_BY_PAGE:
        _check_socket(widget.id, value, widget.get_io_type())
    elif isinstance(widget, io.String.Input):
        _check_text(widget.id, value)
    elif isinstance(widget, io.Int.Input | io.Float.Input):
        _check_range(widget.id, value, widget.min, widget.max, isinstance(widget, io.Int.Input))


def check_alone(name: str, **others: object) -> None:
    """Raise InputError if another input is connected that would say the same as this one."""
    for other, value in others.items():
        if value is not None:
            raise InputError(
                f"{other} got a value beside {name}, which takes its place; only one of them may "
                f"be connected. Disconnect {other} or {name}."
            )


def _check_socket(name: str, value: Any, kind: str) -> None:
    """Raise for a literal in the place of a link; a prompt made by hand may hold one."""
    if isinstance(value, str | int | float):
        raise InputError(f"{name} got {str(value)[:60]!r}; it takes no text or number. Connect it.")
    if isinstance(value, dict) and kind not in RECORDS:
        raise InputError(f"{name} got {str(value)[:60]!r}; it takes no JSON record. Connect it.")
    if kind == "LATENT" and not (isinstance(value, dict) and "samples" in value):
        raise InputError(f"{name} got {str(value)[:60]!r}; it takes a LATENT. Connect one.")
    if kind == "LATENT":
        for part in ("samples", "noise_mask"):
            held = value.get(part)
            if not hasattr(held, "shape") and (part == "samples" or held is not None):
                raise InputError(
                    f"{name} got {str(held)[:60]!r} as {part}; it must be a tensor. Connect a "
                    "LATENT."
                )


def _check_text(name: str, value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        raise InputError(f"{name} got {value[:60]!r}; text has no zero characters. Remove them.")


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
