"""Inputs and outputs of an ONNX file, read without onnxruntime.

An ONNX file is a Protocol Buffers message (onnx.proto): records of a number and a value, and a
value may again be a message. Only the records that describe inputs and outputs are read; weights
are skipped, so a large file takes a few milliseconds. A truncated file is recognised by a record
that reaches beyond its end.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import WeightsError
from ...json_files import require_regular
from ..skeleton.layouts import LAYOUTS, Layout

Shape = tuple[int | None, ...]  # None: any length
Kind = Literal["detector", "estimator"]

# Numbers of records in onnx.proto.
_GRAPH, _INITIALIZER, _INPUT, _OUTPUT = 7, 5, 11, 12
_METADATA, _KEY, _VALUE = 14, 1, 2
_TENSOR_NAME = 8
_NAME, _TYPE, _TENSOR_TYPE, _ELEMENT, _SHAPE, _DIMENSION, _LENGTH = 1, 2, 1, 1, 2, 1, 1
_ELEMENT_TYPES = {1: np.float32, 2: np.uint8, 10: np.float16}

_MOST_RECORDS = 200_000  # in a message; large networks have some thousand weights

SUBJECTS = "subjects"  # key in the file's metadata: on which pictures the network was trained

_Span = tuple[int, int]  # first byte and the byte after the last


@dataclass(frozen=True, kw_only=True)
class Array:
    """An input or output of a network."""

    name: str
    dtype: type | None  # numpy type; None: a type not listed here
    shape: Shape | None  # None: the file does not say


@dataclass(frozen=True, kw_only=True)
class Header:
    """The inputs and outputs of a network, and what it was trained on."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    subjects: str = ""  # on which pictures it was trained; empty: the file does not say

    @property
    def kind(self) -> Kind | None:
        """Return whether it is a detector or an estimator, judged by its arrays; None: neither."""
        if not (len(self.inputs) == 1 and _is_picture(self.inputs[0])):
            return None
        if self.layouts:
            return "estimator"
        shapes = [array.shape for array in self.outputs]
        first, others = shapes[0], shapes[1:]
        is_list = first is None or (len(first) == 3 and (first[2] is None or first[2] >= 5))
        # Detectors with built-in suppression may have a second output, the class of each box.
        if is_list and (not others or (len(others) == 1 and len(others[0] or ()) in (0, 2))):
            return "detector"
        return None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Return the layouts whose number of keypoints fits both outputs, along x and y."""
        shapes = [array.shape for array in self.outputs]
        if len(shapes) != 2:
            return ()
        return tuple(
            layout
            for keypoints, layout in LAYOUTS.items()
            if all(_fits(shape, 1, keypoints) for shape in shapes)
        )

    def __str__(self) -> str:
        """Return inputs and outputs with their shapes."""

        def text(arrays: tuple[Array, ...]) -> str:
            return ", ".join(f"{array.name} {_shape_text(array.shape)}" for array in arrays)

        return f"{text(self.inputs)} -> {text(self.outputs)}"


def read_header(
    path: Path,
    name: str = "path",  # what the user calls the path, for messages
) -> Header:
    """Return the inputs and outputs of an ONNX file; WeightsError if it is not a complete one."""
    try:
        require_regular(Path(path))
        with (
            Path(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return _header(data)
    except OSError as error:
        raise WeightsError(
            f"{name} got {path}; cannot read it: {error}. Check the path."
        ) from error
    except (ValueError, IndexError) as error:
        why = str(error) or "it ends within a record"
        raise WeightsError(
            f"{name} got {path}; it is not a complete ONNX file: {why}. Download it again."
        ) from error


def _header(data: mmap.mmap) -> Header:
    if data[0] != 0x08:  # record 1, the format's version, comes first
        raise ValueError(f"it begins with {bytes(data[:12])!r}")
    records = list(_records(data, (0, len(data))))
    spans = [value for number, value in records if number == _GRAPH]
    if len(spans) != 1 or isinstance(spans[0], int):
        raise ValueError("it holds no network")
    initialised, inputs, outputs = set(), [], []
    for number, value in _records(data, spans[0]):
        if isinstance(value, int):
            continue
        if number == _INITIALIZER:
            initialised.add(_text(data, value, _TENSOR_NAME))
        elif number in (_INPUT, _OUTPUT):
            (inputs if number == _INPUT else outputs).append(_array(data, value))
    if not outputs:
        raise ValueError("its network has no output")
    # Old files list their weights as inputs too.
    inputs = [array for array in inputs if array.name not in initialised]
    return Header(
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        subjects=_metadata(data, records).get(SUBJECTS, ""),
    )


def _metadata(data: mmap.mmap, records: list[tuple[int, int | _Span]]) -> dict[str, str]:
    entries = [v for number, v in records if number == _METADATA and not isinstance(v, int)]
    return {_text(data, entry, _KEY): _text(data, entry, _VALUE) for entry in entries}


def _array(data: mmap.mmap, span: _Span) -> Array:
    shape, dtype = None, None
    for of_type in _messages(data, span, _TYPE):
        for of_tensor in _messages(data, of_type, _TENSOR_TYPE):
            for number, value in _records(data, of_tensor):
                if number == _ELEMENT and isinstance(value, int):
                    dtype = _ELEMENT_TYPES.get(value)
                elif number == _SHAPE and not isinstance(value, int):
                    sides = _messages(data, value, _DIMENSION)
                    shape = tuple(_length(data, side) for side in sides)
    return Array(name=_text(data, span, _NAME), dtype=dtype, shape=shape)


def _length(data: mmap.mmap, span: _Span) -> int | None:
    for number, value in _records(data, span):
        if number == _LENGTH and isinstance(value, int) and 0 < value < 2**31:
            return value
    return None


def _text(data: mmap.mmap, span: _Span, number: int) -> str:
    spans = list(_messages(data, span, number))
    return data[spans[0][0] : spans[0][1]].decode("utf-8", "replace") if spans else ""


def _messages(data: mmap.mmap, span: _Span, wanted: int) -> Iterator[_Span]:
    for number, value in _records(data, span):
        if number == wanted and not isinstance(value, int):
            yield value


def _records(data: mmap.mmap, span: _Span) -> Iterator[tuple[int, int | _Span]]:
    """Yield number and value of every record; the value is an integer, or a span of bytes."""
    at, end = span
    for _ in range(_MOST_RECORDS):
        if at >= end:
            return
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if not number:
            raise ValueError(f"byte {at} belongs to a record of number 0, which no file has")
        if wire == 0:
            value, at = _varint(data, at)
        elif wire in (1, 2, 5):
            length, at = (8, at) if wire == 1 else (4, at) if wire == 5 else _varint(data, at)
            value, at = (at, at + length), at + length
        else:
            raise ValueError(f"byte {at} belongs to no record")
        if at > end:
            raise ValueError(f"it has {len(data):,} bytes, and a record reaches to byte {at:,}")
        yield number, value
    raise ValueError(f"a part of it has more than {_MOST_RECORDS:,} records")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"byte {at} belongs to no record")


def _is_picture(array: Array) -> bool:
    sides = array.shape
    return (
        array.dtype in (np.float32, np.float16)
        and sides is not None
        and len(sides) == 4
        and sides[1] == 3
        and None not in sides[2:]
    )


def _fits(shape: Shape | None, axis: int, length: int) -> bool:
    return shape is None or (len(shape) == 3 and shape[axis] in (length, None))


def _shape_text(shape: Shape | None) -> str:
    if shape is None:
        return "(?)"
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"
