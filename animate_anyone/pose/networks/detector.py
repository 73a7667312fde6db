"""Detecting people: boxes by a YOLOX network in ONNX.

Two kinds of networks are supported, recognised by their output: raw cells (1, N, 5 + classes),
which are decoded and suppressed here, and finished boxes (1, N, 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import opencv as cv2
from ...errors import WeightsError
from .sessions import PoseSession, require_kind, run_batches

SCORE = 0.3  # least score of a person
OVERLAP = 0.45  # intersection over union above which the box with the lower score is dropped
STRIDES = (8, 16, 32)  # pixels per cell of the three grids, in the order of the output
PERSON = 0  # class of people in COCO
_GREY = 114  # grey level around the picture, as in training
_LARGEST_LOG = 12.0  # of a side in cells; larger sides are never real boxes


@dataclass(frozen=True)
class Boxes:
    """The people of one frame, highest score first; boxes may reach beyond the frame."""

    boxes: np.ndarray  # (n, 4), float32: left, top, right, bottom in pixels
    scores: np.ndarray  # (n,), float32, 0..1

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.scores)

    def __getitem__(self, rows: slice | np.ndarray) -> "Boxes":
        """Return the people of these rows."""
        return Boxes(self.boxes[rows], self.scores[rows])


class Detector:
    """Finds people with a YOLOX network."""

    def __init__(self, session: PoseSession) -> None:
        """Use the network of a session; WeightsError if it is not a detector."""
        require_kind(session, "detector")
        self.session = session
        self._height, self._width = session.input_size
        if self._height % STRIDES[-1] or self._width % STRIDES[-1]:
            raise WeightsError(
                f"detector got {session.path.name} with an input of {self._width} x "
                f"{self._height}; both must be multiples of {STRIDES[-1]}. Choose a YOLOX network."
            )
        self._cells = grid_cells(self._height, self._width)

    def detect(
        self,
        frames: Sequence[np.ndarray],  # each (H, W, 3) uint8 RGB
        score: float = SCORE,  # least score
    ) -> list[Boxes]:
        """Return the people of every frame."""
        runs = run_batches(self.session, self._prepare, frames, 1)
        outputs = (output for run in runs for output in zip(*run, strict=True))
        return [
            self._people(output, frame.shape, score)
            for output, frame in zip(outputs, frames, strict=True)
        ]

    def _prepare(self, frame: np.ndarray) -> np.ndarray:
        return letterbox(frame, self._height, self._width)

    def _people(
        self, output: tuple[np.ndarray, ...], shape: tuple[int, ...], score: float
    ) -> Boxes:
        rows = output[0]
        ratio = min(self._height / shape[0], self._width / shape[1])
        if rows.ndim == 2 and rows.shape[1] == 5:
            people = finished_boxes(rows, score, *output[1:])
            return Boxes(people.boxes / ratio, people.scores)
        if rows.ndim != 2 or rows.shape[1] < 6 or len(rows) != len(self._cells):
            raise WeightsError(
                f"detector got {self.session.path.name}, whose output is {rows.shape}; "
                f"it must be ({len(self._cells)}, 5 + classes), or (N, 5) after suppression. "
                "Choose a YOLOX network."
            )
        people = decode_cells(rows, self._cells, score)
        people = Boxes(people.boxes / ratio, people.scores)
        return people[suppress(people.boxes, people.scores)]


def letterbox(
    frame: np.ndarray,  # (H, W, 3) uint8 RGB
    height: int,
    width: int,
) -> np.ndarray:  # (3, height, width) float32, BGR, 0..255
    """Return a picture fitted into the upper left corner of the network's input, grey elsewhere."""
    ratio = min(height / frame.shape[0], width / frame.shape[1])
    size = (max(1, int(frame.shape[1] * ratio)), max(1, int(frame.shape[0] * ratio)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    result = np.empty((3, height, width), np.float32)
    result[:, size[1] :] = _GREY
    result[:, : size[1], size[0] :] = _GREY
    for channel, plane in zip(result[::-1], cv2.split(small), strict=True):
        channel[: size[1], : size[0]] = plane
    return result


def grid_cells(height: int, width: int) -> np.ndarray:  # (N, 3) float32
    """Return column, row and stride of every cell, row by row, grid by grid."""
    grids = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], -1).reshape(-1, 3))
    return np.concatenate(grids).astype(np.float32)


def decode_cells(
    rows: np.ndarray,  # (N, 5 + classes): centre x, y; log width, height; objectness; classes
    cells: np.ndarray,  # (N, 3) of grid_cells
    score: float,
) -> Boxes:
    """Return the boxes of people before suppression, in pixels of the input, in cell order.

    Other classes are dropped here already. This does not change the result, since a box suppresses
    only boxes of its own class with lower scores.
    """
    scores = rows[:, 4] * rows[:, 5 + PERSON]
    chosen = np.flatnonzero(scores > score)
    rows, cells, scores = rows[chosen], cells[chosen], scores[chosen]
    centres = (rows[:, :2] + cells[:, :2]) * cells[:, 2:]
    halves = np.exp(np.minimum(rows[:, 2:4], _LARGEST_LOG)) * cells[:, 2:] / 2
    return _with_area(np.concatenate([centres - halves, centres + halves], 1), scores)


def finished_boxes(
    rows: np.ndarray,  # (N, 5): left, top, right, bottom, score; padded with score 0
    score: float,
    classes: np.ndarray | None = None,  # (N,); None: all are people
) -> Boxes:
    """Return the boxes of people, highest score first."""
    chosen = rows[:, 4] > score
    if classes is not None:
        chosen &= classes == PERSON
    rows = rows[chosen]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    return _with_area(rows[:, :4], rows[:, 4])


def suppress(
    boxes: np.ndarray,  # (n, 4)
    scores: np.ndarray,  # (n,)
    overlap: float = OVERLAP,
) -> np.ndarray:  # (m,) rows that are kept, highest score first
    """Drop boxes that overlap a box of higher score by more than `overlap` of their union.

    Widths and heights are counted one pixel larger than the difference, as in YOLOX.
    """
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        across = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order]) + 1
        down = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order]) + 1
        common = np.maximum(across, 0) * np.maximum(down, 0)
        order = order[common <= overlap * (areas[best] + areas[order] - common)]
    return np.array(kept, int)


def _with_area(boxes: np.ndarray, scores: np.ndarray) -> Boxes:
    """Drop boxes that have no area or are not finite."""
    good = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    return Boxes(boxes[good].astype(np.float32), scores[good].astype(np.float32))
