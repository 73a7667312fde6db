from collections.abc import Iterator

import numpy as np
import pytest
from core.pose import fake_models as fake

from animate_anyone.errors import InputError
from animate_anyone.pose.networks.detector import Boxes, Detector
from animate_anyone.pose.networks.estimator import Estimator
from animate_anyone.pose.networks.sessions import open_session
from animate_anyone.pose.people.between import People, is_lost, pair_up, spans_between
from animate_anyone.pose.people.extract import ExtractConfig, extract
from animate_anyone.pose.skeleton.layouts import WHOLEBODY
from animate_anyone.types import Size

OFFSETS = {0: (0, -40), 5: (20, -10), 6: (-19, -10), 9: (30, 20), 15: (-10, 45), 60: (5, -30)}
NOSE, LEFT_SHOULDER, LEFT_WRIST = 0, 5, 7  # of OpenPose


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, Estimator]:
    """Return a detector and an estimator that follow coloured markers."""
    folder = tmp_path_factory.mktemp("models")
    detector = fake.seeking_detector(folder / "d.onnx", box=(50, 70))
    estimator = fake.colour_estimator(folder / "e.onnx", batch=1)
    return Detector(open_session(detector, "cpu")), Estimator(open_session(estimator, "cpu"))


def person_at(*centres: tuple[float, float], hide: tuple[int, ...] = ()) -> np.ndarray:
    markers = {
        keypoint: (x + dx, y + dy)
        for x, y in centres[:1]
        for keypoint, (dx, dy) in OFFSETS.items()
        if keypoint not in hide
    }
    return fake.picture((240, 320), markers, centres)


def walk(frames: int, step: float = 4.0) -> list[np.ndarray]:
    return [person_at((90 + step * t, 120)) for t in range(frames)]


def test_keypoints_follow_the_person_within_a_pixel(models: tuple[Detector, Estimator]) -> None:
    clip, report = extract(walk(10), *models)

    assert clip.canvas == Size(320, 240)
    assert clip.body.xy.shape == (10, 1, 18, 2)
    for joint, keypoint in ((NOSE, 0), (LEFT_SHOULDER, 5), (LEFT_WRIST, 9)):
        expected = [
            (90 + 4 * t + OFFSETS[keypoint][0], 120 + OFFSETS[keypoint][1]) for t in range(10)
        ]
        assert np.abs(clip.body.xy[:, 0, joint] - expected).max() < 1
    assert (clip.face.confidence[:, 0] > 0).sum(1).tolist() == [1] * 10
    assert (report.frames, report.empty, report.detector_runs) == (10, (), 10)
    assert report.text().endswith("Detector on cpu, estimator on cpu.")


@pytest.mark.parametrize("frames", [1, 6, 17])
@pytest.mark.parametrize("every", [2, 5])
def test_frames_between_detections_match_detection_in_every_frame(
    models: tuple[Detector, Estimator], frames: int, every: int
) -> None:
    exact, _ = extract(walk(frames), *models)
    clip, report = extract(walk(frames), *models, ExtractConfig(detect_every=every, batch=4))

    assert report.detector_runs == len({*range(0, frames, every), frames - 1})
    assert report.redetected == ()
    assert np.array_equal(clip.body.confidence > 0, exact.body.confidence > 0)
    assert np.abs(clip.body.xy - exact.body.xy).max() < 1


def test_a_person_lost_between_detections_is_detected_again(
    models: tuple[Detector, Estimator],
) -> None:
    frames = [person_at((90, 120)) for _ in range(9)]
    frames[2] = person_at((230, 120))  # not where frames 0 and 4 suggest
    clip, report = extract(frames, *models, ExtractConfig(detect_every=4))

    assert report.redetected == (2,)
    assert report.detector_runs == 4
    assert np.abs(clip.body.xy[2, 0, NOSE] - (230, 80)).max() < 1
    assert "people were lost" in report.text()


def test_a_new_person_is_detected_in_every_frame_between(
    models: tuple[Detector, Estimator],
) -> None:
    nobody = np.zeros((240, 320, 3), np.uint8)
    frames = [nobody, nobody, *walk(3)]
    _, report = extract(frames, *models, ExtractConfig(detect_every=4))

    assert report.empty == (0, 1)
    assert report.redetected == (1, 2, 3)


def test_empty_frames_give_a_clip_without_people(models: tuple[Detector, Estimator]) -> None:
    clip, report = extract([np.zeros((64, 48, 3), np.uint8)] * 3, *models)

    assert clip.body.xy.shape == (3, 0, 18, 2)
    assert report.empty == (0, 1, 2)
    assert "No person was found in any frame" in report.text()


