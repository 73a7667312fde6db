from pathlib import Path

import numpy as np
import pytest
from core.pose import fake_models as fake
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone.errors import WeightsError
from animate_anyone.pose.networks.detector import (
    Detector,
    decode_cells,
    grid_cells,
    letterbox,
    suppress,
)
from animate_anyone.pose.networks.sessions import open_session

SIZE = (160, 160)


def detector(path: Path) -> Detector:
    return Detector(open_session(path, "cpu"))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union with sides of one pixel more, as in YOLOX."""
    across = min(a[2], b[2]) - max(a[0], b[0]) + 1
    down = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if across <= 0 or down <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return across * down / (areas[0] + areas[1] - across * down)


def plain_suppression(boxes: np.ndarray, scores: np.ndarray, overlap: float = 0.45) -> list[int]:
    """Go through all boxes, highest score first; keep each that overlaps no kept box."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if all(iou(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    return kept


def random_boxes(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    corners = rng.integers(0, 40, (count, 2))
    boxes = np.concatenate([corners, corners + rng.integers(5, 40, (count, 2))], 1)
    return boxes.astype(np.float64), rng.permutation(count) / max(count, 1)


def plain_decoding(rows: np.ndarray, size: tuple[int, int], score: float) -> list[list[float]]:
    """Decode the cells one by one in plain Python."""
    found, i = [], 0
    for stride in (8, 16, 32):
        for row in range(size[0] // stride):
            for column in range(size[1] // stride):
                x, y, w, h, objectness, person = (float(v) for v in rows[i, :6])
                if objectness * person > score:
                    cx, cy = (x + column) * stride, (y + row) * stride
                    w, h = np.exp(w) * stride, np.exp(h) * stride
                    found.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
                i += 1
    return found


@pytest.mark.parametrize("size", [(160, 160), (96, 160), (224, 32)])
def test_decoding_equals_a_plain_python_loop(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    cells = grid_cells(*size)
    rows = rng.uniform(0, 1, (len(cells), 9)).astype(np.float32)
    expected = plain_decoding(rows, size, 0.3)

    assert len(expected) > 10
    assert np.allclose(decode_cells(rows, cells, 0.3).boxes, expected, atol=1e-3, rtol=0)


@given(st.integers(0, 25), st.integers(0, 2**32 - 1))
def test_suppression_equals_brute_force(count: int, seed: int) -> None:
    boxes, scores = random_boxes(np.random.default_rng(seed), count)

    assert suppress(boxes, scores).tolist() == plain_suppression(boxes, scores)


@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_dropping_other_classes_first_does_not_change_the_boxes(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, _ = random_boxes(rng, count)
    scores = rng.permutation(count * 80).reshape(count, 80) / (count * 80)
    scores *= rng.uniform(0, 1, (count, 1)) < 0.7
    # As YOLOX does it: candidates above 0.1 within each class, people above 0.3 at the end.
    kept = {}
    for label in range(80):
        candidates = np.flatnonzero(scores[:, label] > 0.1)
        rows = plain_suppression(boxes[candidates], scores[candidates, label])
        kept[label] = candidates[rows]
    expected = [row for row in kept[0] if scores[row, 0] > 0.3]

    people = np.flatnonzero(scores[:, 0] > 0.3)
    assert people[suppress(boxes[people], scores[people, 0])].tolist() == expected


def test_letterbox_is_bgr_at_the_upper_left_on_grey() -> None:
    frame = np.full((50, 100, 3), (10, 20, 30), np.uint8)
    tensor = letterbox(frame, 160, 160)

    assert tensor.dtype == np.float32
    assert tensor[:, :80].reshape(3, -1).T.tolist() == [[30, 20, 10]] * (80 * 160)
    assert (tensor[:, 80:] == 114).all()


@pytest.mark.parametrize("batch", [1, 3, "batch"])
@pytest.mark.parametrize("classes", [1, 80])
def test_known_boxes_are_found_in_pixels_of_the_frame(
    tmp_path: Path, batch: int | str, classes: int
) -> None:
    planted = [
        (70.5, 41.25, 20, 30, 0.9, 0.9, 0, 8),
        (40, 100, 60, 90, 0.8, 0.9, 0, 16),
        (41, 101, 60, 90, 0.7, 0.9, 0, 32),  # overlaps the one before
        (120, 30, 20, 20, 0.5, 0.5, 0, 8),  # score too low
    ]
    rows = fake.raw_rows(planted, SIZE, classes)
    network = detector(fake.fixed_detector(tmp_path / "d.onnx", rows, SIZE, batch))
    found = network.detect([np.zeros((320, 640, 3), np.uint8)] * 4)

    assert len(found) == 4
    for people in found:
        assert people.boxes.dtype == np.float32
        assert np.allclose(people.boxes, [[242, 105, 322, 225], [40, 220, 280, 580]], atol=1e-3)
        assert np.allclose(people.scores, [0.81, 0.72])


def test_other_classes_are_ignored(tmp_path: Path) -> None:
    rows = fake.raw_rows([(80, 80, 40, 40, 0.9, 0.9, 16, 8)], SIZE)
    network = detector(fake.fixed_detector(tmp_path / "d.onnx", rows))

    assert len(network.detect([np.zeros((99, 99, 3), np.uint8)])[0]) == 0


def test_finished_boxes_are_not_suppressed_again(tmp_path: Path) -> None:
    rows = np.array([[0, 0, 50, 80, 0.4], [1, 1, 50, 80, 0.9], [5, 5, 9, 9, 0.2], [0] * 5])
    network = detector(fake.fixed_detector(tmp_path / "d.onnx", rows))
    (people,) = network.detect([np.zeros((320, 320, 3), np.uint8)])

    assert people.boxes.tolist() == [[2, 2, 100, 160], [0, 0, 100, 160]]
    assert np.allclose(people.scores, [0.9, 0.4])


def test_a_second_output_gives_the_class_of_finished_boxes(tmp_path: Path) -> None:
    rows = np.array([[0, 0, 50, 80, 0.9], [60, 0, 99, 80, 0.8]])
    path = fake.fixed_detector(tmp_path / "d.onnx", rows, labels=np.array([16, 0]))

    assert detector(path).detect([np.zeros((160, 160, 3), np.uint8)])[0].boxes.tolist() == [
        [60, 0, 99, 80]
    ]


def test_no_frames_give_no_boxes(tmp_path: Path) -> None:
    assert detector(fake.seeking_detector(tmp_path / "d.onnx")).detect([]) == []


def test_a_wrong_number_of_cells_raises(tmp_path: Path) -> None:
    path = fake.fixed_detector(tmp_path / "d.onnx", np.zeros((100, 85)))

    with pytest.raises(WeightsError, match=r"output is \(100, 85\); .*must be \(525, 5 \+ classes"):
        detector(path).detect([np.zeros((160, 160, 3), np.uint8)])


def test_an_input_size_that_is_no_multiple_of_the_stride_raises(tmp_path: Path) -> None:
    path = fake.fixed_detector(tmp_path / "d.onnx", np.zeros((100, 85)), size=(150, 160))

    with pytest.raises(WeightsError, match="input of 160 x 150; both must be multiples of 32"):
        detector(path)


def test_an_estimator_given_as_detector_raises(tmp_path: Path) -> None:
    path = fake.colour_estimator(tmp_path / "yolox_l.onnx")

    with pytest.raises(WeightsError, match=r"it is the estimator; swap the two files"):
        detector(path)
