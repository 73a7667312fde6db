"""Units by part and frame, canvases that do not fit, and who is who."""

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.files.keypoints import MOST_PLACES, parse_with_notes, to_keypoints
from animate_anyone.pose.files.records import MOST_PEOPLE
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Size

SIZE = Size(200, 100)
CANVAS = {"canvas_width": SIZE.width, "canvas_height": SIZE.height}
# A person with spread arms, as shares of the canvas.
XY = np.array(
    [
        *((0.5, 0.15), (0.5, 0.27), (0.37, 0.28), (0.23, 0.29), (0.11, 0.22)),
        *((0.63, 0.28), (0.76, 0.33), (0.89, 0.31), (0.43, 0.51), (0.4, 0.7), (0.41, 0.88)),
        *((0.57, 0.51), (0.6, 0.69), (0.62, 0.9), (0.47, 0.12), (0.53, 0.12), (0.43, 0.14)),
        (0.57, 0.14),
    ]
)


def body(xy):
    return np.column_stack([xy, np.ones(len(xy))]).ravel().tolist()


def clip_of(*frames, **fields):
    return [{"people": [{"pose_keypoints_2d": body(xy)} | fields], **CANVAS} for xy in frames]


def read(value):
    reading = parse_with_notes(value)
    return reading.clip.body.xy[:, 0], "; ".join(reading.notes)


@pytest.mark.parametrize("outside", [1.02, -0.1, 3.0, 40.0])
@pytest.mark.parametrize("points", [1, 3])
def test_points_outside_do_not_turn_fractions_into_pixels(outside, points):
    xy = XY.copy()
    xy[:points, 1] = outside
    found, notes = read(clip_of(xy, XY))
    np.testing.assert_allclose(found, np.stack([xy, XY]) * (200, 100))
    assert notes == "coordinates are 0..1 of the canvas"


def test_signed_fractions_have_their_zero_in_the_middle():
    found, notes = read(clip_of(2 * XY - 1))
    np.testing.assert_allclose(found[0], XY * (200, 100))
    assert notes == "coordinates are -1..1 of the canvas, y downwards"


def test_units_are_decided_for_each_part_and_frame():
    hand = {"hand_left_keypoints_2d": body(np.tile(XY, (2, 1))[:21])}
    pixels = XY * (200, 100)
    reading = parse_with_notes(clip_of(pixels, XY, pixels, **hand))
    np.testing.assert_allclose(reading.clip.body.xy[:, 0], np.stack([pixels] * 3))
    np.testing.assert_allclose(reading.clip.left_hand.xy[2, 0, :18], pixels)
    assert "body, left hand are 0..1 of the canvas in 3 of 3 frames" in reading.notes[0]


def test_a_part_with_too_few_points_is_in_the_units_of_the_others():
    few = np.zeros((21, 3))
    few[0] = 0.5, 0.5, 1  # a wrist in the upper left corner
    hand = {"hand_left_keypoints_2d": few.ravel().tolist()}
    clip = parse_with_notes(clip_of(XY * (200, 100), **hand)).clip
    assert clip.left_hand.xy[0, 0, 0].tolist() == [0.5, 0.5]
    assert parse_with_notes(clip_of(XY, **hand)).clip.left_hand.xy[0, 0, 0].tolist() == [100, 50]


@pytest.mark.parametrize(
    ("scale", "note"),
    [
        (300, "100% of the points lie off the canvas 200x100"),
        (9, "people are at most 7 pixels large on the canvas 200x100"),
    ],
)
def test_a_canvas_far_from_the_points_is_told(scale, note):
    offset = 0 if scale == 9 else 500
    assert note in read(clip_of(XY * scale + offset))[1]
    assert read(clip_of(XY * 100))[1] == ""


def ours(xy, confidence=0.9, people=1):
    """Return what this pack writes of people at these places, (18, 2) in pixels."""
    shape = (1, people, 18)
    return to_keypoints(
        body_clip(SIZE, np.broadcast_to(xy, (*shape, 2)).copy(), np.full(shape, confidence))
    )


