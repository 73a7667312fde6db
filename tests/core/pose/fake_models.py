"""Tiny ONNX networks with the inputs and outputs of DWPose, which find colours instead of people.

Both are exact: the detector's box and the estimator's keypoint lie where the marker of their
colour lies, so that the whole path from frame to keypoint can be tested to the pixel.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

KEYPOINTS = 133
STRIDES = (8, 16, 32)
MEAN = np.array([123.675, 116.28, 103.53])
DEVIATION = np.array([58.395, 57.12, 57.375])
# RGB of the estimator's keypoints. With red and blue exchanged, only green and white stay the same,
# and no colour becomes that of another keypoint.
PALETTE = {
    0: (255, 0, 0),
    5: (0, 255, 0),
    6: (0, 120, 255),
    9: (255, 255, 0),
    15: (255, 0, 160),
    20: (255, 120, 90),
    60: (255, 255, 255),
    95: (0, 255, 130),
    120: (70, 0, 255),
}
PERSON_COLOUR = (200, 40, 90)  # RGB that the seeking detector detects as a person


def save(path: Path, nodes, inputs, outputs, constants=None) -> Path:
    """Write a network; constants are named arrays."""
    initialisers = [numpy_helper.from_array(v, name) for name, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "fake", inputs, outputs, initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def array(name: str, shape, kind: int = TensorProto.FLOAT):
    """Describe an input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def raw_rows(boxes: ArrayLike, size: tuple[int, int], classes: int = 80) -> np.ndarray:
    """Return cells (N, 5 + classes) that encode boxes.

    Every box is (centre x, centre y, width, height, objectness, class score, class, stride) in
    pixels of the input, whose (height, width) is `size`.
    """
    counts = [(size[0] // s) * (size[1] // s) for s in STRIDES]
    rows = np.full((sum(counts), 5 + classes), 0.001, np.float32)
    for x, y, w, h, objectness, score, label, stride in np.reshape(boxes, (-1, 8)):
        grid = STRIDES.index(int(stride))
        column, line = int(x // stride), int(y // stride)
        row = sum(counts[:grid]) + line * (size[1] // int(stride)) + column
        rows[row, :2] = x / stride - column, y / stride - line
        rows[row, 2:4] = np.log([w / stride, h / stride])
        rows[row, 4], rows[row, 5 + int(label)] = objectness, score
    return rows


def fixed_detector(
    path: Path,
    rows: np.ndarray,  # (N, columns): its output for every picture
    size: tuple[int, int] = (160, 160),
    batch: int | str = 1,
    labels: np.ndarray | None = None,  # (N,): a second output
) -> Path:
    """Write a detector with the same output for every picture."""
    constants = {"rows": rows[None].astype(np.float32), "none": np.zeros(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["mean", "axis"], ["flat"]),
        helper.make_node("Mul", ["flat", "none"], ["zero"]),
        helper.make_node("Add", ["rows", "zero"], ["output"]),
    ]
    constants["axis"] = np.array([3], np.int64)
    outputs = [array("output", [batch, *rows.shape])]
    if labels is not None:
        constants["labels_of_rows"] = labels[None].astype(np.int64)
        nodes.append(helper.make_node("Identity", ["labels_of_rows"], ["labels"]))
        outputs.append(array("labels", [batch, len(labels)], TensorProto.INT64))
    return save(path, nodes, [array("images", [batch, 3, *size])], outputs, constants)


def seeking_detector(
    path: Path,
    box: tuple[float, float] = (48, 64),  # width and height in pixels of the input
    size: tuple[int, int] = (160, 160),
    colour: tuple[int, int, int] = PERSON_COLOUR,
    batch: int | str = 1,
) -> Path:
    """Write a detector that puts a box around the middle of every cell of one colour."""
    height, width = size
    rest = sum((height // s) * (width // s) for s in STRIDES[1:])
    goal = np.array(colour[::-1], np.float32).reshape(1, 3, 1, 1)
    geometry = [0.5, 0.5, np.log(box[0] / 8), np.log(box[1] / 8)]
    cells = (height // 8) * (width // 8)
    constants = {
        "goal": goal,
        "scale": np.array([1 / 40], np.float32),
        "one": np.ones(1, np.float32),
        "low": np.zeros(1, np.float32),
        "shape": np.array([-1, cells, 1], np.int64),
        "geometry": np.tile(np.array(geometry, np.float32), (1, cells, 1)),
        "person": np.full((1, cells, 1), 0.95, np.float32),
        "rest": np.zeros((1, rest, 6), np.float32),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Sub", ["cells", "goal"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["distance"]),
        helper.make_node("ReduceMax", ["distance"], ["farthest"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["farthest", "scale"], ["share"]),
        helper.make_node("Sub", ["one", "share"], ["near"]),
        helper.make_node("Max", ["near", "low"], ["objectness"]),
        helper.make_node("Reshape", ["objectness", "shape"], ["column"]),
        helper.make_node("Concat", ["geometry", "column", "person"], ["fine"], axis=2),
        helper.make_node("Concat", ["fine", "rest"], ["output"], axis=1),
    ]
    outputs = [array("output", [batch, cells + rest, 6])]
    return save(path, nodes, [array("images", [batch, 3, height, width])], outputs, constants)


def colour_estimator(
    path: Path,
    size: tuple[int, int] = (192, 144),  # height, width
    batch: int | str = "batch",
    palette: dict[int, tuple[int, int, int]] = PALETTE,
    keypoints: int = KEYPOINTS,
) -> Path:
    """Write an estimator that places each keypoint where the picture has its colour.

    The response of a keypoint is 1 - |x - c|^2 for its normalised colour c.
    """
    height, width = size
    goals = [(np.array(colour) - MEAN) / DEVIATION for colour in palette.values()]
    colours = np.array([*goals, (100.0,) * 3])  # the last one, out of reach, is for all others
    rows = np.full(keypoints, len(goals), np.int64)
    rows[list(palette)] = range(len(goals))
    constants = {
        "weight": (2 * colours).astype(np.float32).reshape(-1, 3, 1, 1),
        "bias": (1 - (colours**2).sum(1)).astype(np.float32),
        "channels": np.array([1], np.int64),
        "rows": rows,
        "last": np.array([3], np.int64),
        "shape_x": np.array([-1, keypoints, 2 * width], np.int64),
        "shape_y": np.array([-1, keypoints, 2 * height], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["input", "weight", "bias"], ["product"]),
        helper.make_node("Mul", ["input", "input"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "channels"], ["norm"], keepdims=1),
        helper.make_node("Sub", ["product", "norm"], ["response"]),
    ]
    for name, axis in (("x", 2), ("y", 3)):
        nodes += [
            helper.make_node("ReduceMax", ["response"], [f"best_{name}"], axes=[axis], keepdims=0),
            helper.make_node("Gather", [f"best_{name}", "rows"], [f"all_{name}"], axis=1),
            helper.make_node("Unsqueeze", [f"all_{name}", "last"], [f"bin_{name}"]),
            helper.make_node("Concat", [f"bin_{name}"] * 2, [f"pair_{name}"], axis=3),
            helper.make_node("Reshape", [f"pair_{name}", f"shape_{name}"], [f"simcc_{name}"]),
        ]
    outputs = [
        array("simcc_x", [batch, keypoints, 2 * width]),
        array("simcc_y", [batch, keypoints, 2 * height]),
    ]
    return save(path, nodes, [array("input", [batch, 3, height, width])], outputs, constants)


def picture(
    size: tuple[int, int],  # height, width
    markers: dict[int, tuple[float, float]],  # keypoint: x, y
    people: ArrayLike = (),  # centres x, y that the seeking detector finds
    radius: float = 20.0,
) -> np.ndarray:
    """Return a black frame with a peaked dot of its colour at every keypoint, uint8 RGB."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    result = np.zeros((*size, 3))
    for x, y in np.reshape(people, (-1, 2)):
        near = (abs(columns - x) <= radius) & (abs(rows - y) <= radius)
        result[near] = PERSON_COLOUR
    for keypoint, (x, y) in markers.items():
        part = np.s_[max(0, int(y) - 25) : int(y) + 26, max(0, int(x) - 25) : int(x) + 26]
        distances = (columns[part] - x) ** 2 + (rows[part] - y) ** 2
        strength = np.exp(-distances / 30)[..., None]
        result[part] += strength * (np.array(PALETTE[keypoint]) - result[part])
    return result.round().astype(np.uint8)
