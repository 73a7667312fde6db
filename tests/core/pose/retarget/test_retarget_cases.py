"""Retargeting of constructed cases: missing people, unusual bodies, and known results."""

import json
from dataclasses import replace

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.retarget.retarget import RetargetConfig, retarget
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Flag, Points, PoseClip, Size
from benchmarks.retarget import SCENARIOS, hide, mean_errors
from benchmarks.skeletons import NEUTRAL, REFERENCE_VIEW, film, make_body, reshape

CANVAS = Size(512, 768)
BODY = make_body(np.random.default_rng(3))
STANDING = film(BODY, [NEUTRAL] * 3, REFERENCE_VIEW)
# Largest mean error over torso lengths, over few pairs.
LIMITS = {
    "identity, any frame of the driver": 1e-9,
    "other proportions, frontal": 0.03,
    "reference turned by 30 degrees": 0.13,
    "reference turned by 50 degrees": 0.13,
    "reference without legs": 0.13,
    "adult drives a chibi figure": 0.03,
    "chibi figure, same pose": 0.03,
    "unusual body, any pose": 0.03,
}
CHECKED = [scenario for scenario in SCENARIOS if scenario.name in LIMITS]
assert len(CHECKED) == len(LIMITS)


def nobody(frames: int = 2, people: int = 1) -> PoseClip:
    return body_clip(CANVAS, np.zeros((frames, people, 18, 2)), np.zeros((frames, people, 18)))


def two_people() -> PoseClip:
    """Return STANDING, and the same person 100 pixels to the right."""
    parts = {}
    for part in ("body", "left_hand", "right_hand", "face", "feet"):
        points: Points = getattr(STANDING, part)
        parts[part] = Points(
            xy=np.concatenate([points.xy, points.xy + np.array((100, 0))], 1),
            confidence=np.repeat(points.confidence, 2, 1),
        )
    return replace(STANDING, **parts)


@pytest.mark.parametrize("scenario", CHECKED, ids=lambda scenario: scenario.name)
def test_error_of_built_cases_stays_within_its_limit(scenario):
    assert mean_errors(scenario, 2)["limb"] <= LIMITS[scenario.name]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"mode": "bones"}, "mode got 'bones'; it must be one of none, uniform, limb"),
        ({"anchor": "tail"}, "anchor got 'tail'; it must be one of auto, pelvis, neck"),
        ({"strength": 1.5}, "strength got 1.5; it must lie within 0 and 1"),
        ({"strength": float("nan")}, "strength got nan"),
    ],
)
def test_unknown_choices_raise_with_their_name(choice, message):
    with pytest.raises(InputError, match=message):
        RetargetConfig(**choice)


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_outside_the_driver_raises(frame):
    with pytest.raises(InputError, match=f"match_frame got {frame}; the driver has frames 0 to 2"):
        retarget(STANDING, STANDING, RetargetConfig(match_frame=frame))


@pytest.mark.parametrize("reference", [nobody(), nobody(people=0)], ids=["unseen", "absent"])
def test_without_a_reference_person_the_clip_is_only_fitted_with_a_warning(reference):
    larger = replace(reference, canvas=Size(1024, 2000))
    result, report = retarget(STANDING, larger)

    np.testing.assert_allclose(result.body.xy, STANDING.body.xy * 2 + (0, 232))
    assert result.canvas == larger.canvas
    assert "the reference shows no person" in report.warnings[0]


@pytest.mark.parametrize("driver", [nobody(), nobody(people=0)], ids=["unseen", "absent"])
def test_a_driver_without_people_stays_empty(driver):
    result, report = retarget(driver, STANDING)

    assert result.body.xy.shape == driver.body.xy.shape
    assert not result.body.confidence.any()
    assert "the driver never shows person 0" in report.warnings[0]
    assert "off the canvas: 0 of 0" in report.text()


def test_mode_none_does_not_change_a_clip_on_the_same_canvas():
    other = film(reshape(BODY, legs=0.7), [NEUTRAL], REFERENCE_VIEW)
    result, report = retarget(STANDING, other, RetargetConfig(mode="none"))

    assert np.array_equal(result.body.xy, STANDING.body.xy)
    assert report.scale == 1


def test_other_people_are_moved_by_the_same_scale_and_shift():
    reference = film(BODY, [NEUTRAL], replace(REFERENCE_VIEW, height_px=260))
    result, report = retarget(two_people(), reference)

    assert report.scale == pytest.approx(0.5)
    np.testing.assert_allclose(result.body.xy[:, 1], result.body.xy[:, 0] + (50, 0), atol=1e-6)


