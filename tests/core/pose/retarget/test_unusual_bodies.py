"""Lengths of bodies with very short or long parts, which must not be taken for foreshortening."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone.drawn.motions import make_motion
from animate_anyone.pose.retarget.bones import BONES, figure_of
from animate_anyone.pose.retarget.foreshortening import facing_share
from animate_anyone.pose.retarget.report import BoneRatio, RetargetReport, doubts
from animate_anyone.pose.retarget.retarget import retarget
from animate_anyone.types import PoseClip, Size
from benchmarks.retarget import (
    ALL,
    RANGES,
    SIZED,
    chibi,
    face_to_the_viewer,
    hide,
    raised,
    turned,
    unusual,
)
from benchmarks.skeletons import NEUTRAL, WALL, WALL_VIEW, film, make_body, perform

MEASURED = {"legs": ("thigh", "shin"), "arms": ("upper_arm", "forearm"), "shoulders": ("shoulder",)}
seeds = st.integers(0, 9999)
parts = st.sampled_from(list(MEASURED))
few = settings(max_examples=15, deadline=None)


def in_picture(body, angles) -> PoseClip:
    return film(body, angles, WALL_VIEW, canvas=WALL)


def measured(seed: int, part: str, share: float) -> tuple[float, list[float]]:
    """Return the true factor and measured ratios; the driver stands, its copy raises its arms."""
    rng = np.random.default_rng(seed)
    body = make_body(rng)
    low, high = np.log(RANGES[part])
    factor = float(np.exp(low + share * (high - low)))
    longer = replace(
        body, **{name: factor * getattr(body, name) for name in SIZED.get(part, (part,))}
    )
    report = retarget(in_picture(body, [NEUTRAL] * 2), in_picture(longer, [raised(rng)]))[1]
    ratios = {bone.bone: bone.ratio for bone in report.bones}
    return factor, [ratios[kind] for kind in MEASURED[part]]


@few
@given(seeds, parts, st.floats(0, 1))
def test_lengths_of_short_and_long_parts_are_right(seed, part, share):
    factor, ratios = measured(seed, part, share)

    assert ratios == pytest.approx([factor] * len(ratios), rel=0.05)


@few
@given(seeds, parts, st.floats(0, 1), st.floats(0, 1))
def test_a_longer_part_of_the_reference_is_longer_in_the_result(seed, part, one, other):
    shorter, longer = (measured(seed, part, share)[1] for share in sorted((one, other)))

    assert all(a <= b * (1 + 1e-9) for a, b in zip(shorter, longer, strict=True))


@few
@given(seeds)
def test_every_body_in_the_driver_s_pose_gets_exactly_its_lengths(seed):
    rng = np.random.default_rng(seed)
    motion = make_motion(rng)
    driver = in_picture(make_body(rng), perform(motion, 3))
    reference = in_picture(unusual(make_body(rng), ALL, rng), [motion.angles(1)])
    result, report = retarget(driver, reference)
    ours, theirs = figure_of(result, 0), figure_of(reference, 0)

    assert report.match_frame == 1
    for start, end, kind in BONES:
        if kind not in ("neck", "head"):
            length = np.linalg.norm(ours.xy[1, end] - ours.xy[1, start])
            wanted = np.linalg.norm(theirs.xy[0, end] - theirs.xy[0, start])
            assert length == pytest.approx(wanted)


def test_the_chibi_figure_in_the_same_pose_lies_on_the_reference():
    body = make_body(np.random.default_rng(3))
    reference = in_picture(chibi(body), [NEUTRAL])
    result, _ = retarget(in_picture(body, [NEUTRAL]), reference)

    limbs = slice(1, 14)
    apart = np.abs(result.body.xy - reference.body.xy)[0, 0, limbs].max()
    assert apart < 1e-6


@pytest.mark.parametrize(
    ("pose", "share"), [(NEUTRAL, 1.0), (turned(40)(np.random.default_rng(0)), np.cos(0.698))]
)
def test_the_face_shows_how_far_it_is_turned(pose, share):
    figure = figure_of(in_picture(make_body(np.random.default_rng(3)), [pose]), 0)

    assert facing_share(figure) == pytest.approx(share, abs=0.06)


def test_a_hidden_ear_means_a_turned_face_and_a_hidden_face_says_nothing():
    clip = in_picture(make_body(np.random.default_rng(3)), [NEUTRAL])
    faceless = replace(clip, face=replace(clip.face, confidence=clip.face.confidence * 0))

    assert facing_share(figure_of(hide(faceless, (16,)), 0)) == 0
    assert facing_share(figure_of(hide(faceless, (0, 14, 15, 16, 17)), 0)) is None


def test_a_body_that_is_turned_keeps_most_of_its_shoulders():
    body = make_body(np.random.default_rng(3))
    driver = in_picture(body, [NEUTRAL])
    pose = {**face_to_the_viewer(np.random.default_rng(0)), "right_arm": 1.5}
    report = retarget(driver, in_picture(body, [pose]))[1]

    ratios = {bone.bone: bone.ratio for bone in report.bones}
    assert ratios["shoulder"] > np.cos(0.698) / 0.95


def test_a_close_up_without_hips_gets_its_own_scale():
    """A misread head must not decide the size of everything."""
    rng = np.random.default_rng(3)
    body = make_body(rng)
    near = film(body, [raised(rng)], replace(WALL_VIEW, height_px=2.1 * 520), canvas=WALL)
    near = hide(near, (8, 9, 10, 11, 12, 13))
    xy = near.body.xy.copy()
    xy[0, 0, [0, 14, 15, 16, 17]] = xy[0, 0, 1] + (xy[0, 0, [0, 14, 15, 16, 17]] - xy[0, 0, 1]) / 9
    near = replace(
        near,
        body=replace(near.body, xy=xy),
        face=replace(near.face, xy=near.face.xy / 9),
    )
    report = retarget(in_picture(body, [NEUTRAL] * 2), near)[1]

    assert report.scale == pytest.approx(2.1, rel=0.05)


def report_of(**fields) -> RetargetReport:
    return RetargetReport(mode="limb", strength=1, **{"scale": 1.0, **fields})


def bones(sources: str) -> tuple[BoneRatio, ...]:
    names = {"f": "fallback", "p": "pooled", "s": "sibling"}
    return tuple(BoneRatio(bone=str(i), ratio=1, source=names[s]) for i, s in enumerate(sources))


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (report_of(scale=5.5, bones=bones("p")), "5.5 times as large"),
        (report_of(scale=0.19, bones=bones("p")), "0.19 times as large"),
        (report_of(canvas_scale=0.1, bones=bones("p")), "10 times as large"),
        (report_of(bones=bones("ffp")), "2 of 3 ratios are guesses (0, 1)"),
        (report_of(points=10, points_off_canvas=6), "60% of the points lie off the canvas"),
    ],
)
def test_a_doubtful_result_is_told_in_one_line(report, words):
    (line,) = doubts(report)

    assert words in line
    assert "\n" not in line


def test_usual_results_give_no_warning():
    usual = report_of(scale=4.9, bones=bones("fpps"), points=10, points_off_canvas=5)

    assert doubts(usual) == ()
    small = {"scale": 0.063, "canvas_scale": 0.067}  # a large video and a small picture
    assert doubts(report_of(bones=bones("p"), **small)) == ()
    assert doubts(report_of(scale=6.0)) == ()  # only the canvas is fitted: no skeleton is measured


def test_size_is_judged_within_each_canvas():
    rng = np.random.default_rng(3)
    body = make_body(rng)
    driver, reference = in_picture(body, [NEUTRAL] * 2), in_picture(body, [NEUTRAL])
    canvas = reference.canvas
    small = replace(
        reference,
        canvas=Size(canvas.width // 16, canvas.height // 16),
        **{
            part: replace(getattr(reference, part), xy=getattr(reference, part).xy / 16)
            for part in ("body", "face", "left_hand", "right_hand", "feet")
        },
    )
    report = retarget(driver, small)[1]

    assert report.scale == pytest.approx(1 / 16, rel=0.01)
    assert report.warnings == ()


def test_the_report_of_a_bust_says_that_it_guesses():
    rng = np.random.default_rng(3)
    bust = hide(in_picture(make_body(rng), [NEUTRAL]), (3, 4, 6, 7, 8, 9, 10, 11, 12, 13))
    report = retarget(in_picture(make_body(rng), [NEUTRAL]), bust)[1]

    assert "ratios are guesses" in report.warnings[0]
    assert "warning: " in report.text()
