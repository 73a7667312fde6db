"""Keypoints of one person per box by a SimCC network in ONNX (RTMPose, DWPose).

SimCC outputs two rows of bins for every keypoint, one along x and one along y. The highest bin is
the position; the lower of the two maxima is the score.
"""

from collections.abc import Sequence

import numpy as np

from ... import opencv as cv2
from ...errors import InputError, WeightsError
from ..skeleton.layouts import LAYOUTS, WHOLEBODY, Layout, known_layouts
from .sessions import PoseSession, require_kind, run_batches

MARGIN = 1.25  # size of the crop relative to the box
# Of the pictures in training, on a scale of 0..255: red, green, blue.
MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)
# "moore": blue first, as in the data on which the public weights of Animate Anyone were trained.
CHANNEL_ORDERS = ("rgb", "moore")

# Row c holds the normalised value of every grey level of channel c.
_LEVELS = np.arange(256.0)
_NORMALISED = np.array(
    [(_LEVELS - m) / d for m, d in zip(MEAN, DEVIATION, strict=True)], np.float32
)


class Estimator:
    """Finds the keypoints of people with a SimCC network, in a layout of LAYOUTS."""

    def __init__(self, session: PoseSession, channel_order: str = "rgb") -> None:
        """Use the network of a session; WeightsError if it is not an estimator."""
        if channel_order not in CHANNEL_ORDERS:
            raise InputError(
                f"channel_order got {channel_order!r}; it must be one of "
                f"{', '.join(CHANNEL_ORDERS)}; choose rgb."
            )
        require_kind(session, "estimator")
        self.session = session
        self.channel_order = channel_order
        self._height, self._width = session.input_size
        fitting = session.header.layouts
        self._layout = fitting[0] if len(fitting) == 1 else None

    @property
    def layout(self) -> Layout:
        """Return the layout of the keypoints; if the file does not say, it is known after a run."""
        return self._layout or WHOLEBODY

    def estimate(
        self,
        frames: Sequence[np.ndarray],  # n frames, (H, W, 3) uint8 RGB; one per box
        boxes: np.ndarray,  # (n, 4) left, top, right, bottom in pixels
        batch: int = 8,  # boxes per run, if the network does not fix it
    ) -> tuple[np.ndarray, np.ndarray]:  # (n, j, 2) pixels, (n, j) raw scores; float32
        """Return the keypoints in every box; a score of 0 or less means that none was found."""
        size = (self._width, self._height)
        windows = crop_windows(boxes, *size)

        def prepare(index: int) -> np.ndarray:
            return crop(frames[index], windows[index], *size, self.channel_order)

        places, scores = [], []
        for run in run_batches(self.session, prepare, range(len(windows)), batch):
            xy, score = decode_simcc(*self._checked(run), *size)
            places.append(xy)
            scores.append(score)
        if not places:
            empty = (0, self.layout.keypoints)
            return np.zeros((*empty, 2), np.float32), np.zeros(empty, np.float32)
        corners, sides = windows[:, None, :2], windows[:, None, 2:]
        xy = np.concatenate(places) / size * sides + corners
        return xy.astype(np.float32), np.concatenate(scores)

    def _checked(self, run: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the bins along x, then along y, whatever their order in the outputs."""
        x, y = run
        layout = LAYOUTS.get(x.shape[1]) if x.ndim == y.ndim == 3 else None
        if layout and y.shape[1] == layout.keypoints and self._layout in (None, layout):
            for first, second in ((x, y), (y, x)):
                if first.shape[2] * self._height == second.shape[2] * self._width:
                    self._layout = layout
                    return first, second
        numbers, layouts = known_layouts()
        raise WeightsError(
            f"estimator got {self.session.path.name}, whose outputs are {x.shape} and {y.shape}; "
            f"both must be (b, {numbers}, bins) with bins in proportion to the input of "
            f"{self._width} x {self._height} ({layouts}). Choose a DWPose network."
        )


def crop_windows(
    boxes: np.ndarray,  # (n, 4) left, top, right, bottom
    width: int,
    height: int,
) -> np.ndarray:  # (n, 4) float64: left, top, width, height
    """Return the part of the frame that is cropped: the box, enlarged to the input's aspect."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = (boxes[:, 2:] - boxes[:, :2]) * MARGIN
    across = np.maximum(sides[:, 0], sides[:, 1] * width / height)
    sides = np.stack([across, across * height / width], 1)
    return np.concatenate([centres - sides / 2, sides], 1)


def crop(
    frame: np.ndarray,  # (H, W, 3) uint8 RGB
    window: np.ndarray,  # (4,) left, top, width, height in pixels
    width: int,
    height: int,
    channel_order: str = "rgb",
) -> np.ndarray:  # (3, height, width) float32, normalised
    """Return the window scaled to the network's input, black outside the frame."""
    left, top, across, _ = window
    scale = width / across
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    small = cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR)
    planes = cv2.split(small)
    if channel_order == "moore":
        planes = planes[::-1]
    return np.stack(
        [cv2.LUT(plane, levels) for plane, levels in zip(planes, _NORMALISED, strict=True)]
    )


def decode_simcc(
    x: np.ndarray,  # (n, j, bins along x)
    y: np.ndarray,  # (n, j, bins along y)
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray]:  # (n, j, 2) pixels of the input, (n, j) scores
    """Return the highest bins; keypoints with a score of 0 or less are put at bin -1."""
    columns, rows = x.argmax(2), y.argmax(2)
    heights = [np.take_along_axis(v, i[..., None], 2)[..., 0] for v, i in ((x, columns), (y, rows))]
    scores = np.minimum(*heights)
    places = np.stack([columns, rows], -1).astype(np.float64)
    places[scores <= 0] = -1
    return places * (width / x.shape[2], height / y.shape[2]), scores