def test_hands_follow_the_nearest_wrist_when_labels_are_swapped():
    swapped = replace(STANDING, left_hand=STANDING.right_hand, right_hand=STANDING.left_hand)
    reference = film(reshape(BODY, arms=0.7), [NEUTRAL], REFERENCE_VIEW)
    result, _ = retarget(swapped, reference)

    np.testing.assert_allclose(result.left_hand.xy[:, :, 0], result.body.xy[:, :, 4], atol=1e-6)
    np.testing.assert_allclose(result.right_hand.xy[:, :, 0], result.body.xy[:, :, 7], atol=1e-6)


def test_a_hand_without_a_wrist_stays_on_the_arm():
    lost = STANDING.body.confidence.copy()
    lost[1, 0, 7] = 0
    driver = replace(STANDING, body=replace(STANDING.body, confidence=lost))
    reference = film(reshape(BODY, arms=0.7), [NEUTRAL], REFERENCE_VIEW)
    result, _ = retarget(driver, reference)

    np.testing.assert_allclose(result.left_hand.xy[1], result.left_hand.xy[0], atol=1e-6)
    assert result.body.confidence[1, 0, 7] == 0


def test_a_larger_head_enlarges_the_face_about_the_nose():
    reference = film(reshape(BODY, head=1.5), [NEUTRAL], REFERENCE_VIEW)
    result, report = retarget(STANDING, reference)

    np.testing.assert_allclose(result.face.xy[0], reference.face.xy[0], atol=1e-6)
    assert {bone.bone: bone.ratio for bone in report.bones}["head"] == pytest.approx(1.5)


def test_feet_are_sized_like_shins():
    reference = film(reshape(BODY, legs=0.7), [NEUTRAL], REFERENCE_VIEW)
    result, _ = retarget(STANDING, reference)

    np.testing.assert_allclose(result.feet.xy[0], reference.feet.xy[0], atol=1e-6)


@pytest.mark.parametrize(
    ("wanted", "joint"), [("neck", 1), ("nose", 0), ("right_ankle", 10), ("left_ear", 17)]
)
def test_the_chosen_anchor_lies_on_the_reference(wanted, joint):
    reference = film(reshape(BODY, legs=0.7, arms=1.2), [NEUTRAL], REFERENCE_VIEW)
    result, report = retarget(STANDING, reference, RetargetConfig(anchor=wanted))

    np.testing.assert_allclose(result.body.xy[0, 0, joint], reference.body.xy[0, 0, joint])
    assert report.anchor == wanted


def test_an_anchor_that_is_not_seen_is_replaced_with_a_warning():
    reference = hide(STANDING, (8, 11))
    _, report = retarget(STANDING, reference, RetargetConfig(anchor="pelvis"))

    assert report.anchor == "neck"
    assert "anchor pelvis is not seen" in report.warnings[0]
    assert report.reference_missing == ("right_hip", "left_hip")


@pytest.mark.parametrize(("lock", "axis"), [("lock_x", 0), ("lock_y", 1)])
def test_a_locked_root_does_not_travel(lock, axis):
    walk = replace(STANDING.body, xy=STANDING.body.xy + np.arange(3).reshape(3, 1, 1, 1) * 20.0)
    result, _ = retarget(
        replace(STANDING, body=walk), STANDING, RetargetConfig(match_frame=0, **{lock: True})
    )
    hips = result.body.xy[:, 0, [8, 11]].mean(1)

    np.testing.assert_allclose(np.ptp(hips[:, axis]), 0, atol=1e-9)
    assert np.ptp(hips[:, 1 - axis]) == pytest.approx(40)


def test_a_seated_reference_keeps_the_length_of_its_thighs():
    pose = {**NEUTRAL}
    for side in ("right", "left"):
        pose |= {f"{side}_leg": 0.2, f"{side}_leg_depth": 1.3, f"{side}_knee": 1.3}
    _, report = retarget(STANDING, film(BODY, [pose], REFERENCE_VIEW))
    ratios = {bone.bone: bone.ratio for bone in report.bones}

    assert ratios["thigh"] == pytest.approx(ratios["shin"], rel=0.1)


def test_a_driver_with_low_confidence_is_measured_too():
    reference = replace(STANDING, body=replace(STANDING.body, xy=2 * STANDING.body.xy))
    driver = replace(STANDING, body=replace(STANDING.body, confidence=np.full((3, 1, 18), 0.4)))
    report = retarget(driver, replace(reference, canvas=Size(1024, 1536)))[1]

    ratios = {bone.bone: bone.ratio for bone in report.bones}
    large = [ratios[kind] for kind in ("spine", "shoulder", "forearm", "thigh", "shin")]
    assert large == pytest.approx([2] * 5)


