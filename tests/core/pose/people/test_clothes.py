import numpy as np
import pytest

from animate_anyone.pose.networks.detector import Boxes
from animate_anyone.pose.people.between import People
from animate_anyone.pose.people.clothes import torso_colours
from animate_anyone.pose.skeleton.layouts import WHOLEBODY

SHOULDERS, HIPS = (5, 6), (11, 12)  # of COCO
RED_LAB = (53.2, 80.1, 67.2)


def people(*, hips: bool = True, x: float = 40.0) -> People:
    xy, scores = np.zeros((1, 133, 2)), np.zeros((1, 133))
    for (left, right), y, seen in ((SHOULDERS, 20, True), (HIPS, 60, hips)):
        xy[0, left], xy[0, right] = (x + 15, y), (x - 15, y)
        scores[0, [left, right]] = 0.9 if seen else 0.1
    return People(Boxes(np.zeros((1, 4)), np.ones(1)), xy, scores, WHOLEBODY)


def picture() -> np.ndarray:
    frame = np.full((90, 80, 3), 200, np.uint8)
    frame[20:60, 25:55] = (255, 0, 0)
    return frame


@pytest.mark.parametrize("hips", [True, False])
def test_the_colour_is_that_of_the_torso(hips: bool) -> None:
    assert torso_colours(picture(), people(hips=hips))[0] == pytest.approx(RED_LAB, abs=0.5)


def test_no_colour_without_shoulders_or_outside_of_the_picture() -> None:
    unseen = people()
    unseen.scores[0, list(SHOULDERS)] = 0.1

    assert np.isnan(torso_colours(picture(), unseen)).all()
    assert np.isnan(torso_colours(picture(), people(x=200))).all()
    assert np.isnan(torso_colours(picture(), people(x=-1e9))).all()
