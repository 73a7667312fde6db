from pathlib import Path

import numpy as np
import pytest
from core.pose import fake_models as fake

from animate_anyone.errors import InputError, WeightsError
from animate_anyone.pose.networks.estimator import Estimator, crop, crop_windows, decode_simcc
from animate_anyone.pose.networks.sessions import open_session

MARKERS = {0: (100.0, 60.0), 5: (120.0, 90.0), 6: (81.0, 90.0), 9: (128.0, 122.0)}
BOX = np.array([[56.0, 40.0, 152.0, 168.0]])
FRAME = fake.picture((240, 320), MARKERS)


def estimator(path: Path, channel_order: str = "rgb") -> Estimator:
    return Estimator(open_session(path, "cpu"), channel_order)


@pytest.mark.parametrize("size", [(192, 144), (384, 288), (256, 256)])
def test_keypoints_lie_within_a_pixel_of_the_markers(tmp_path: Path, size: tuple[int, int]) -> None:
    network = estimator(fake.colour_estimator(tmp_path / "e.onnx", size))
    xy, scores = network.estimate([FRAME], BOX)

    assert (xy.shape, scores.shape) == ((1, 133, 2), (1, 133))
    assert np.flatnonzero(scores[0] > 0).tolist() == sorted(MARKERS)
    for keypoint, place in MARKERS.items():
        assert np.abs(xy[0, keypoint] - place).max() < 1


@pytest.mark.parametrize("batch", [1, 3, "batch"])
def test_results_do_not_depend_on_the_batch_size(tmp_path: Path, batch: int | str) -> None:
    network = estimator(fake.colour_estimator(tmp_path / "e.onnx", batch=batch))
    boxes = BOX + np.arange(5)[:, None]
    together = network.estimate([FRAME] * 5, boxes, batch=4)
    alone = [network.estimate([FRAME], box[None], batch=1) for box in boxes]

    assert np.array_equal(together[0], np.concatenate([xy for xy, _ in alone]))
    scores = np.concatenate([scores for _, scores in alone])
    assert np.allclose(together[1], scores, rtol=0, atol=1e-6)


def test_red_and_blue_are_not_confused(tmp_path: Path) -> None:
    path = fake.colour_estimator(tmp_path / "e.onnx")

    assert (estimator(path).estimate([FRAME], BOX)[1] > 0).sum() == len(MARKERS)
    green = estimator(path).estimate([FRAME[..., ::-1]], BOX)[1] > 0
    assert np.flatnonzero(green[0]).tolist() == [5]  # the same either way


def test_channel_order_moore_feeds_bgr(tmp_path: Path) -> None:
    network = estimator(fake.colour_estimator(tmp_path / "e.onnx"), "moore")

    assert (network.estimate([FRAME[..., ::-1]], BOX)[1] > 0).sum() == len(MARKERS)
    assert (network.estimate([FRAME], BOX)[1] > 0).sum() == 1


def test_a_box_beyond_the_frame_gives_keypoints_in_the_frame(tmp_path: Path) -> None:
    network = estimator(fake.colour_estimator(tmp_path / "e.onnx"))
    frame = fake.picture((240, 320), {0: (10, 20)})
    xy, _ = network.estimate([frame], np.array([[-50.0, -60.0, 60.0, 80.0]]))

    assert np.abs(xy[0, 0] - (10, 20)).max() < 1


def test_no_boxes_give_no_keypoints(tmp_path: Path) -> None:
    xy, scores = estimator(fake.colour_estimator(tmp_path / "e.onnx")).estimate(
        [], np.zeros((0, 4))
    )

    assert (xy.shape, scores.shape) == ((0, 133, 2), (0, 133))


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((0, 0, 288, 384), (-36, -48, 360, 480)),
        ((0, 0, 100, 384), (-130, -48, 360, 480)),  # too narrow
        ((0, 0, 288, 100), (-36, -190, 360, 480)),  # too low
    ],
)
def test_the_window_is_the_box_enlarged_to_the_aspect_of_the_input(
    box: tuple[int, ...], window: tuple[int, ...]
) -> None:
    assert crop_windows(np.array([box]), 288, 384)[0].tolist() == list(window)


def test_the_crop_is_normalised_after_black_is_filled_in_outside() -> None:
    frame = np.full((60, 60, 3), (10, 120, 250), np.uint8)
    tensor = crop(frame, np.array([30.0, 0, 60, 60]), 60, 60)

    assert tensor.dtype == np.float32
    inside = (np.array([10, 120, 250]) - fake.MEAN) / fake.DEVIATION
    assert np.allclose(tensor[:, 30, 10], inside, atol=1e-6)
    assert np.allclose(tensor[:, 30, 40], -fake.MEAN / fake.DEVIATION, atol=1e-6)


def test_simcc_takes_the_first_highest_bin_and_the_lower_score() -> None:
    x, y = np.full((1, 3, 8), -1.0), np.full((1, 3, 12), -1.0)
    x[0, 0, [3, 5]], y[0, 0, 7] = 0.8, 1.4
    x[0, 1, 2], y[0, 1, 2] = 0.9, -0.5  # nowhere along y
    xy, scores = decode_simcc(x, y, 4, 6)

    assert scores[0].tolist() == [0.8, -0.5, -1]
    assert xy[0].tolist() == [[1.5, 3.5], [-0.5, -0.5], [-0.5, -0.5]]


def test_a_detector_given_as_estimator_raises(tmp_path: Path) -> None:
    path = fake.seeking_detector(tmp_path / "dw-ll_ucoco_384.onnx")

    with pytest.raises(WeightsError, match="it is the detector; swap the two files"):
        estimator(path)


def test_another_number_of_keypoints_raises(tmp_path: Path) -> None:
    path = fake.colour_estimator(tmp_path / "e.onnx", keypoints=17, palette={0: (255, 0, 0)})

    with pytest.raises(WeightsError, match=r"estimator got e\.onnx .*\(any, 17, 288\).*133, bins"):
        estimator(path)


def test_an_unknown_channel_order_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="channel_order got 'bgr'; it must be one of rgb, moore"):
        estimator(fake.colour_estimator(tmp_path / "e.onnx"), "bgr")
