"""Properties that hold for all retargetings, on generated pairs of skeletons."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone.drawn.motions import make_motion
from animate_anyone.pose.retarget.bones import BONES, figure_of
from animate_anyone.pose.retarget.ratios import LARGEST_DEVIATION, LARGEST_HEAD_DEVIATION
from animate_anyone.pose.retarget.retarget import RetargetConfig, RetargetReport, retarget
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import PoseClip, Size
from benchmarks.skeletons import View, film, make_body, perform

CANVAS = Size(2400, 2400)  # large, so that figures do not reach its border
PARTS = ("body", "left_hand", "right_hand", "face", "feet")
SWAPPED = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
FEET_SWAPPED = (3, 4, 5, 0, 1, 2)

pairs = st.integers(0, 399)
thorough = settings(max_examples=settings().max_examples * 10 // 3, deadline=None)  # 200


@cache
def pair(seed: int) -> tuple[PoseClip, PoseClip]:
    """Return two bodies: one that moves, with missing points, and one in another pose."""
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(2, 7))
    view = View(height_px=float(rng.uniform(400, 700)), ground=(1200.0, 1600.0))
    driver = film(make_body(rng), perform(make_motion(rng), frames), view, canvas=CANVAS)
    pose = {**make_motion(rng).angles(0), "yaw": rng.uniform(-1.5, 1.5)}
    view = View(height_px=float(rng.uniform(400, 700)), ground=(1100.0, 1500.0))
    reference = film(make_body(rng), [pose], view, canvas=CANVAS)
    return gappy(driver, rng, 0.1), gappy(reference, rng, 0.2 * (seed % 2))


def gappy(clip: PoseClip, rng: np.random.Generator, share: float) -> PoseClip:
    """Hide this share of the points of body and feet, at random."""
    parts = {}
    for part in ("body", "feet"):
        points = getattr(clip, part)
        lost = rng.random(points.confidence.shape) < share
        parts[part] = replace(points, confidence=np.where(lost, 0.0, points.confidence))
    return replace(clip, **parts)


def mapped(clip: PoseClip, scale: float, shift: tuple[float, float] = (0, 0)) -> PoseClip:
    """Scale about the origin, then shift; the canvas stays."""
    parts = {part: getattr(clip, part) for part in PARTS}
    moved = {name: replace(p, xy=p.xy * scale + np.array(shift)) for name, p in parts.items()}
    return replace(clip, **moved)


def frames_of(clip: PoseClip, frames: slice) -> PoseClip:
    parts = {part: getattr(clip, part) for part in PARTS}
    return replace(
        clip,
        **{
            name: replace(points, xy=points.xy[frames], confidence=points.confidence[frames])
            for name, points in parts.items()
        },
    )


def mirrored(clip: PoseClip) -> PoseClip:
    flipped = mapped(clip, 1)
    for part in PARTS:
        xy = getattr(flipped, part).xy
        xy[..., 0] = clip.canvas.width - xy[..., 0]
    orders = {"body": SWAPPED, "feet": FEET_SWAPPED}
    parts = {
        part: replace(
            getattr(flipped, part),
            xy=getattr(flipped, part).xy[:, :, list(order)],
            confidence=getattr(flipped, part).confidence[:, :, list(order)],
        )
        for part, order in orders.items()
    }
    # The width of the face is measured, so the order of its outline does not matter.
    hands = {"left_hand": flipped.right_hand, "right_hand": flipped.left_hand}
    return replace(flipped, **parts, **hands)


def gathered(clip: PoseClip) -> np.ndarray:  # (f, p, 134, 2), NaN where missing
    parts = [getattr(clip, part) for part in PARTS]
    joined = [np.where(p.confidence[..., None] > 0, p.xy, np.nan) for p in parts]
    return np.concatenate(joined, 2)


def ratios_of(report: RetargetReport) -> dict[str, float]:
    return {bone.bone: bone.ratio for bone in report.bones}


def assert_same(one: PoseClip, other: PoseClip, px: float = 1e-6) -> None:
    a, b = gathered(one), gathered(other)
    assert np.array_equal(np.isnan(a), np.isnan(b))
    assert np.nanmax(np.abs(a - b)) <= px


@thorough
@given(pairs, st.integers(0, 5))
def test_reference_from_the_driver_itself_changes_nothing(seed, frame):
    driver, _ = pair(seed)
    frame %= len(driver)
    result, report = retarget(driver, frames_of(driver, slice(frame, frame + 1)))

    assert report.match_frame == frame
    assert_same(result, driver)


@thorough
@given(pairs, st.sampled_from(["uniform", "limb"]), st.floats(0, 1))
def test_bones_keep_direction_and_take_the_reported_length(seed, mode, strength):
    driver, reference = pair(seed)
    result, report = retarget(driver, reference, RetargetConfig(mode=mode, strength=strength))
    before, after = figure_of(driver, 0), figure_of(result, 0)
    starts, ends, kinds = zip(*BONES, strict=True)
    ratios = np.array([ratios_of(report)[kind] for kind in kinds])
    seen = before.seen[:, starts] & before.seen[:, ends]
    was = before.xy[:, ends] - before.xy[:, starts]
    now = after.xy[:, ends] - after.xy[:, starts]
    cross = now[..., 0] * was[..., 1] - now[..., 1] * was[..., 0]
    angles = np.arctan2(cross, (now * was).sum(-1))
    long = seen & (np.hypot(was[..., 0], was[..., 1]) > 0.1)

    assert long.any()
    assert np.abs(angles[long]).max() <= 1e-9
    assert np.abs(now - was * ratios[:, None])[seen].max() <= 1e-9


@thorough
@given(pairs)
def test_bones_have_the_reference_s_length_where_poses_match(seed):
    rng = np.random.default_rng(seed)
    bodies, motion = (make_body(rng), make_body(rng)), make_motion(rng)
    view = View(height_px=500, ground=(1200, 1600))
    driver = film(bodies[0], perform(motion, 3), view, canvas=CANVAS)
    reference = film(bodies[1], [motion.angles(1)], view, canvas=CANVAS)
    result, report = retarget(driver, reference)
    ours, theirs = figure_of(result, 0), figure_of(reference, 0)

    assert report.match_frame == 1
    for start, end, kind in BONES:
        if kind in ("neck", "head"):
            continue
        length = np.linalg.norm(ours.xy[1, end] - ours.xy[1, start])
        assert length == pytest.approx(np.linalg.norm(theirs.xy[0, end] - theirs.xy[0, start]))


@thorough
@given(pairs, st.floats(0.5, 1.2), st.floats(-150, 150), st.floats(-150, 150))
def test_results_do_not_depend_on_position_and_size_of_the_driver(seed, scale, x, y):
    driver, reference = pair(seed)
    moved = mapped(driver, scale, (x, y))
    padded = replace(driver, canvas=Size(CANVAS.width + 500, CANVAS.height + 300))
    expected, _ = retarget(driver, reference)

    assert_same(retarget(moved, reference)[0], expected)
    assert_same(retarget(padded, reference)[0], expected)


@thorough
@given(pairs, st.floats(0.3, 3))
def test_the_result_scales_with_the_reference(seed, scale):
    driver, reference = pair(seed)
    size = Size(round(CANVAS.width * scale), round(CANVAS.height * scale))
    larger = replace(mapped(reference, scale), canvas=size)

    result, _ = retarget(driver, larger)

    assert_same(result, mapped(retarget(driver, reference)[0], scale))
    assert result.canvas == size


@thorough
@given(pairs, st.sampled_from(["none", "uniform", "limb"]))
def test_seen_points_stay_seen_and_finite_and_results_repeat(seed, mode):
    driver, reference = pair(seed)
    before = [gathered(clip) for clip in (driver, reference)]
    config = RetargetConfig(mode=mode)
    result, report = retarget(driver, reference, config)
    again, report_again = retarget(driver, reference, config)

    for part in PARTS:
        points = getattr(result, part)
        assert np.isfinite(points.xy).all()
        assert np.array_equal(points.confidence, getattr(driver, part).confidence)
        assert np.array_equal(points.xy, getattr(again, part).xy)
    assert report == report_again
    for clip, was in zip((driver, reference), before, strict=True):
        assert np.array_equal(gathered(clip), was, equal_nan=True)


@thorough
@given(pairs)
def test_mirrored_pictures_give_the_mirrored_result(seed):
    driver, reference = pair(seed)
    result, _ = retarget(mirrored(driver), mirrored(reference))

    assert_same(result, mirrored(retarget(driver, reference)[0]))


@thorough
@given(pairs, st.floats(0.7, 1.4))
def test_a_standing_foot_does_not_slide_if_legs_keep_their_proportions(seed, legs):
    rng = np.random.default_rng(seed)
    view = View(height_px=500, ground=(1200, 1600))
    standing = film(make_body(rng), [make_motion(rng).angles(0)], view, canvas=CANVAS).body.xy
    reference = standing.copy()
    for hip, knee, ankle in ((8, 9, 10), (11, 12, 13)):
        leg, start = [knee, ankle], standing[0, 0, hip]
        reference[0, 0, leg] = start + legs * (standing[0, 0, leg] - start)
    swaying = np.repeat(standing, 4, 0)
    swaying += rng.uniform(-30, 30, (4, 1, 1, 2)) * [[[[0]]], [[[1]]], [[[1]]], [[[1]]]]
    swaying[:, :, [10, 13]] = standing[:, :, [10, 13]]

    result, report = retarget(body_clip(CANVAS, swaying), body_clip(CANVAS, reference))

    assert ratios_of(report)["thigh"] == pytest.approx(ratios_of(report)["shin"])
    feet = result.body.xy[:, 0, [10, 13]]
    np.testing.assert_allclose(feet, np.broadcast_to(feet[:1], feet.shape), atol=1e-6)


@thorough
@given(pairs)
def test_bone_ratios_stay_near_the_global_scale(seed):
    _, report = retarget(*pair(seed))

    for kind, ratio in ratios_of(report).items():
        largest = LARGEST_HEAD_DEVIATION if kind in ("head", "neck") else LARGEST_DEVIATION
        assert 1 / largest <= ratio / report.scale * (1 + 1e-12)
        assert ratio / report.scale <= largest * (1 + 1e-12)


@thorough
@given(pairs)
def test_uniform_is_one_scale_and_one_shift(seed):
    driver, reference = pair(seed)
    result, report = retarget(driver, reference, RetargetConfig(mode="uniform"))
    shift = gathered(result) - report.scale * gathered(driver)
    seen = shift[np.isfinite(shift[..., 0])]

    np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), atol=1e-6)


@thorough
@given(pairs, st.integers(0, 5))
def test_reversing_the_driver_reverses_the_result(seed, frame):
    driver, reference = pair(seed)
    frame %= len(driver)
    backwards = frames_of(driver, slice(None, None, -1))
    result, _ = retarget(driver, reference, RetargetConfig(match_frame=frame))
    config = RetargetConfig(match_frame=len(driver) - 1 - frame)

    assert_same(retarget(backwards, reference, config)[0], frames_of(result, slice(None, None, -1)))


@thorough
@given(pairs, st.floats(-900, 900), st.floats(-900, 900), st.booleans())
def test_figures_on_and_beyond_the_border_are_retargeted(seed, x, y, fit):
    driver, reference = pair(seed)
    driver, reference = mapped(driver, 1.5, (x, y)), mapped(reference, 1.5, (-x, -y))
    result, report = retarget(driver, reference, RetargetConfig(fit_canvas=fit))
    points = gathered(result)
    points = points[np.isfinite(points[..., 0])]

    assert len(points) == np.isfinite(gathered(driver)[..., 0]).sum()
    off = int(((points < 0) | (points >= (CANVAS.width, CANVAS.height))).any(-1).sum())
    assert report.points_off_canvas == off
    assert not (fit and off)
