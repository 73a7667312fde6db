import numpy as np
import pytest

from animate_anyone.fitting import placement
from animate_anyone.pose.skeleton.joints import (
    BODY_EDGES,
    BODY_JOINTS,
    HAND_COLOURS,
    HAND_EDGES,
    PART_JOINTS,
    body_clip,
    empty_points,
)
from animate_anyone.types import Size


def test_limbs_join_all_18_joints_to_one_tree() -> None:
    reached = {1}
    for _ in BODY_EDGES:
        reached |= {end for start, end in BODY_EDGES if start in reached}

    assert reached == set(range(18))
    assert len(BODY_EDGES) == 18 - 1


def test_limbs_do_not_cross_from_one_side_to_the_other() -> None:
    for start, end in BODY_EDGES:
        sides = {BODY_JOINTS[joint].split("_")[0] for joint in (start, end)}
        assert len(sides & {"left", "right"}) <= 1


def test_fingers_are_five_chains_from_the_wrist() -> None:
    assert HAND_EDGES[:5] == ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5))
    assert HAND_EDGES[-4:] == ((0, 17), (17, 18), (18, 19), (19, 20))


def test_hand_colours_go_once_around_the_hue_circle() -> None:
    for index, colour in enumerate(HAND_COLOURS):
        hue = 6 * index / 20
        expected = [
            255 * min(max(value, 0), 1)
            for value in (abs(hue - 3) - 1, 2 - abs(hue - 2), 2 - abs(hue - 4))
        ]
        assert np.abs(np.subtract(colour, expected)).max() < 1


def test_a_clip_of_bodies_has_every_other_part_missing() -> None:
    clip = body_clip(Size(64, 64), np.full((2, 3, 18, 2), 5.0))

    assert len(clip) == 2
    assert clip.body.confidence.all()
    for part, joints in PART_JOINTS.items():
        points = getattr(clip, part)
        assert points.xy.shape == (2, 3, joints, 2)
        assert points.flags is None
        assert points.confidence.any() == (part == "body")


def test_empty_points_are_missing() -> None:
    assert not empty_points(2, 0, 6).confidence.any()
    assert empty_points(2, 0, 6).xy.shape == (2, 0, 6, 2)


@pytest.mark.parametrize(
    ("canvas", "size", "expected"),
    [
        (Size(512, 512), Size(512, 512), (1, 0, 0)),
        (Size(1080, 1920), Size(540, 960), (0.5, 0, 0)),
        (Size(100, 100), Size(200, 300), (2, 0, 50)),
        (Size(100, 50), Size(100, 100), (1, 0, 25)),
        (Size(50, 100), Size(400, 200), (2, 150, 0)),
    ],
    ids=["same", "half", "taller", "wide into square", "tall into wide"],
)
def test_the_canvas_is_scaled_evenly_and_centred(
    canvas: Size, size: Size, expected: tuple[float, float, float]
) -> None:
    assert placement(canvas, size) == expected