def test_frames_without_a_person_are_listed_in_the_report(
    models: tuple[Detector, Estimator],
) -> None:
    frames = walk(9)
    for gone in (1, 2, 3, 7):
        frames[gone] = np.zeros_like(frames[0])
    clip, report = extract(frames, *models)

    assert not clip.body.confidence[[1, 2, 3, 7]].any()
    assert "No person in 4 of 9 frames: 1-3, 7." in report.text()


def test_people_with_the_highest_scores_are_kept(models: tuple[Detector, Estimator]) -> None:
    frame = person_at((70, 120), (240, 120))
    both, _ = extract([frame], *models)
    one, report = extract([frame], *models, ExtractConfig(people=1))

    assert both.body.xy.shape[1] == 2
    assert one.body.xy.shape[1] == report.people == 1


def test_frames_are_read_a_few_at_a_time(models: tuple[Detector, Estimator]) -> None:
    taken = []
    behind = []

    def frames() -> Iterator[np.ndarray]:
        for number in range(20):
            taken.append(number)
            yield np.zeros((32, 32, 3), np.uint8)

    def progress(done: int) -> None:
        behind.append(len(taken) - done)

    extract(frames(), *models, ExtractConfig(batch=4), progress)
    assert behind == [0] * 5


def test_an_exception_from_progress_stops_the_extraction(
    models: tuple[Detector, Estimator],
) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt(done)

    with pytest.raises(KeyboardInterrupt, match="8"):
        extract(walk(1) * 30, *models, None, stop)


def test_channel_order_moore_reaches_the_estimator(models: tuple[Detector, Estimator]) -> None:
    clip, _ = extract(walk(1), *models, ExtractConfig(channel_order="moore"))

    assert np.flatnonzero(clip.body.confidence[0, 0]).tolist() == [LEFT_SHOULDER]  # green


BLACK = np.zeros((32, 48, 3), np.uint8)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "frames got 0 frames; it must have at least one"),
        ([BLACK, BLACK[:0, :0]], "frame 1 got 0 x 0 pixels; both sides must be at least 16"),
        ([BLACK[:8, :8]], "frame 0 got 8 x 8 pixels"),
        ([np.zeros((32, 32, 4), np.uint8)], r"frame 0 got shape \(32, 32, 4\).* alpha"),
        ([np.zeros((32, 32), np.uint8)], r"frame 0 got shape \(32, 32\)"),
        ([BLACK.astype(np.float32)], "frame 0 got float32; it must be uint8"),
        ([None], "frame 0 got NoneType; it must be a numpy array"),
        ([BLACK] * 9 + [BLACK[:, :32]], "frame 9 got 32 x 32 pixels after frames of 48 x 32"),
    ],
)
def test_unusable_frames_raise_with_their_number(
    models: tuple[Detector, Estimator], frames: list[np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        extract(frames, *models)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("detect_every", 0), ("batch", 0), ("people", -1), ("score", 1.0), ("channel_order", "bgr")],
)
def test_invalid_settings_raise_with_their_name(setting: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{setting} got {value!r}; it must"):
        ExtractConfig(**{setting: value})


def boxes(*lefts: float) -> Boxes:
    corners = [[left, 0, left + 10, 10] for left in lefts]
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), np.full(len(lefts), 0.9, np.float32))


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        (boxes(), boxes(), []),
        (boxes(0, 50), boxes(52, 1), [1, 0]),
        (boxes(0, 50), boxes(0), None),
        (boxes(0), boxes(9), None),
        (boxes(0, 4), boxes(3, 0), [1, 0]),
    ],
)
def test_people_are_matched_by_their_boxes(
    before: Boxes, after: Boxes, order: list[int] | None
) -> None:
    found = pair_up(before, after)
    assert (None if found is None else found.tolist()) == order


def test_people_with_lower_scores_count_as_lost() -> None:
    def people(score: float) -> People:
        xy = np.zeros((1, 133, 2))
        xy[0, :17] = np.arange(34).reshape(17, 2)
        return People(boxes(0), xy, np.full((1, 133), score), WHOLEBODY)

    span = spans_between({0: boxes(0), 2: boxes(0)})[1]
    assert span is not None
    assert not is_lost({0: people(0.9), 1: people(0.8), 2: people(0.9)}, span, 1)
    assert is_lost({0: people(0.9), 1: people(0.5), 2: people(0.9)}, span, 1)
