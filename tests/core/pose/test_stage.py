"""What a page is told about a clip: exact enough, complete, and small."""

import base64
import json

import numpy as np
import pytest

from animate_anyone.pose.draw import FOOT_EDGES
from animate_anyone.pose.skeleton import BODY_EDGES, HAND_EDGES
from animate_anyone.pose.stack import POINTS, SLICES, stack, unstack
from animate_anyone.pose.stage import skeleton, stage_payload
from animate_anyone.types import Flag, PoseClip, Size

CANVAS = Size(512, 768)
LIMIT_BYTES = 2_000_000  # for 1,000 frames


def whole(frames, people=1, canvas=CANVAS) -> PoseClip:
    """Return a clip with every point seen somewhere."""
    rng = np.random.default_rng(frames)
    shape = (frames, people, POINTS)
    xy = rng.uniform(0, 1, (*shape, 2)) * (canvas.width, canvas.height)
    empty = PoseClip(canvas=canvas, **dict.fromkeys(SLICES))
    flags = rng.integers(0, 2, shape).astype(np.uint8) * Flag.SMOOTHED
    return unstack(empty, xy, rng.uniform(0.3, 1, shape), flags)


def numbers(packed, name, dtype):
    return np.frombuffer(base64.b64decode(packed[name]), dtype)


def test_a_thousand_frames_with_hands_and_face_stay_below_two_megabytes():
    clip = whole(1000)
    payload = stage_payload(clip, driver=clip, reference=clip.at(slice(0, 1)))
    assert len(json.dumps(payload, separators=(",", ":"))) < LIMIT_BYTES


def test_coordinates_come_back_within_half_a_step():
    clip = whole(5, people=2)
    payload = stage_payload(clip)
    points = stack(clip)
    xy = numbers(payload["result"], "xy", "<i2").reshape(points.xy.shape) * payload["step"]
    assert np.abs(xy - points.xy).max() <= payload["step"] / 2 + 1e-9
    assert payload["step"] < 0.05
    confidence = numbers(payload["result"], "confidence", np.uint8).reshape(points.seen.shape)
    assert np.abs(confidence / 255 - points.confidence).max() <= 0.5 / 255 + 1e-9
    flags = base64.b64decode(payload["flags"])
    assert np.array_equal(np.frombuffer(flags, np.uint8), points.flags.ravel())


def test_a_driver_of_another_size_is_fitted_into_the_canvas():
    driver = whole(3, canvas=Size(200, 100))
    payload = stage_payload(whole(3, canvas=Size(100, 100)), driver=driver)
    packed = payload["driver"]
    assert (packed["frames"], packed["people"], packed["points"]) == (3, 1, 18)
    xy = numbers(packed, "xy", "<i2").reshape(3, 1, 18, 2) * payload["step"]
    wanted = driver.body.xy / 2 + (0, 25)
    assert np.abs(xy - wanted).max() < 0.05


def test_points_far_off_the_canvas_are_kept_at_its_reach():
    clip = whole(1)
    clip.body.xy[0, 0, 0] = (1e6, -1e6)
    payload = stage_payload(clip)
    first = numbers(payload["result"], "xy", "<i2")[:2] * payload["step"]
    assert first == pytest.approx([2 * 768, -2 * 768], rel=1e-3)


@pytest.mark.parametrize("people", [0, 1])
def test_nobody_is_told_as_missing(people):
    clip = whole(2, people=people)
    hidden = unstack(clip, stack(clip).xy, stack(clip).confidence * 0, stack(clip).flags)
    payload = stage_payload(hidden)
    assert set(payload["missing"].values()) == {1.0}
    assert payload["people"] == people
    json.dumps(payload, allow_nan=False)


def test_edges_and_colours_cover_all_points():
    data = skeleton()
    assert len(data["joints"]) == POINTS
    assert len(data["edges"]) == len(BODY_EDGES) + 2 * len(HAND_EDGES) + len(FOOT_EDGES)
    for first, second, *colour in data["edges"]:
        assert 0 <= min(first, second) <= max(first, second) < POINTS
        assert len(colour) == 3
    right = [edge for edge in data["edges"] if edge[0] >= SLICES["right_hand"].start]
    assert {point for edge in right for point in edge[:2]} <= set(range(POINTS))