def test_a_reference_with_low_confidence_is_matched_in_its_driver():
    confidence = np.ones((3, 1, 18))
    confidence[1] = 0.4
    xy = STANDING.body.xy.copy()
    xy[1, 0, 4] += (9, -7)
    driver = replace(STANDING, body=replace(STANDING.body, xy=xy, confidence=confidence))
    one = {
        part: Points(
            xy=getattr(driver, part).xy[1:2], confidence=getattr(driver, part).confidence[1:2]
        )
        for part in ("body", "left_hand", "right_hand", "face", "feet")
    }
    result, report = retarget(driver, replace(driver, **one))

    assert report.match_frame == 1
    assert np.abs(result.body.xy - driver.body.xy).max() < 1e-9


def test_bones_of_rarely_seen_joints_are_not_measured():
    """A nose misread in one frame of thirty must not shrink the head in all of them."""
    driver = film(BODY, [NEUTRAL] * 30, REFERENCE_VIEW)
    xy, confidence = driver.body.xy.copy(), driver.body.confidence.copy()
    confidence[1:, :, [0, 14, 15, 16, 17]] = 0
    xy[0, :, 0, 1] -= 80
    body = Points(xy=xy, confidence=confidence)
    face = replace(driver.face, confidence=np.zeros_like(driver.face.confidence))
    reference = film(BODY, [NEUTRAL | {"right_arm": 1.5, "left_arm": 1.5}], REFERENCE_VIEW)
    _, report = retarget(replace(driver, body=body, face=face), reference)
    neck = next(bone for bone in report.bones if bone.bone == "neck")
    assert neck.ratio == pytest.approx(report.scale)


def test_flags_and_low_confidences_do_not_change():
    flags = np.full((3, 1, 18), Flag.FILLED, np.uint8)
    faint = STANDING.body.confidence * 0.4
    faint[:, :, 4] = 0.1
    body = Points(xy=STANDING.body.xy, confidence=faint, flags=flags)
    result, _ = retarget(replace(STANDING, body=body), STANDING)

    assert np.array_equal(result.body.flags, flags)
    assert np.array_equal(result.body.confidence, faint)
    np.testing.assert_allclose(result.body.xy, STANDING.body.xy, atol=1e-6)


def broken(kind: str) -> PoseClip:
    xy = STANDING.body.xy[:1].copy()
    confidence = STANDING.body.confidence[:1].copy()
    if kind == "NaN":
        xy[0, 0, [0, 3, 8]] = np.nan
    elif kind == "zero lengths":
        xy[:] = 100
    elif kind == "one joint":
        confidence[:, :, np.arange(18) != 5] = 0
    return body_clip(CANVAS, xy, confidence)


@pytest.mark.parametrize("kind", ["NaN", "zero lengths", "one joint", "one frame"])
@pytest.mark.parametrize("side", ["driver", "reference"])
def test_invalid_skeletons_give_finite_results(kind, side):
    clips = {"driver": STANDING, "reference": STANDING, side: broken(kind)}
    result, report = retarget(clips["driver"], clips["reference"])

    assert np.isfinite(result.body.xy).all()
    seen = np.isfinite(clips["driver"].body.xy).all(-1) & (clips["driver"].body.confidence > 0)
    assert np.array_equal(result.body.confidence > 0, seen)
    json.dumps(report.data(), allow_nan=False)


def test_a_face_alone_can_be_retargeted():
    xy, unseen = np.zeros((1, 1, 18, 2)), np.zeros((1, 1, 18))
    driver = replace(body_clip(CANVAS, xy, unseen), face=frame_of(STANDING.face))
    reference = film(BODY, [NEUTRAL], replace(REFERENCE_VIEW, height_px=260))
    result, report = retarget(driver, reference)
    wanted = reference.face.xy[0, 0]

    assert report.anchor == "nose"
    np.testing.assert_allclose(result.face.xy[0, 0, 30], reference.body.xy[0, 0, 0])
    np.testing.assert_allclose(np.ptp(result.face.xy[0, 0], 0), np.ptp(wanted, 0))
    assert not result.body.confidence.any()


def frame_of(points: Points) -> Points:
    return Points(xy=points.xy[:1], confidence=points.confidence[:1])


def test_report_text_and_data_agree():
    reference = hide(film(reshape(BODY, legs=0.7), [NEUTRAL], REFERENCE_VIEW), (9, 10, 12, 13))
    _, report = retarget(STANDING, reference)
    data = json.loads(json.dumps(report.data(), allow_nan=False))

    assert data["bones"]["spine"] == [pytest.approx(1), "matched"]
    assert data["bones"]["thigh"][1] == "fallback"
    assert data["match_angle_deg"] == pytest.approx(0, abs=1e-9)
    text = report.text()
    assert "placed by pelvis in frame 0, moved by pelvis" in text
    assert "reference does not show: right_knee, right_ankle" in text
