"""Adding an entry to LAYOUTS is enough to recognise, run and read a network with that layout."""

from pathlib import Path

import numpy as np
import pytest
from core.pose import fake_models as fake
from PIL import Image

from animate_anyone.__main__ import main
from animate_anyone.errors import ConfigError, WeightsError
from animate_anyone.pose.files.keypoints import read_keypoints
from animate_anyone.pose.networks.detector import Detector
from animate_anyone.pose.networks.estimator import Estimator
from animate_anyone.pose.networks.sessions import open_session
from animate_anyone.pose.people.extract import ExtractConfig, extract
from animate_anyone.pose.skeleton.joints import BODY_JOINTS, empty_points
from animate_anyone.pose.skeleton.layouts import BODY, LAYOUTS, Layout
from animate_anyone.types import Size

COCO = Layout(name="COCO", keypoints=17, body=BODY)
# Keypoints of the body in another order, and no neck, eyes and ears at all.
LIMBS = Layout(
    name="limbs",
    keypoints=13,
    body=(12, None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, None, None, None, None),
)
OFFSETS = {0: (0, -40), 5: (20, -10), 6: (-19, -10), 9: (30, 20), 15: (-10, 45)}
PALETTE = {keypoint: fake.PALETTE[keypoint] for keypoint in OFFSETS}


@pytest.fixture
def coco(monkeypatch) -> None:
    """Add a layout of COCO's 17 keypoints as one entry."""
    monkeypatch.setitem(LAYOUTS, 17, COCO)


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """Return a detector, and an estimator of 17 keypoints."""
    detector = fake.seeking_detector(tmp_path / "d.onnx", box=(50, 70))
    return detector, fake.colour_estimator(tmp_path / "e.onnx", keypoints=17, palette=PALETTE)


def walk(frames: int, *, first: int = 0) -> list[np.ndarray]:
    """Return frames of a walking person; frames before `first` are empty."""
    drawn = []
    for frame in range(frames):
        x, y = 90 + 4 * frame, 120
        markers = {keypoint: (x + dx, y + dy) for keypoint, (dx, dy) in OFFSETS.items()}
        drawn.append(fake.picture((240, 320), markers, [(x, y)]))
    return [frame if i >= first else np.zeros_like(frame) for i, frame in enumerate(drawn)]


def check(clip, frames: range) -> None:
    for joint, keypoint in (("nose", 0), ("left_shoulder", 5), ("left_wrist", 9)):
        expected = [(90 + 4 * t + OFFSETS[keypoint][0], 120 + OFFSETS[keypoint][1]) for t in frames]
        found = clip.body.xy[list(frames), 0, BODY_JOINTS.index(joint)]
        assert np.abs(found - expected).max() < 1
    neck = clip.body.xy[frames[0], 0, BODY_JOINTS.index("neck")]
    assert np.abs(neck - (90.5 + 4 * frames[0], 110)).max() < 1


@pytest.mark.usefixtures("coco")
@pytest.mark.parametrize("every", [1, 3])
def test_an_added_layout_is_recognised_and_followed_through_a_clip(files, every):
    detector, estimator = (open_session(path, "cpu") for path in files)
    assert estimator.header.kind == "estimator"
    network = Estimator(estimator)
    assert network.layout is COCO
    frames = walk(7)
    clip, report = extract(frames, Detector(detector), network, ExtractConfig(detect_every=every))
    check(clip, range(7))
    for part, joints in (("left_hand", 21), ("right_hand", 21), ("face", 68), ("feet", 6)):
        assert not getattr(clip, part).confidence.any()
        assert getattr(clip, part).xy.shape == (7, 1, joints, 2)
    assert (report.people, report.empty, report.redetected) == (1, (), ())


@pytest.mark.usefixtures("coco")
def test_a_file_without_shapes_is_recognised_at_its_first_person(files):
    detector, session = (open_session(path, "cpu") for path in files)
    for array in session.header.outputs:
        object.__setattr__(array, "shape", (None, None, None))
    assert session.header.kind == "estimator"
    network = Estimator(session)
    clip, report = extract(walk(12, first=9), Detector(detector), network)
    assert network.layout is COCO
    assert report.empty == tuple(range(9))
    check(clip, range(9, 12))


@pytest.mark.usefixtures("coco")
def test_the_command_reads_poses_by_an_added_layout(files, tmp_path):
    pictures, target = tmp_path / "walk", tmp_path / "poses.json"
    pictures.mkdir()
    for number, frame in enumerate(walk(3)):
        Image.fromarray(frame).save(pictures / f"{number}.png")
    named = [f"--detector={files[0]}", f"--estimator={files[1]}", "--provider=cpu"]
    assert main(["pose", "extract", str(pictures), f"--out={target}", *named]) == 0
    check(read_keypoints(target), range(3))


def test_an_unknown_number_of_keypoints_raises_with_the_known_ones(files, monkeypatch):
    session = open_session(files[1], "cpu")
    assert session.header.kind is None
    with pytest.raises(WeightsError, match=r"17, 288\).*\(b, 133, bins\).*133: COCO-WholeBody"):
        Estimator(session)
    monkeypatch.setitem(LAYOUTS, 13, LIMBS)
    known = r"\(b, 133 or 13, bins\) for x and y \(133: COCO-WholeBody, 13: limbs\)"
    with pytest.raises(WeightsError, match=known):
        Estimator(session)


def test_joints_that_a_layout_lacks_are_not_found():
    xy = np.stack([np.arange(13.0), 100 + np.arange(13.0)], -1)[None, None]
    clip = LIMBS.to_clip(Size(640, 480), xy, np.full((1, 1, 13), 0.9))
    assert clip.body.xy[0, 0, 0].tolist() == [12, 112]
    assert clip.body.confidence[0, 0].tolist() == [0.9, 0, *[0.9] * 12, 0, 0, 0, 0]
    assert not clip.body.xy[0, 0, [1, 14, 15, 16, 17]].any()
    assert (clip.face.confidence == empty_points(1, 1, 68).confidence).all()
    assert LIMBS.of_body == list(range(13))
    assert COCO.of_body == list(range(17))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body": BODY[:17]}, "body of bad got 17 joints; OpenPose has 18"),
        ({"left_hand": (1, 2)}, "left_hand of bad got 2 joints; OpenPose has 21"),
        ({"feet": (0, 1, 2, 3, 4, 17)}, "feet of bad got keypoints 0 to 17; there are 17"),
    ],
    ids=["body", "hand", "number"],
)
def test_an_invalid_layout_raises(change, message):
    with pytest.raises(ConfigError, match=message):
        Layout(**{"name": "bad", "keypoints": 17, "body": BODY, **change})
