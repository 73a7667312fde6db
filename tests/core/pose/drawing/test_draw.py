import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.drawing.draw import draw_frame, draw_pose
from animate_anyone.pose.skeleton.joints import (
    BODY_EDGES,
    COLOURS,
    HAND_COLOURS,
    HAND_EDGES,
    body_clip,
    empty_points,
)
from animate_anyone.types import Points, PoseClip, Size
from animate_anyone.weights.sets.table import presets

SQUARE = Size(512, 512)


def clip_of(
    joints: dict[int, tuple[float, float]], part: str = "body", canvas: Size = SQUARE
) -> PoseClip:
    """Return one person in one frame with only these joints of one part."""
    lengths = {"body": 18, "left_hand": 21, "right_hand": 21, "face": 68, "feet": 6}
    points = {name: empty_points(1, 1, length) for name, length in lengths.items()}
    for joint, position in joints.items():
        points[part].xy[0, 0, joint] = position
        points[part].confidence[0, 0, joint] = 1
    return PoseClip(canvas=canvas, **points)


def standing(canvas: Size = SQUARE) -> PoseClip:
    """Return a whole person in the middle of the canvas."""
    # fmt: off
    outline = (
        256, 100, 256, 150, 216, 150, 196, 210, 186, 265, 296, 150, 316, 210, 326, 265, 230, 270,
        226, 350, 222, 430, 282, 270, 286, 350, 290, 430, 244, 90, 268, 90, 232, 96, 280, 96,
    )
    # fmt: on
    xy = np.array(outline, float).reshape(1, 1, 18, 2)
    scale = min(canvas.width, canvas.height) / 512
    return body_clip(canvas, (xy - 256) * scale + (canvas.width / 2, canvas.height / 2))


@pytest.mark.parametrize("joint", range(18))
def test_joint_is_a_disc_of_49_pixels_in_its_rgb_colour(joint: int) -> None:
    picture = draw_frame(clip_of({joint: (200.9, 300.9)}), 0)

    assert (picture.any(-1)).sum() == 49
    assert tuple(picture[300, 200]) == COLOURS[joint]
    assert picture[296, 200].any()
    assert not picture[295, 200].any()


@pytest.mark.parametrize(
    ("limb", "colour"),
    [
        (0, (153, 0, 0)),
        (1, (153, 51, 0)),
        (5, (51, 153, 0)),
        (12, (0, 0, 153)),
        (16, (153, 0, 102)),
    ],
)
def test_limb_is_nine_pixels_thick_at_six_tenths_of_its_colour(
    limb: int, colour: tuple[int, int, int]
) -> None:
    start, end = BODY_EDGES[limb]
    picture = draw_frame(clip_of({start: (100, 256), end: (300, 256)}), 0)

    column = picture[:, 200]
    assert np.flatnonzero(column.any(-1)).tolist() == list(range(252, 261))
    assert {tuple(pixel) for pixel in column[252:261]} == {colour}


def test_limb_needs_both_joints() -> None:
    picture = draw_frame(clip_of({1: (100, 256)}), 0)

    assert picture.any(-1).sum() == 49


def test_a_slanted_limb_equals_the_formula_applied_by_hand() -> None:
    a, b = (101.7, 300.2), (260.4, 97.9)
    expected = np.zeros((512, 512, 3), np.uint8)
    # centre (181.05, 199.05), half length 128.56, angle atan2(202.3, -158.7) = 128.11 degrees
    polygon = cv2.ellipse2Poly((181, 199), (128, 4), 128, 0, 360, 1)
    cv2.fillConvexPoly(expected, np.asarray(polygon), COLOURS[2])
    expected = (expected * 0.6).astype(np.uint8)
    cv2.circle(expected, (101, 300), 4, COLOURS[2], -1)
    cv2.circle(expected, (260, 97), 4, COLOURS[3], -1)

    assert np.array_equal(draw_frame(clip_of({2: a, 3: b}), 0), expected)


