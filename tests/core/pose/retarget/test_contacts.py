"""Hands that touch head, hips or each other in the driver do so in the result."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone.drawn.motions import make_motion
from animate_anyone.pose.retarget import contacts as contacts_of_module
from animate_anyone.pose.retarget.contacts import FADE_FRAMES, reach
from animate_anyone.pose.retarget.retarget import RetargetConfig, RetargetReport, retarget
from animate_anyone.types import PoseClip
from benchmarks.retarget import ALL, chibi, unusual
from benchmarks.skeletons import NEUTRAL, WALL, WALL_VIEW, film, make_body, perform, reshape

FRAMES, HELD = 40, 20  # the hand arrives in frame 16 and leaves in frame 24
ON = RetargetConfig(contacts=True)
FINGERTIP = 12
HEAD = [0, 14, 15, 16, 17]
RIGHT, LEFT = (2, 3, 4), (5, 6, 7)
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 9999)


def in_picture(body, angles) -> PoseClip:
    return film(body, angles, WALL_VIEW, canvas=WALL)


def lengths(clip: PoseClip, arm: tuple[int, int, int]) -> np.ndarray:  # (f, 2)
    return np.linalg.norm(np.diff(clip.body.xy[:, 0, list(arm)], axis=1), axis=-1)


def with_touch(clip: PoseClip, goals: dict[str, np.ndarray], raised: bool) -> PoseClip:
    """Let fingertips go to these goals, (2,) pixels, and come back; `raised` turns the hand up."""
    time = np.arange(FRAMES)
    share = np.clip((time - 8) / 8, 0, 1) * np.clip((32 - time) / 8, 0, 1)
    share = (share**2 * (3 - 2 * share))[:, None]
    xy, hands = clip.body.xy.copy(), {}
    for name, goal in goals.items():
        arm = RIGHT if name == "right_hand" else LEFT
        points = getattr(clip, name)
        shoulder, elbow, wrist = xy[:, 0, list(arm)].swapaxes(0, 1)
        offsets = points.xy[:, 0] - wrist[:, None]
        turned = offsets * (1, -1 if raised else 1)
        goal = wrist + share * (goal - turned[:, FINGERTIP] - wrist)
        xy[:, 0, arm[1]], xy[:, 0, arm[2]] = reach(shoulder, elbow, wrist, goal)
        offsets += share[..., None] * (turned - offsets)
        moved = points.xy.copy()
        moved[:, 0] = xy[:, 0, arm[2], None] + offsets
        hands[name] = replace(points, xy=moved)
    return replace(clip, body=replace(clip.body, xy=xy), **hands)


def standing(seed: int) -> tuple[PoseClip, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return in_picture(reshape(make_body(rng), head=0.8), [NEUTRAL] * FRAMES), rng


def hand_to_face(seed: int, place: tuple[float, float]) -> PoseClip:
    """Return a clip in which the right hand touches the face; the place is in half ear widths."""
    clip, _ = standing(seed)
    ears = clip.body.xy[0, 0, [16, 17]]
    goal = clip.body.xy[0, 0, 0] + np.array(place) * abs(ears[0, 0] - ears[1, 0]) / 2
    return with_touch(clip, {"right_hand": goal}, raised=True)


def torso_of(clip: PoseClip) -> float:
    body = clip.body.xy[0, 0]
    return float(np.linalg.norm(body[1] - body[[8, 11]].mean(0)))


def face_gap(driver: PoseClip, result: PoseClip, report: RetargetReport) -> float:
    """Return how far the touching points lie from their place on the scaled face, in torsos."""
    body, hand = driver.body.xy[HELD, 0], driver.right_hand.xy[HELD, 0]
    radius = 0.6 * np.linalg.norm(body[16] - body[17])
    apart = np.maximum(np.linalg.norm(hand - body[HEAD].mean(0), axis=-1) - radius, 0)
    touching = apart <= apart.min() + 1
    head = next(bone.ratio for bone in report.bones if bone.bone == "head")
    goal = result.body.xy[HELD, 0, 0] + head * (hand[touching].mean(0) - body[0])
    gap = result.right_hand.xy[HELD, 0][touching].mean(0) - goal
    return float(np.linalg.norm(gap)) / torso_of(result)


def chibi_gaps(config: RetargetConfig) -> list[float]:
    gaps = []
    for seed, place in ((0, (-0.85, 0.3)), (1, (-0.6, 0.6)), (2, (-0.3, 0.2)), (3, (0, 0.7))):
        driver = hand_to_face(seed, place)
        other = chibi(make_body(np.random.default_rng(seed + 50)))
        gaps.append(face_gap(driver, *retarget(driver, in_picture(other, [NEUTRAL]), config)))
    return gaps


def test_a_chibi_figure_touches_its_face_where_the_driver_does():
    assert np.max(chibi_gaps(ON)) <= 0.1
    assert np.mean(chibi_gaps(RetargetConfig())) >= 0.3


def test_the_report_names_each_touch():
    driver = hand_to_face(0, (-0.85, 0.3))
    reference = in_picture(make_body(np.random.default_rng(5)), [NEUTRAL])
    report = retarget(driver, reference, ON)[1]
    (contact,) = report.contacts

    assert contact.name == "right hand on head"
    assert contact.missed == 0
    assert f"touch kept: right hand on head in {contact.frames} frames" in report.text()
    assert report.data()["contacts"] == {"right hand on head": [contact.frames, 0]}
    assert retarget(driver, reference)[1].contacts == ()


def test_a_hand_on_the_hip_stays_on_a_wider_hip():
    clip, rng = standing(3)
    hip = clip.body.xy[0, 0, 8]
    driver = with_touch(clip, {"right_hand": hip}, raised=False)
    body = make_body(rng)
    wide = replace(body, hips=body.hips * 1.6, torso=body.torso * 0.8)
    off, _ = retarget(driver, in_picture(wide, [NEUTRAL]))
    on, report = retarget(driver, in_picture(wide, [NEUTRAL]), ON)

    def gap(result: PoseClip) -> float:
        tip = result.right_hand.xy[HELD, 0, FINGERTIP]
        return float(np.linalg.norm(tip - result.body.xy[HELD, 0, 8])) / torso_of(result)

    assert "right hand on hips" in {contact.name for contact in report.contacts}
    assert gap(on) <= 0.1 < gap(off)


def test_hands_that_meet_meet_again_with_other_shoulders():
    clip, rng = standing(3)
    body = clip.body.xy[0, 0]
    chest = body[1] + 0.4 * (body[[8, 11]].mean(0) - body[1])
    goals = {"right_hand": chest, "left_hand": chest}
    driver = with_touch(clip, goals, raised=True)
    other = make_body(rng)
    other = replace(other, shoulders=other.shoulders * 1.4)
    off, _ = retarget(driver, in_picture(other, [NEUTRAL]))
    on, _ = retarget(driver, in_picture(other, [NEUTRAL]), ON)

    def gap(result: PoseClip) -> float:
        tips = [getattr(result, hand).xy[HELD, 0, FINGERTIP] for hand in goals]
        return float(np.linalg.norm(tips[0] - tips[1])) / torso_of(result)

    assert gap(driver) < 1e-6
    assert gap(on) <= 0.1 < gap(off)


@few
@given(seeds)
def test_nothing_moves_where_nothing_touches(seed):
    rng = np.random.default_rng(seed)
    apart = {**NEUTRAL, "right_arm": 1.5, "left_arm": 1.4}
    driver = in_picture(make_body(rng), [apart, {**apart, "right_arm": rng.uniform(1, 1.8)}])
    reference = in_picture(unusual(make_body(rng), ALL, rng), [NEUTRAL])
    off, on = retarget(driver, reference)[0], retarget(driver, reference, ON)[0]

    for part in ("body", "right_hand", "left_hand", "face", "feet"):
        assert np.array_equal(getattr(off, part).xy, getattr(on, part).xy)


@few
@given(seeds)
def test_bones_keep_their_length_and_only_arms_and_hands_move(seed):
    rng = np.random.default_rng(seed)
    driver = in_picture(make_body(rng), perform(make_motion(rng), 12))
    reference = in_picture(unusual(make_body(rng), ALL, rng), [NEUTRAL])
    off, on = retarget(driver, reference)[0], retarget(driver, reference, ON)[0]
    others = [0, 1, 2, 5, *range(8, 18)]

    assert np.isfinite(on.body.xy).all()
    assert np.array_equal(on.body.xy[:, :, others], off.body.xy[:, :, others])
    both = [lengths(off, arm) for arm in (RIGHT, LEFT)]
    longest = np.percentile(np.concatenate(both), 90, axis=0)
    for arm, before in zip((RIGHT, LEFT), both, strict=True):
        assert (lengths(on, arm) <= np.maximum(before, longest) + 1e-6).all()
    for hand, wrist in (("right_hand", 4), ("left_hand", 7)):
        shapes = [
            getattr(clip, hand).xy[:, 0] - clip.body.xy[:, 0, wrist, None] for clip in (off, on)
        ]
        np.testing.assert_allclose(shapes[0], shapes[1], atol=1e-6)


@few
@given(seeds, st.floats(-1, 0.9), st.floats(-0.3, 0.9))
def test_a_touch_makes_no_jump(seed, x, y):
    driver = hand_to_face(seed, (x, y))
    rng = np.random.default_rng(seed)
    reference = in_picture(chibi(make_body(rng)), [NEUTRAL])
    off, on = retarget(driver, reference)[0], retarget(driver, reference, ON)
    on, report = on
    largest = max(bone.ratio for bone in report.bones)

    def step(clip: PoseClip) -> float:
        return float(np.linalg.norm(np.diff(clip.body.xy[:, 0, 4], axis=0), axis=-1).max())

    assert step(on) <= max(step(off), largest * step(driver)) + 0.2 * torso_of(on)


@few
@given(seeds, st.integers(0, FRAMES - 1))
def test_a_reference_from_the_driver_changes_nothing(seed, frame):
    driver = hand_to_face(seed, (-0.6, 0.3))
    parts = ("body", "right_hand", "left_hand", "face", "feet")
    one = slice(frame, frame + 1)
    points = {name: getattr(driver, name) for name in parts}
    reference = replace(
        driver,
        **{
            name: replace(part, xy=part.xy[one], confidence=part.confidence[one])
            for name, part in points.items()
        },
    )
    result = retarget(driver, reference, ON)[0]

    for name in parts:
        np.testing.assert_allclose(getattr(result, name).xy, points[name].xy, atol=1e-6)


def test_a_mode_that_only_fits_the_canvas_says_that_contacts_have_no_effect():
    driver = hand_to_face(0, (-0.6, 0.3))
    result, report = retarget(driver, driver, replace(ON, mode="none"))

    assert np.array_equal(result.body.xy, driver.body.xy)
    assert "contacts have no effect" in report.warnings[0]


arms = st.tuples(*[st.floats(-100, 100)] * 6)


@few
@given(arms, st.floats(0.05, 0.95), st.floats(-3, 3))
def test_a_goal_within_reach_is_reached_with_the_same_lengths(points, share, angle):
    shoulder, elbow, wrist = np.array(points).reshape(3, 1, 2)
    upper, fore = (np.linalg.norm(b - a) for a, b in ((shoulder, elbow), (elbow, wrist)))
    near, far = abs(upper - fore), upper + fore
    goal = shoulder + (near + share * (far - near)) * np.array([[np.cos(angle), np.sin(angle)]])
    bent, end = reach(shoulder, elbow, wrist, goal)

    np.testing.assert_allclose(end, goal, atol=1e-6)
    assert np.linalg.norm(bent - shoulder) == pytest.approx(upper, abs=1e-6)
    assert np.linalg.norm(end - bent) == pytest.approx(fore, abs=1e-6)


def test_a_goal_out_of_reach_is_approached_with_a_straight_arm():
    shoulder, elbow, wrist = np.array([[[0.0, 0]], [[3.0, 0]], [[3.0, 2]]])
    bent, end = reach(shoulder, elbow, wrist, np.array([[0.0, 9]]))
    np.testing.assert_allclose([bent[0], end[0]], [(0, 3), (0, 5)], atol=1e-9)

    bent, end = reach(shoulder, elbow, wrist, np.array([[0.0, 9]]), longest=(6.0, 6.0))
    np.testing.assert_allclose(end[0], (0, 9), atol=1e-9)  # it pointed at the viewer a little


def test_the_elbow_of_a_touching_arm_does_not_jump_to_the_other_side():
    """The driver's arm is nearly straight and wavers; the short way to the goal bends it."""
    frames = 9
    sway = np.array([0.1, 0.1, 0.1, -0.1, 0.1, -0.1, -0.1, 0.1, 0.1])
    shoulder, wrist = np.zeros((frames, 2)), np.tile([6.0, 0], (frames, 1))
    elbow = np.stack([np.full(frames, 3.0), sway], -1)
    weight = np.array([0, 0.5, 1, 1, 1, 1, 1, 0.5, 0])
    goal = wrist * (1 - 0.5 * weight[:, None])
    jumping, _ = reach(shoulder, elbow, wrist, goal)
    steady, end = reach(shoulder, elbow, wrist, goal, weight=weight)

    assert np.ptp(np.sign(jumping[:, 1])) == 2
    assert (steady[:, 1] > 0).all()
    np.testing.assert_allclose(end, goal, atol=1e-9)
    np.testing.assert_allclose(steady[[0, -1]], elbow[[0, -1]], atol=1e-9)


