"""Kinds of characters and their sides; what earlier seeds draw stays as it was."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone.drawn.characters import Sides, make_character
from animate_anyone.drawn.details import details_of
from animate_anyone.drawn.heads import HEADS
from animate_anyone.drawn.kinds import KINDS, make_kind
from animate_anyone.drawn.motions import (
    DEGREES_OF_FREEDOM,
    joints_of,
    make_motion,
    seen_from,
    turning,
)
from animate_anyone.drawn.painting import background_of, paint
from animate_anyone.evaluation.held_out import held_out_pair
from animate_anyone.types import Size

SIZE = Size(128, 128)
REST = dict.fromkeys(DEGREES_OF_FREEDOM, 0.0)
RED, GREEN, BLUE, WHITE = (250, 0, 0), (0, 250, 0), (0, 0, 250), (251, 251, 251)


def _count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(2).sum())


def _sided(**changes: object):
    plain = Sides(
        back=BLUE, back_second=WHITE, back_pattern="plain", back_scale=1.0, bag=None,
        badge=None, badge_side=1, band=None, band_side=1,
    )  # fmt: skip
    character = make_kind(np.random.default_rng(0), "full")
    return replace(
        character, top=GREEN, pattern="plain", sides=replace(plain, **changes), eyes=(9, 8, 7)
    )


def test_the_held_out_characters_of_earlier_versions_are_still_the_same():
    pair = held_out_pair(0, frames=2)
    expected = [[62.06, 24.06], [62.08, 24.04]]  # noses
    assert np.allclose(pair.skeletons.body.xy[:, 0, 0], expected, atol=0.01)
    assert pair.skeletons.body.confidence.sum() == 36
    hands = pair.skeletons.left_hand.xy[0, 0, [0, 12]]
    assert np.allclose(hands, [[85.56, 70.19], [86.09, 75.25]], atol=0.01)
    character = make_character(np.random.default_rng(3))
    assert (character.hair_style, character.pattern, character.head) == ("hat", "columns", "person")
    assert character.sides is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_painted_on_its_skeleton_from_all_directions(kind: str):
    rng = np.random.default_rng(1)
    character, motion = make_kind(rng, kind, sides=True), make_motion(rng)
    assert make_kind(np.random.default_rng(1), kind, sides=True) == character
    for yaw in np.linspace(0, 2 * np.pi, 7):
        painting = paint(character, motion.angles(3) | {"yaw": yaw}, SIZE)
        changed = (painting.picture != background_of(character, SIZE)).any(2)
        assert not (changed & (painting.mask == 0)).any()
        x, y = painting.joints[painting.visible].astype(int).T
        assert (painting.mask[y, x] > 0).all()


def test_kinds_differ_in_framing_and_proportions():
    full, half, cartoon, humanoid = (
        [make_kind(np.random.default_rng(seed), kind) for seed in range(12)] for kind in KINDS
    )
    assert all(one.height < 0.9 for one in full)
    assert all(not paint(one, REST, SIZE).visible[[9, 12]].any() for one in half)
    assert all(paint(one, REST, SIZE).visible[[0, 1, 2, 5]].all() for one in half)
    assert all(one.body.head > 0.15 for one in cartoon)
    assert {one.head for one in humanoid} <= HEADS.keys() - {"person", "cartoon"}
    assert len({one.head for one in humanoid}) == 4


def test_a_back_shows_its_own_colour_and_no_face():
    character = _sided()
    front, back = (paint(character, REST | {"yaw": yaw}, SIZE) for yaw in (0.0, np.pi))
    assert _count(front.picture, GREEN) > 100
    assert _count(front.picture, BLUE) == 0
    assert _count(back.picture, BLUE) > 100
    assert _count(back.picture, GREEN) < _count(front.picture, GREEN) - 100  # sleeves may stay
    assert _count(front.picture, character.eyes) > 0
    assert _count(back.picture, character.eyes) == 0
    assert not back.details["face"].visible.any()
    assert not back.visible[[0, 14, 15]].any()
    assert front.joints[2, 0] < front.joints[5, 0]
    assert back.joints[2, 0] > back.joints[5, 0]


def test_bags_are_seen_from_behind_and_badges_on_their_own_side():
    bag = _sided(bag=RED)
    front, back = (paint(bag, REST | {"yaw": yaw}, SIZE).picture for yaw in (0.0, np.pi))
    assert _count(back, RED) > 50 > _count(front, RED)
    for side in (-1, 1):
        picture = paint(_sided(badge=RED, badge_side=side), REST, SIZE)
        columns = np.nonzero((picture.picture == RED).all(2))[1]
        assert np.sign(columns.mean() - picture.joints[1, 0]) == side


def test_thumbs_and_feet_turn_with_the_body():
    body = make_character(np.random.default_rng(2)).body
    for yaw, sign in ((0.0, 1), (np.pi, -1)):
        angles = REST | {"yaw": yaw}
        xyz, _ = joints_of(body, angles)
        parts = details_of(body, angles, xyz)
        hand, feet = parts["left_hand"].xy, parts["feet"].xy
        assert np.sign(hand[0, 0] - hand[4, 0]) == sign  # from the front, thumbs point inwards
        assert np.sign(feet[0, 0] - xyz[13, 0]) == sign


def test_motions_that_turn_are_smooth_and_leave_the_others_alone():
    for seed in range(8):
        motion = make_motion(np.random.default_rng(seed))
        body = make_character(np.random.default_rng(seed)).body
        rng = np.random.default_rng(seed)
        around, behind = turning(motion, rng), seen_from(motion, np.pi, rng)
        xyz = np.stack([joints_of(body, around.angles(frame))[0] for frame in range(48)])
        assert np.abs(np.diff(xyz, axis=0)).max() < 0.25
        assert all(np.cos(behind.angles(frame)["yaw"]) < -0.9 for frame in range(0, 60, 9))
        before, after = motion.angles(7), around.angles(7)
        assert {name for name in before if before[name] != after[name]} == {"yaw"}