# fmt: off
PALETTE = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)
FINGER_COLOURS = (
    (255, 0, 0), (255, 77, 0), (255, 153, 0), (255, 229, 0), (204, 255, 0), (128, 255, 0),
    (51, 255, 0), (0, 255, 25), (0, 255, 102), (0, 255, 179), (0, 255, 255), (0, 178, 255),
    (0, 102, 255), (0, 25, 255), (51, 0, 255), (128, 0, 255), (204, 0, 255), (255, 0, 230),
    (255, 0, 153), (255, 0, 77),
)
LIMBS = "1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17"
FINGERS = (
    "0-1 1-2 2-3 3-4 0-5 5-6 6-7 7-8 0-9 9-10 10-11 11-12 "
    "0-13 13-14 14-15 15-16 0-17 17-18 18-19 19-20"
)
# fmt: on


def pairs(text: str) -> list[tuple[int, int]]:
    return [(int(pair.split("-")[0]), int(pair.split("-")[1])) for pair in text.split()]


def put_disc(canvas: np.ndarray, centre: np.ndarray, radius: int, colour: tuple) -> None:
    rows, columns = np.indices(canvas.shape[:2])
    x, y = (int(value) for value in centre)
    canvas[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = colour


def drawn_as_in_training(clip: PoseClip) -> np.ndarray:
    """Draw one person as in the training of the public weights, step by step."""
    canvas = np.zeros((clip.canvas.height, clip.canvas.width, 3), np.uint8)
    seen = clip.body.confidence[0, 0] >= 0.3
    body = clip.body.xy[0, 0]
    for (a, b), colour in zip(pairs(LIMBS), PALETTE, strict=False):
        if seen[a] and seen[b]:
            middle, along = (body[a] + body[b]) / 2, body[a] - body[b]
            polygon = cv2.ellipse2Poly(
                (int(middle[0]), int(middle[1])),
                (int(np.hypot(*along) / 2), 4),
                int(np.degrees(np.arctan2(along[1], along[0]))),
                0,
                360,
                1,
            )
            cv2.fillConvexPoly(canvas, np.asarray(polygon), colour)
    canvas = (canvas * 0.6).astype(np.uint8)
    for joint in np.flatnonzero(seen):
        put_disc(canvas, body[joint], 4, PALETTE[joint])
    for hand in (clip.left_hand, clip.right_hand):
        shown = (hand.confidence[0, 0] >= 0.3) & (hand.xy[0, 0].astype(int) > 0.01).all(-1)
        points = [(int(x), int(y)) for x, y in hand.xy[0, 0]]
        for index, (a, b) in enumerate(pairs(FINGERS)):
            if shown[a] and shown[b]:
                cv2.line(canvas, points[a], points[b], FINGER_COLOURS[index], thickness=2)
        for joint in np.flatnonzero(shown):
            put_disc(canvas, hand.xy[0, 0, joint], 4, (0, 0, 255))
    shown = (clip.face.confidence[0, 0] >= 0.3) & (clip.face.xy[0, 0].astype(int) > 0.01).all(-1)
    for joint in np.flatnonzero(shown):
        put_disc(canvas, clip.face.xy[0, 0, joint], 3, (255, 255, 255))
    return canvas


def scattered(seed: int, people: int = 1, size: Size = SQUARE) -> PoseClip:
    """Return random skeletons: some beyond the border, small hands and faces, missing points."""
    rng = np.random.default_rng(seed)
    parts = {}
    for part, joints in {
        "body": 18,
        "left_hand": 21,
        "right_hand": 21,
        "face": 68,
        "feet": 6,
    }.items():
        spread = 120 if part == "body" else 30
        centre = rng.uniform(-20, (size.width + 20, size.height + 20), (1, people, 1, 2))
        xy = centre + rng.normal(0, spread, (1, people, joints, 2))
        parts[part] = Points(xy=xy, confidence=rng.uniform(0.1, 1, (1, people, joints)))
    return PoseClip(canvas=size, **parts)


@pytest.mark.parametrize("size", [SQUARE, Size(512, 704)], ids=["square", "upright"])
@pytest.mark.parametrize("seed", range(6))
def test_drawing_equals_that_of_training_in_every_pixel(seed: int, size: Size) -> None:
    clip = scattered(seed, size=size)

    assert np.array_equal(draw_frame(clip, 0), drawn_as_in_training(clip))


def test_feet_continue_the_shins_in_their_colours() -> None:
    clip = scattered(3)
    clip.body.xy[0, 0, 10], clip.body.xy[0, 0, 13] = (100, 300), (400, 300)
    clip.feet.xy[0, 0] = [(450, 300), (400, 350), (400, 250), (50, 300), (100, 350), (100, 250)]
    for points in (clip.body, clip.feet):
        points.confidence[:] = 1

    feet = draw_frame(clip, 0, body=False, hands=False, face=False, feet=True)
    assert {tuple(feet[y, x]) for x, y in ((430, 300), (400, 330), (400, 270))} == {(0, 51, 153)}
    assert {tuple(feet[y, x]) for x, y in ((70, 300), (100, 330), (100, 270))} == {(0, 153, 102)}
    assert np.array_equal(draw_frame(clip, 0), draw_frame(clip, 0, feet=False))
    assert not np.array_equal(draw_frame(clip, 0), draw_frame(clip, 0, feet=True))


def test_foot_points_without_their_ankle_are_not_drawn() -> None:
    clip = clip_of({0: (200, 200), 3: (100, 200)}, "feet")

    assert not draw_frame(clip, 0, feet=True).any()


def test_body_can_be_left_out() -> None:
    assert not draw_frame(standing(), 0, body=False).any()
    whole, clip = scattered(4), scattered(4)
    clip.body.confidence[:] = 0
    assert np.array_equal(draw_frame(whole, 0, body=False), draw_frame(clip, 0))


def test_people_who_do_not_touch_are_drawn_completely() -> None:
    two = scattered(5, people=2)
    for points in (two.body, two.left_hand, two.right_hand, two.face):
        points.xy[0, 0] = points.xy[0, 0].clip(20, 230)
        points.xy[0, 1] = points.xy[0, 1].clip(270, 490)
    alone = [
        replace(
            two,
            **{
                part: replace(
                    getattr(two, part),
                    xy=getattr(two, part).xy[:, [person]],
                    confidence=getattr(two, part).confidence[:, [person]],
                )
                for part in ("body", "left_hand", "right_hand", "face", "feet")
            },
        )
        for person in (0, 1)
    ]

    both = np.maximum(draw_frame(alone[0], 0), draw_frame(alone[1], 0))
    assert np.array_equal(draw_frame(two, 0), both)


def test_hand_lines_are_three_pixels_and_discs_blue() -> None:
    picture = draw_frame(clip_of({5: (100, 256), 6: (160, 256)}, "left_hand"), 0)

    edge = HAND_EDGES.index((5, 6))
    column = picture[:, 130]
    assert column.any(-1).sum() == 3
    assert tuple(column[256]) == HAND_COLOURS[edge]
    assert tuple(picture[256, 100]) == (0, 0, 255)


def test_hand_points_on_the_border_are_left_out_but_body_points_are_not() -> None:
    assert not draw_frame(clip_of({3: (0.9, 256)}, "right_hand"), 0).any()
    assert draw_frame(clip_of({3: (0.9, 256)}), 0).any()


def test_face_points_are_white_discs_of_29_pixels() -> None:
    picture = draw_frame(clip_of({30: (256, 256)}, "face"), 0)

    assert (picture == 255).all(-1).sum() == picture.any(-1).sum() == 29


def test_hands_and_face_can_be_left_out() -> None:
    assert not draw_frame(clip_of({3: (99, 99)}, "left_hand"), 0, hands=False).any()
    assert not draw_frame(clip_of({3: (99, 99)}, "face"), 0, face=False).any()


@pytest.mark.parametrize("size", [Size(128, 128), Size(256, 256), Size(128, 192)])
def test_small_canvas_looks_like_the_large_one_averaged_down(size: Size) -> None:
    clip = standing(Size(size.width * 4, size.height * 4))
    factor = 512 // size.width
    large = draw_frame(clip, 0, Size(size.width * factor, size.height * factor))
    expected = cv2.resize(large, (size.width, size.height), interpolation=cv2.INTER_AREA)

    assert np.array_equal(draw_frame(clip, 0, size), expected)


def test_limbs_stay_solid_at_128_pixels() -> None:
    picture = draw_frame(standing(), 0, Size(128, 128))

    shin = picture[97, 50:62].astype(int)  # half-way down the right shin
    assert shin[:, 1].max() > 100
    assert (shin.sum(-1) > 60).sum() in (2, 3)


def test_line_widths_scale_with_the_canvas_unless_fixed() -> None:
    clip = clip_of({1: (200, 512), 2: (800, 512)}, canvas=Size(1024, 1024))

    assert draw_frame(clip, 0)[:, 500].any(-1).sum() == 17
    assert draw_frame(clip, 0, fixed_width=True)[:, 500].any(-1).sum() == 9


def test_another_aspect_is_scaled_evenly_and_centred() -> None:
    picture = draw_frame(clip_of({0: (256, 256)}), 0, Size(512, 768))

    rows, columns = np.nonzero(picture.any(-1))
    assert (rows.min(), rows.max()) == (380, 388)
    assert (columns.min(), columns.max()) == (252, 260)


def test_points_below_the_threshold_are_not_drawn() -> None:
    clip = standing()
    faint = Points(xy=clip.body.xy, confidence=np.full((1, 1, 18), 0.29))
    hidden = PoseClip(
        canvas=clip.canvas,
        body=faint,
        left_hand=clip.left_hand,
        right_hand=clip.right_hand,
        face=clip.face,
        feet=clip.feet,
    )

    assert not draw_pose(hidden).any()
    assert not draw_pose(hidden, Size(64, 64)).any()


def test_frames_are_chosen_by_range() -> None:
    clip = body_clip(SQUARE, np.repeat(standing().body.xy, 5, 0) + np.arange(5).reshape(5, 1, 1, 1))

    assert draw_pose(clip).shape == (5, 512, 512, 3)
    assert np.array_equal(draw_pose(clip, frames=range(1, 5, 2)), draw_pose(clip)[[1, 3]])


def test_a_frame_outside_the_clip_raises() -> None:
    with pytest.raises(InputError, match=r"frame got 3; the clip has frames 0 to 0"):
        draw_frame(standing(), 3)


@pytest.mark.parametrize("far", [1e12, -1e12, np.inf, np.nan])
@pytest.mark.parametrize("size", [SQUARE, Size(64, 64)])
def test_points_far_outside_can_be_drawn(far: float, size: Size) -> None:
    assert draw_frame(clip_of({1: (256, 256), 2: (far, 256)}), 0, size).any()


def test_limbs_of_all_people_are_drawn_below_all_joints() -> None:
    two = body_clip(SQUARE, np.array([[[(256, 256)] * 18, [(256, 256)] * 18]], float))
    two.body.xy[0, 0, 1:] = (100, 256)  # person 0: the nose limb ends where person 1 stands
    two.body.xy[0, 0, 0] = (400, 256)

    picture = draw_frame(two, 0)

    assert tuple(picture[256, 256]) == COLOURS[17]


@pytest.mark.parametrize("size", [Size(0, 512), Size(16_385, 8), Size(10**7, 10**7)])
def test_invalid_sizes_raise(size: Size) -> None:
    message = f"size got {size.width} x {size.height}; both sides must lie within 1 and 16384"

    with pytest.raises(InputError, match=message):
        draw_frame(standing(), 0, size)
    with pytest.raises(InputError, match=message):
        draw_pose(standing(), size)


def test_a_long_narrow_canvas_is_drawn_without_much_memory() -> None:
    tracemalloc.start()
    drawn = draw_frame(standing(), 0, Size(8_000, 4))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert drawn.any()
    assert peak < 50e6


def test_dimmed_points_are_darker_the_less_confident_they_are():
    clip = clip_of({5: (100, 256), 6: (200, 256)})
    clip.body.confidence[0, 0, 5] = 0.5
    plain, dim = draw_frame(clip, 0), draw_frame(clip, 0, dimmed=True)
    assert np.array_equal(plain, draw_frame(clip, 0, dimmed=False))
    assert dim[256, 100].tolist() == [round(level * 0.5) for level in plain[256, 100].tolist()]
    assert dim[256, 200].tolist() == plain[256, 200].tolist()
    assert dim[256, 150].tolist() == [round(level * 0.5) for level in plain[256, 150].tolist()]
    sure = clip_of({3: (99, 99), 4: (150, 99)}, "left_hand")
    assert np.array_equal(draw_pose(sure), draw_pose(sure, dimmed=True))
    hand = replace(sure.left_hand, confidence=0.4 * sure.left_hand.confidence)
    faint = draw_frame(replace(sure, left_hand=hand), 0, dimmed=True)
    assert 0 < faint.max() < draw_frame(sure, 0).max()


def test_no_known_weight_set_was_trained_on_dimmed_skeletons():
    assert not any(preset.dimmed_poses for preset in presets().values())