def test_a_touch_comes_and_goes_over_some_frames():
    driver = hand_to_face(0, (-0.85, 0.3))
    reference = in_picture(chibi(make_body(np.random.default_rng(50))), [NEUTRAL])
    off, (on, report) = retarget(driver, reference)[0], retarget(driver, reference, ON)
    moved = np.linalg.norm(on.body.xy[:, 0, 4] - off.body.xy[:, 0, 4], axis=-1) > 1e-6
    (contact,) = report.contacts
    assert contact.frames + FADE_FRAMES <= moved.sum() <= contact.frames + 2 * FADE_FRAMES + 8


def test_the_report_says_where_the_arm_is_too_short():
    body = make_body(np.random.default_rng(5))
    short = replace(body, upper_arm=0.1 * body.upper_arm, forearm=0.1 * body.forearm)
    report = retarget(hand_to_face(0, (-0.85, 0.3)), in_picture(short, [NEUTRAL]), ON)[1]
    (contact,) = report.contacts
    assert 0 < contact.missed <= contact.frames
    assert f"too far away in {contact.missed}" in report.text()


def test_a_hand_that_is_not_seen_touches_nothing_in_these_frames():
    clip, rng = standing(3)
    body = clip.body.xy[0, 0]
    chest = body[1] + 0.4 * (body[[8, 11]].mean(0) - body[1])
    driver = with_touch(clip, {"right_hand": chest, "left_hand": chest}, raised=True)
    confidence = driver.body.confidence.copy()
    confidence[18:23, 0, LEFT[2]] = 0
    hidden = replace(driver, body=replace(driver.body, confidence=confidence))
    reference = in_picture(make_body(rng), [NEUTRAL])
    seen, less = (retarget(each, reference, ON)[1].contacts for each in (driver, hidden))
    for name in ("right hand at the other hand", "left hand at the other hand"):
        frames = [{c.name: c.frames for c in contacts}[name] for contacts in (seen, less)]
        assert frames[0] - frames[1] == 5


