"""Layouts with as many points as others are told apart by where the points lie."""

import numpy as np
import pytest

from animate_anyone.drawn.motions import Proportions, joints_of, make_motion, turning
from animate_anyone.errors import ConfigError
from animate_anyone.pose.skeleton.arrangement import stretch, told_apart
from animate_anyone.pose.skeleton.joints import BODY_EDGES, BODY_JOINTS
from animate_anyone.pose.skeleton.layouts import (
    ANIMALS_17,
    BODY_25,
    COCO_17,
    FILE_LAYOUTS,
    OPENPOSE_18,
    POSETRACK_17,
    RIVALS,
    Layout,
    layouts_of,
)
from animate_anyone.types import Size

SIDES = ("right", "left")
BODIES = {
    "adult": Proportions(
        head=0.07, neck=0.04, torso=0.29, shoulders=0.24, hips=0.15, upper_arm=0.16, forearm=0.15,
        thigh=0.24, shin=0.24, arm_width=0.03, leg_width=0.05,
    ),
    "chibi": Proportions(
        head=0.2, neck=0.01, torso=0.25, shoulders=0.22, hips=0.16, upper_arm=0.1, forearm=0.1,
        thigh=0.1, shin=0.1, arm_width=0.04, leg_width=0.06,
    ),
}  # fmt: skip


def bodies_of(layout, body, seed=0, frames=6):
    """Return (f, keypoints, 3) of a turning figure in a layout; points it has alone are placed."""
    rng = np.random.default_rng(seed)
    motion = turning(make_motion(rng), rng)
    openpose = np.stack([joints_of(body, motion.angles(9 * f))[0] for f in range(frames)])[..., :2]
    xy = np.full((frames, layout.keypoints, 2), np.nan)
    for joint, keypoint in enumerate(layout.body):
        if isinstance(keypoint, int):
            xy[:, keypoint] = openpose[:, joint]
    for side, (ankle, knee) in zip(SIDES, ((10, 9), (13, 12)), strict=True):
        along = openpose[:, ankle] - openpose[:, knee]
        feet = layout.feet[3:] if side == "right" else layout.feet[:3]
        for number, keypoint in enumerate(feet):
            if isinstance(keypoint, int):
                xy[:, keypoint] = openpose[:, ankle] + 0.1 * along + 0.02 * number
    middle, neck = openpose[:, [8, 11]].mean(1), openpose[:, 1]
    head = openpose[:, 0] - neck
    own = {
        "Human3.6M 17": {0: middle, 7: (middle + neck) / 2, 8: neck, 10: neck + 1.7 * head},
        "MPI-INF-3DHP 17": {0: neck + 1.7 * head, 14: middle, 15: (middle + neck) / 2},
        "PoseTrack 17": {1: neck + 0.2 * head, 2: neck + 1.7 * head},
        "Panoptic 19": {2: middle},
        "BODY_19": {8: middle},
        "BODY_25": {8: middle},
        "BODY_25B": {17: neck, 18: neck + 1.7 * head},
        "Kinect 20": {0: middle, 1: (middle + neck) / 2, 2: neck},
        "Kinect 25": {0: middle, 1: (middle + neck) / 2, 2: neck, 20: neck},
        "SMPL 24": {0: middle, 3: middle, 6: (middle + neck) / 2, 9: neck, 12: neck},
    }
    for keypoint, place in own.get(layout.name, {}).items():
        xy[:, keypoint] = place
    # What is left are hands and collars, which lie at the joint next to them.
    pairs = dict(layout.bones) | {b: a for a, b in layout.bones}
    for keypoint in np.flatnonzero(np.isnan(xy[0, :, 0])):
        xy[:, keypoint] = xy[:, pairs.get(int(keypoint), 5)]
    seen = np.ones((frames, layout.keypoints, 1))
    return np.concatenate([200 * xy + rng.normal(0, 0.5, xy.shape), seen], -1)


def usual_of(count):
    return [layout for layout in layouts_of(count) if layout not in RIVALS]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("layout", RIVALS, ids=lambda layout: layout.name)
def test_rivals_are_told_from_the_usual_layout(layout, body):
    for seed in range(2):
        points = bodies_of(layout, body, seed)
        assert told_apart(usual_of(layout.keypoints), points) == layout