@pytest.mark.parametrize(
    ("records", "note"),
    [
        (ours(XY * 100 + 500), "100% of the points lie off the canvas 200x100"),
        (ours(XY * 9), "people are at most 7 pixels large on the canvas 200x100"),
        (ours(XY), "people are at most 1 pixels large"),  # turned into fractions by a tool
        (ours(XY * 100, 0.2), "100% of the points have a confidence below 0.3"),
        (ours(XY * 100, 0.0), "nobody is seen in any frame"),
        (clip_of(XY * 100 + 500), "100% of the points lie off the canvas 200x100"),
        ([{"people": [], **CANVAS}], "nobody is seen in any frame"),
        ([{"people": [{"pose_keypoints_2d": [5, 5, 0] * 18}], **CANVAS}], "nobody is seen"),
        ([{"people": [{"pose_keypoints_2d": [9, 5, 0.1] * 18}], **CANVAS}], "confidence below"),
    ],
)
def test_what_is_not_drawn_is_told_of_files_of_every_maker(records, note):
    assert note in "; ".join(parse_with_notes(records).notes)


@pytest.mark.parametrize("maker", [ours, clip_of])
def test_one_of_two_people_off_the_canvas_is_told(maker):
    (here,), (away,) = maker(XY * 100), maker(XY * 100 - 900)
    both = [here | {"people": [*here["people"], *away["people"]]}]
    assert parse_with_notes(both).notes[-1] == (
        "warning: 1 of 2 people lie off the canvas in all frames: person 1"
    )


@pytest.mark.parametrize("maker", [ours, clip_of])
def test_a_clip_that_is_drawn_has_no_note(maker):
    assert parse_with_notes(maker(XY * 100)).notes == ()


def test_frames_of_this_pack_beside_those_of_others_keep_their_units():
    reading = parse_with_notes([*ours(XY * 100, 0.75), *clip_of(XY)])
    np.testing.assert_allclose(reading.clip.body.xy[:, 0], [XY * 100, XY * (200, 100)])
    assert reading.clip.body.confidence[:, 0, 0].tolist() == [0.75, 1]
    assert reading.notes == ("coordinates of body are 0..1 of the canvas in 1 of 2 frames",)


def test_people_of_this_pack_beside_those_of_others_are_followed():
    left, right = ours(XY * 60)[0]["people"], clip_of(XY * 60 + (100, 5))[0]["people"]
    frames = [{"people": order, **CANVAS} for order in ([*left, *right], [*right, *left])]
    clip = parse_with_notes(frames).clip
    np.testing.assert_allclose(clip.body.xy[1], clip.body.xy[0])
    assert clip.body.confidence[1, 0, 0] == 0.9


def two(order, numbers, name="person_id"):
    """Return a frame of two people in this order, with these numbers."""
    people = [{"pose_keypoints_2d": body(XY * 60 + (100 * person, 5))} for person in order]
    for record, number in zip(people, numbers, strict=True):
        record[name] = number
    return {"people": people, **CANVAS}


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("person_id", ([3], [5]), "told apart by person_id"),
        ("track_id", (3, 5), "told apart by track_id"),
        ("idx", (3.0, 5.0), "told apart by idx"),
        ("id", ("a", "b"), "told apart by id"),
        ("person_id", ([-1], [-1]), "followed from frame to frame"),
        ("person_id", (0, 0), "followed from frame to frame"),
        ("id", None, "followed from frame to frame"),  # it only counts the people of a frame
    ],
)
def test_people_keep_their_index_whatever_their_order(name, numbers, words):
    orders = [(0, 1), (1, 0), (1, 0), (0, 1)]
    frames = [two(o, (0, 1) if numbers is None else [numbers[p] for p in o], name) for o in orders]
    reading = parse_with_notes(frames)
    left = reading.clip.body.xy[:, :, :, 0].mean(2)
    assert (left[:, 0] < left[:, 1]).all()
    assert any(words in note for note in reading.notes)


