import json

import numpy as np
import pytest
from core.pose import fake_models as fake

from animate_anyone.errors import InputError
from animate_anyone.pose.networks.detector import Detector
from animate_anyone.pose.networks.estimator import Estimator
from animate_anyone.pose.networks.sessions import open_session
from animate_anyone.pose.people.pipeline import FollowConfig, follow
from animate_anyone.pose.people.smoothing import CleanConfig
from animate_anyone.types import Flag

OFFSETS = {0: (0, -40), 5: (20, -10), 6: (-19, -10), 9: (30, 20), 15: (-10, 45)}
NOSE = 0


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Return a detector and an estimator that follow coloured markers."""
    folder = tmp_path_factory.mktemp("networks")
    detector = fake.seeking_detector(folder / "d.onnx", box=(50, 70))
    estimator = fake.colour_estimator(folder / "e.onnx")
    return Detector(open_session(detector, "cpu")), Estimator(open_session(estimator, "cpu"))


def frame_with(*middles):
    markers = {
        keypoint: (x + dx, y + dy) for x, y in middles[:1] for keypoint, (dx, dy) in OFFSETS.items()
    }
    return fake.picture((240, 320), markers, middles)


def test_a_person_is_followed_across_a_gap(networks):
    middles = [(90 + 8 * frame, 120) for frame in range(6)]
    frames = (frame_with() if at == (114, 120) else frame_with(at) for at in middles)
    told = []
    clip, report = follow(frames, *networks, progress=told.append)

    assert np.abs(clip.body.xy[:, 0, NOSE] - [(x, 80) for x, _ in middles]).max() < 1
    assert clip.body.flags is not None
    assert clip.body.flags[:, 0, NOSE].tolist() == [0, 0, 0, Flag.FILLED, 0, 0]
    assert (report.found, report.filled, report.smoothed) == (True, len(OFFSETS) + 1, 0)
    assert (report.people.empty_frames, report.extract.empty) == ((3,), (3,))
    assert told[-1] == 6


def test_smoothing_is_counted(networks):
    frames = [frame_with((90 + 8 * at + at % 2, 120)) for at in range(5)]
    config = FollowConfig(clean=CleanConfig(smooth=1.0))
    report = follow(frames, *networks, config)[1]
    assert report.smoothed > 0
    assert "0 put back from the other side, 0 spikes removed, 0 filled, 0 held, " in report.text()


@pytest.mark.parametrize("person", ["largest", "all", 0, 2])
def test_a_clip_without_people_is_allowed_for_every_choice_of_person(networks, person):
    frames = [np.zeros((64, 48, 3), np.uint8)] * 3
    clip, report = follow(frames, *networks, FollowConfig(person=person))

    assert (len(clip), clip.canvas.width) == (3, 48)
    assert not clip.body.confidence.any()
    assert not report.found
    assert "no person was found; the skeletons are empty" in report.text()


def test_one_of_several_people_is_kept(networks):
    frames = [frame_with((80, 120), (240, 120))] * 3
    everybody, report = follow(frames, *networks, FollowConfig(person="all"))
    assert (everybody.body.xy.shape[1], len(report.kept.people)) == (1, 1)

    with pytest.raises(InputError, match="person got 1; the clip has 1 people"):
        follow(frames, *networks, FollowConfig(person=1))


def test_report_survives_json(networks):
    report = follow([frame_with((90, 120))], *networks)[1]
    data = json.loads(json.dumps(report.data(), allow_nan=False))

    assert data["extract"]["detector_provider"] == "cpu"
    assert data["people"]["people"][0]["frames_seen"] == 1
    assert "1 people in 1 frames" in report.text()


def test_an_unknown_speed_is_reported_for_clips_only(networks):
    config = FollowConfig(fps_is_known=False, clean=CleanConfig(fps=24))
    clip = follow([frame_with((90, 120))] * 2, *networks, config)[1]
    picture = follow([frame_with((90, 120))], *networks, config)[1]

    assert "does not say its speed; 24 frames per second are assumed" in clip.text()
    assert "assumed" not in picture.text()
    assert "assumed" not in follow([frame_with((90, 120))] * 2, *networks)[1].text()