USUAL = [one for one in FILE_LAYOUTS if one.bones]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("layout", USUAL, ids=lambda layout: layout.name)
def test_the_usual_layout_stays(layout, body):
    for seed in range(4):
        points = bodies_of(layout, body, seed)
        assert told_apart(usual_of(layout.keypoints), points) is None
        half = points.copy()
        half[:, [i for i in range(layout.keypoints) if i % 4 == seed % 4], 2] = 0
        assert told_apart(usual_of(layout.keypoints), half) is None


def animals(step=0.0):
    """Return (1, 17, 3) of a horse from the side, in the order of AP-10K."""
    legs = [
        ((x, 58), (x + swing, 75), (x + 2 * swing, 95))
        for x, swing in ((28, 4 + step), (31, -5 - step), (80, -6 + step), (84, 3 - step))
    ]
    xy = [(12, 22), (14, 22), (5, 33), (30, 40), (88, 42), *(p for leg in legs for p in leg)]
    return np.array([[(*point, 1.0) for point in xy]])


@pytest.mark.parametrize("step", [-4, 0, 4])
def test_animals_are_no_people(step):
    usual = usual_of(17)
    assert told_apart(usual, animals(step)) is ANIMALS_17
    for layout in (COCO_17, *(one for one in RIVALS if one.keypoints == 17)):
        for seed in range(3):
            figure = bodies_of(layout, BODIES["adult"], seed)
            assert told_apart(usual, figure) is not ANIMALS_17


def test_legs_and_shoulders_alone_are_not_told_apart():
    points = bodies_of(COCO_17, BODIES["adult"])
    points[:, [*range(5), *range(7, 11)], 2] = 0
    assert told_apart([COCO_17], points) is None


def test_every_rival_has_a_usual_layout_beside_it():
    for rival in RIVALS:
        usual = usual_of(rival.keypoints)
        assert all(layout.bones for layout in usual)
        assert layouts_of(rival.keypoints)[0] == usual[0]
        assert rival.bones or rival == POSETRACK_17


@pytest.mark.parametrize("layout", [*USUAL, *RIVALS], ids=lambda layout: layout.name)
def test_bones_are_a_tree(layout):
    groups = [{keypoint} for keypoint in {i for pair in layout.bones for i in pair}]
    for a, b in layout.bones:
        first, second = (next(group for group in groups if i in group) for i in (a, b))
        assert first is not second
        groups.remove(second)
        first |= second
    assert len(groups) == bool(layout.bones)


def test_the_shortest_tree_is_found():
    # A cross: its middle and four ends at 1; and one of 2 to 1 of which an end is not seen.
    ends = np.array([[0, 0, 1], [1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1]], float)
    star, ring = ((0, 1), (0, 2), (0, 3), (0, 4)), ((0, 1), (1, 2), (2, 3), (3, 4))
    assert stretch(ends[None], star).tolist() == [1]
    assert stretch(ends[None], ring) == pytest.approx([(1 + 2 + 2**0.5 + 2) / 4])
    ends[4, 2] = 0
    assert np.isnan(stretch(ends[None], star)).all()


def test_points_on_a_line_are_no_body():
    line = np.column_stack([np.arange(18.0), np.arange(18.0) + 5, np.ones(18)])
    assert np.isnan(stretch(line[None], BODY_EDGES)).all()
    assert told_apart([OPENPOSE_18], line[None]) is None


def test_bones_of_keypoints_that_do_not_exist_raise():
    with pytest.raises(ConfigError, match="bones of odd got keypoints 0 to 18; there are 18"):
        Layout(name="odd", keypoints=18, body=range(18), bones=((0, 18),))


def test_joints_of_rivals_lie_where_their_names_say():
    for layout in RIVALS:
        points = bodies_of(layout, BODIES["adult"], frames=1)
        clip = layout.to_clip(Size(1, 1), points[None, ..., :2], points[None, ..., 2])
        truth = bodies_of(BODY_25, BODIES["adult"], frames=1)[0, [*range(8), *range(9, 15)]]
        off = np.linalg.norm(clip.body.xy[0, 0, :14] - truth[:, :2], axis=-1)
        assert dict(zip(BODY_JOINTS, off, strict=False))["neck"] < 4
        assert off.max() < 6