def test_people_who_were_forgotten_are_told():
    # One person alone for four seconds (at 30 frames per second), who is then joined again.
    frames = [two(range(n), [-1] * n) for n in (2, *[1] * 120, 2)]
    notes = parse_with_notes(frames).notes
    assert any("1 times a person was not seen for more than 3 seconds" in note for note in notes)


def test_numbers_that_never_return_are_not_people():
    frames = [clip_of(XY * 90 + t)[0] for t in range(4)]
    for t, frame in enumerate(frames):
        frame["people"][0]["id"] = 70 + t
    assert parse_with_notes(frames).clip.body.xy.shape[1] == 1


def test_a_person_who_is_away_keeps_the_index():
    frames = [two((0, 1), (8, 9)), two((1,), (9,)), two((1, 0), (9, 8))]
    confidence = parse_with_notes(frames).clip.body.confidence
    assert confidence.any(-1).tolist() == [[True, True], [False, True], [True, True]]


def test_more_people_than_a_clip_can_have_are_refused():
    person = {"pose_keypoints_2d": []}
    with pytest.raises(InputError, match=f"got {MOST_PEOPLE + 1} people; there may be"):
        parse_with_notes({"people": [person] * (MOST_PEOPLE + 1), **CANVAS})
    frames = [{"people": [person] * 200, **CANVAS}] + [{"people": [], **CANVAS}] * 2_000
    with pytest.raises(InputError, match=f"frames times people may be {MOST_PLACES:,}"):
        parse_with_notes(frames)
    numbers = [
        {"people": [{**person, "id": t}, {**person, "id": -2}], **CANVAS} for t in range(900)
    ]
    with pytest.raises(InputError, match="900 frames with up to 901 people"):
        parse_with_notes(numbers)


@pytest.mark.parametrize("apart", [2, 60])
def test_people_of_the_only_frame_who_stand_in_the_same_place_are_told(apart):
    people = [{"pose_keypoints_2d": body(XY * 100 + (apart * n, 0))} for n in range(4)]
    notes = parse_with_notes([{"people": people, **CANVAS}]).notes
    assert any("4 people of the only frame" in note for note in notes) == (apart == 2)
    frames = [{"people": people, **CANVAS}] * 2
    assert not any("only frame" in note for note in parse_with_notes(frames).notes)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("hand_l", [1.0] * 63, True),
        ("left_foot", [[1.0, 2.0]] * 6, True),
        ("face_box", [1.0] * 4, False),
        ("face_keypoints_3d", [1.0] * 280, False),
        ("left_hand_keypoints_2d", [1.0] * 63, False),
        ("handedness", "Left hand", False),
    ],
)
def test_fields_of_hands_faces_and_feet_that_are_not_known_are_told(name, value, told):
    _, notes = read(clip_of(XY * 100, **{name: value}))
    assert (f"fields that are not known were left out: {name}" in notes) == told


def test_names_under_other_fields_count_only_if_each_point_has_its_own():
    names = ["nose", "neck", *(f"{side}_{joint}" for side in ("right", "left") for joint in (
        "shoulder", "elbow", "wrist"
    )), *(f"{side}_{joint}" for side in ("right", "left") for joint in (
        "hip", "knee", "ankle"
    )), "right_eye", "left_eye", "right_ear", "left_ear"]  # fmt: skip
    points = [{"x": x, "y": y, "class_name": n} for n, (x, y) in zip(names, XY * 100, strict=True)]
    found, notes = read([{"people": [{"keypoints": points[::-1]}], **CANVAS}])
    np.testing.assert_allclose(found[0], XY * 100)
    assert "of named points" in notes
    same = [point | {"class_name": "person"} for point in points]
    found, notes = read([{"people": [{"keypoints": same}], **CANVAS}])
    np.testing.assert_allclose(found[0], XY * 100)
    assert "of named points" not in notes