@pytest.mark.parametrize("bent", [False, True])
def test_an_arm_that_hangs_down_beside_the_hip_does_not_touch_it(bent):
    clip, rng = standing(3)
    xy = clip.body.xy.copy()
    hip, shoulder = xy[:, 0, 8], xy[:, 0, RIGHT[0]]
    moved = hip + (hip - xy[:, 0, 11]) * 0.2 - xy[:, 0, RIGHT[2]]
    xy[:, 0, RIGHT[2]] += moved
    hand = replace(clip.right_hand, xy=clip.right_hand.xy + moved[:, None, None])
    aside = np.array([-0.5 * torso_of(clip), 0.0]) if bent else 0.0
    xy[:, 0, RIGHT[1]] = (shoulder + xy[:, 0, RIGHT[2]]) / 2 + aside
    driver = replace(clip, body=replace(clip.body, xy=xy), right_hand=hand)
    contacts = retarget(driver, in_picture(make_body(rng), [NEUTRAL]), ON)[1].contacts
    assert ("right hand on hips" in {contact.name for contact in contacts}) == bent


def test_touching_arms_are_moved_by_weight_and_may_turn_into_the_picture(monkeypatch):
    """The two tests of `reach` above hold for whole clips only if it is given these."""
    given_to, plain = [], contacts_of_module.reach

    def noted(*points, **more):
        given_to.append((points, more))
        return plain(*points, **more)

    monkeypatch.setattr(contacts_of_module, "reach", noted)
    reference = in_picture(chibi(make_body(np.random.default_rng(50))), [NEUTRAL])
    retarget(hand_to_face(0, (-0.85, 0.3)), reference, ON)
    ((*_, longest, weight), _), *_ = given_to
    assert min(longest) > 0
    assert (weight[0], weight[HELD], weight[-1]) == pytest.approx((0, 1, 0), abs=0.01)


def test_a_driver_without_seen_arms_is_left_alone():
    clip, _ = standing(3)
    hidden = clip.body.confidence.copy()
    hidden[:, :, [3, 4, 6, 7]] = 0
    driver = replace(clip, body=replace(clip.body, confidence=hidden))
    reference = in_picture(make_body(np.random.default_rng(5)), [NEUTRAL])

    assert np.array_equal(
        retarget(driver, reference)[0].body.xy, retarget(driver, reference, ON)[0].body.xy
    )
