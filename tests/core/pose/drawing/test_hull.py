import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.drawing.hull import PoseMask
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

CANVAS = Size(100, 100)


def person():
    xy = np.full((2, 1, 18, 2), 50.0)
    places = {0: (50, 15), 1: (50, 25), 2: (40, 25), 5: (60, 25), 8: (45, 55), 11: (55, 55)}
    places |= {3: (25, 25), 4: (10, 25), 9: (45, 70), 10: (45, 90), 12: (55, 70), 13: (55, 90)}
    places |= {6: (70, 35), 7: (70, 50)}
    for joint, place in places.items():
        xy[0, 0, joint] = place
    confidence = np.ones((2, 1, 18))
    confidence[:, :, 14:], confidence[1] = 0, 0
    return body_clip(CANVAS, xy, confidence)


def test_hulls_margin_and_edge():
    mask = PoseMask(margin=0.05, feather=0.1).of(person(), CANVAS)
    assert mask.shape == (2, 100, 100)
    assert mask.dtype == np.uint8
    assert not mask[1].any()  # nobody is seen
    one = mask[0]
    assert one[25, 10] == one[40, 50] == one[15, 50] == 255  # wrist, trunk, nose
    assert one[29, 20] == 255  # within the margin of an arm
    assert 0 < one[33, 20] < 255  # in the soft edge
    assert one[45, 20] == one[80, 20] == 0  # below the arm, beside the legs
    steps = np.diff(one[25:50, 20].astype(int))
    assert (steps <= 0).all()


def test_masks_follow_the_size_of_the_frame():
    small, large = (PoseMask().of_frame(person(), 0, size) for size in (CANVAS, Size(400, 200)))
    assert large.shape == (200, 400)
    assert abs((large[:, 100:300][::2, ::2] > 127).mean() - (small > 127).mean()) < 0.02
    assert not large[:, :90].any()


def test_drawn_skeletons_give_nearly_the_mask_of_their_keypoints():
    exact = PoseMask().of_frame(person(), 0, CANVAS)
    drawn = PoseMask().of_drawing(draw_pose(person(), CANVAS)[0])
    assert ((exact > 0) & (drawn > 0)).sum() > 0.9 * (exact > 0).sum()
    assert not PoseMask().of_drawing(np.zeros((8, 8, 3), np.uint8)).any()


def test_no_feather_is_a_hard_edge_and_wrong_values_are_refused():
    hard = PoseMask(feather=0.0).of_frame(person(), 0, CANVAS)
    assert set(np.unique(hard)) == {0, 255}
    with pytest.raises(InputError, match=r"mask margin got -0.1; it is a share .* Choose 0.1"):
        PoseMask(margin=-0.1)
    with pytest.raises(InputError, match=r"mask feather got nan"):
        PoseMask(feather=float("nan"))
