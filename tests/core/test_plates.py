"""Backgrounds without anybody in them, and characters on another background."""

import numpy as np
import pytest

from animate_anyone.animate.plates import clean_plate, figure_in, person_in, set_on
from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import skeletons_of
from animate_anyone.drawn.motions import make_motion
from animate_anyone.drawn.painting import paint
from animate_anyone.errors import InputError
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

SIZE = Size(128, 128)


@pytest.fixture(scope="module")
def figures():
    """Return pictures of characters, each with its silhouette and its pose."""
    result = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        painting = paint(make_character(rng, close_up=False), make_motion(rng).angles(0.0), SIZE)
        pose = skeletons_of([painting], SIZE)
        result.append((painting.picture, painting.mask > 127, pose))
    return result


def test_outlines_are_those_of_the_figures(figures):
    shares = []
    for picture, truth, pose in figures:
        found = figure_in(picture, pose) > 127
        shares.append((found & truth).sum() / (found | truth).sum())
        assert np.array_equal(figure_in(picture, pose) > 127, found)
    assert np.mean(shares) > 0.85


def test_a_plate_is_unchanged_outside_and_shows_nothing_of_the_figure(figures):
    for picture, truth, pose in figures:
        person = person_in(picture, pose)
        assert (person[truth] > 0).mean() > 0.99
        plate = clean_plate(picture, person)
        assert np.array_equal(plate.picture[person == 0], picture[person == 0])
        assert plate.share == pytest.approx((person > 0).mean())
        assert f"{plate.share:.1%}" in plate.text()
        # What was filled has no colour that the background has not.
        outside = picture[person == 0].astype(int)
        low, high = outside.min(0), outside.max(0)
        filled = plate.picture[person > 0].astype(int)
        assert ((filled >= low - 3) & (filled <= high + 3)).all()


def test_a_figure_stands_on_another_background():
    picture, plate = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8, 3), 20, np.uint8)
    figure = np.zeros((8, 8), np.uint8)
    figure[:, 4:] = 255
    result = set_on(picture, figure, plate)
    assert (result[:, :4] == 20).all()
    assert (result[:, 4:] == 200).all()


def test_nothing_to_fill_or_to_cut_out_is_told():
    picture = np.full((32, 32, 3), 90, np.uint8)
    empty = clean_plate(picture, np.zeros((32, 32), np.uint8))
    assert empty.share == 0
    assert "the mask of the person is empty" in empty.text()
    with pytest.raises(InputError, match="got the whole picture, so nothing is left"):
        clean_plate(picture, np.full((32, 32), 1, np.uint8))
    nobody = body_clip(Size(32, 32), np.full((1, 1, 18, 2), np.nan))
    with pytest.raises(InputError, match="reference 2 got a picture in which nobody was found"):
        figure_in(picture, nobody, "reference 2")