def lists_of(*confidences):
    """Return frames of one person with these confidences."""
    return [
        {"people": [{"keypoints": np.column_stack([XY * 100, c]).tolist()}], **CANVAS}
        for c in confidences
    ]


def test_percentages_are_told_for_each_list():
    shares = np.linspace(0.4, 0.9, 18)
    faint = np.linspace(0.5, 9, 18)  # of a person who is hardly seen, in percent
    reading = parse_with_notes(lists_of(100 * shares, shares, 100 * shares, faint))
    found = reading.clip.body.confidence[:, 0]
    np.testing.assert_allclose(found, [shares, shares, shares, faint / 100])
    told = "confidences are percentages: body in 3 of 4 lists, the others are 0..1"
    assert told in reading.notes
    reading = parse_with_notes(lists_of(shares, shares, 100 * shares))  # most are no percentages
    np.testing.assert_allclose(reading.clip.body.confidence[:, 0], [shares] * 3)


def test_two_units_in_one_list_are_told():
    mixed = np.where(np.arange(18) % 3 == 0, 0.9, 90)
    told = "warning: 1 of 1 lists of body hold confidences within 0..1 beside percentages"
    assert told in "; ".join(parse_with_notes(lists_of(mixed)).notes)
    low = np.linspace(1, 90, 18)
    low[:2] = 0.4  # points that are hidden
    assert "warning" not in "; ".join(parse_with_notes(lists_of(low)).notes)


def test_third_numbers_that_slope_as_depths_do_are_told():
    depths = 0.2 + 0.6 * XY[:, 0] + 0.03 * np.cos(np.arange(18))  # of a body that is turned
    told = "warning: in 2 of 2 bodies the third numbers of points rise with their places"
    assert told in "; ".join(parse_with_notes(lists_of(depths, depths)).notes)
    rng = np.random.default_rng(0)
    half = np.where(XY[:, 1] > 0.6, 0.2, 0.9) + rng.normal(0, 0.05, 18)  # legs are hardly seen
    for sure in (half, rng.uniform(0.6, 1, 18), np.full(18, 0.9), 0.9 + 1e-3 * XY[:, 0]):
        assert "rise with" not in "; ".join(parse_with_notes(lists_of(sure, sure)).notes)


def test_a_third_number_beside_confidences_is_told():
    depths = np.linspace(0.1, 0.8, 18)
    record = {"keypoints": np.column_stack([XY * 100, depths]).tolist(), "scores": [0.9, 0.8] * 9}
    told = "warning: points have a third number, and confidences stand apart (scores)"
    assert told in "; ".join(parse_with_notes([{"people": [record], **CANVAS}]).notes)
    fine = [depths.tolist(), (depths / 100).tolist(), [0.9] * 18, [[0.9]] * 18, ["a"] * 18, 0.9]
    for scores in fine:
        people = [record | {"scores": scores}]
        assert "warning" not in "; ".join(parse_with_notes([{"people": people, **CANVAS}]).notes)


@pytest.mark.parametrize("name", ["scores", "confidences", "keypoints_conf", "visibility"])
def test_confidences_apart_count_where_points_have_none(name):
    scores = np.linspace(0.4, 0.9, 18)
    record = {"keypoints": (XY * 100).tolist(), name: scores.tolist()}
    clip = parse_with_notes([{"people": [record], **CANVAS}]).clip
    np.testing.assert_allclose(clip.body.confidence[0, 0], scores)
    sure = {"keypoints": np.column_stack([XY * 100, np.full(18, 0.7)]).tolist(), name: [1] * 18}
    clip = parse_with_notes([{"people": [sure], **CANVAS}]).clip
    assert (clip.body.confidence == 0.7).all()
    other = {"keypoints": (XY * 100).tolist(), name: [0.1] * 3}  # of three people, for instance
    clip = parse_with_notes([{"people": [other], **CANVAS}]).clip
    assert (clip.body.confidence == 1).all()
