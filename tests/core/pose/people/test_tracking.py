from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.motions import joints_of, make_motion
from animate_anyone.errors import InputError
from animate_anyone.pose.people.matching import assign
from animate_anyone.pose.people.tracking import choose, describe, follow_people, track
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Flag, PoseClip, Size

CANVAS = Size(1024, 512)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25)  # for slow tests that draw whole motions


def person(
    seed: int,
    frames: int,
    x: tuple[float, float],  # where the pelvis goes from and to, pixels
    height: float = 350.0,  # pixels
) -> np.ndarray:
    """Return the joints of a drawn character who moves and walks, (f, 18, 2)."""
    rng = np.random.default_rng(seed)
    body, moves = make_character(rng, close_up=False).body, make_motion(rng)
    xy = np.stack([joints_of(body, moves.angles(frame))[0][:, :2] for frame in range(frames)])
    return xy * height + np.stack([np.linspace(*x, frames), np.full(frames, 460.0)], -1)[:, None]


def clip_of(*people: np.ndarray, noise: float = 0.0) -> PoseClip:
    xy = np.stack(people, axis=1)
    return body_clip(CANVAS, xy + np.random.default_rng(0).normal(0, noise, xy.shape))


def without(clip: PoseClip, who: int, frames: slice) -> PoseClip:
    """Return the clip with a person missing in some frames, as an extractor would write it."""
    xy, confidence = clip.body.xy.copy(), clip.body.confidence.copy()
    xy[frames, who], confidence[frames, who] = 0, 0
    return replace(clip, body=replace(clip.body, xy=xy, confidence=confidence))


def shuffled(clip: PoseClip, seed: int) -> PoseClip:
    """Return the clip with people in another order in every frame."""
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(clip.body.xy.shape[1]) for _ in range(len(clip))])
    rows = np.arange(len(clip))[:, None]
    body = replace(
        clip.body, xy=clip.body.xy[rows, order], confidence=clip.body.confidence[rows, order]
    )
    parts = {
        part: replace(getattr(clip, part), flags=None)
        for part in ("left_hand", "right_hand", "face", "feet")
    }
    return PoseClip(canvas=clip.canvas, body=body, **parts)


def mistakes(clip: PoseClip, truth: PoseClip) -> int:
    """Return how many detections are not in the slot with most of their person's detections."""
    wrong = 0
    for who in range(truth.body.xy.shape[1]):
        there = truth.body.confidence[:, who].any(-1)
        expected = truth.body.xy[there, who][:, None]
        hits = (clip.body.xy[there] == expected).all((2, 3)) & clip.body.confidence[there].any(-1)
        wrong += int(there.sum() - hits.sum(0).max(initial=0))
    return wrong


# Tracking


@few
@given(seeds)
def test_people_who_cross_keep_their_slots(seed: int) -> None:
    truth = clip_of(person(seed, 40, (200, 800)), person(seed + 1, 40, (820, 180)), noise=1.0)
    tracked = track(shuffled(truth, seed))

    assert tracked.body.xy.shape[1] == 2
    # In the frame in which they meet, two similar skeletons may be exchanged.
    assert mistakes(tracked, truth) <= 2


@few
@given(seeds, st.integers(2, 4))
def test_people_side_by_side_keep_their_slots(seed: int, people: int) -> None:
    places = np.linspace(150, 870, people)
    truth = clip_of(*(person(seed + n, 30, (x, x + 40)) for n, x in enumerate(places)))
    tracked = track(shuffled(truth, seed))

    assert tracked.body.xy.shape[1] == people
    assert mistakes(tracked, truth) == 0


@few
@given(seeds, st.integers(1, 15), st.integers(5, 25))
def test_a_person_missed_for_some_frames_returns_to_the_same_slot(
    seed: int, length: int, start: int
) -> None:
    truth = clip_of(person(seed, 45, (200, 500)), person(seed + 1, 45, (800, 700)))
    truth = without(truth, 0, slice(start, start + length))
    tracked = track(shuffled(truth, seed))

    assert tracked.body.xy.shape[1] == 2
    assert mistakes(tracked, truth) == 0


def test_a_person_hidden_while_another_passes_returns_to_the_same_slot() -> None:
    truth = clip_of(person(1, 60, (200, 800)), person(2, 60, (820, 180)))
    truth = without(truth, 1, slice(27, 35))
    tracked = track(shuffled(truth, 0))

    assert tracked.body.xy.shape[1] == 2
    assert mistakes(tracked, truth) == 0


def test_a_person_who_leaves_and_returns_elsewhere_is_recognised_by_size() -> None:
    child = np.concatenate([person(3, 90, (600, 950), 200), person(3, 30, (650, 500), 200)])
    truth = without(clip_of(person(4, 120, (300, 320)), child), 1, slice(30, 90))
    tracked = track(shuffled(truth, 1))

    assert tracked.body.xy.shape[1] == 2
    assert mistakes(tracked, truth) == 0


def test_a_person_of_another_size_gets_a_new_slot() -> None:
    late = without(clip_of(person(1, 90, (300, 320)), person(2, 90, (700, 700))), 1, slice(30, 90))
    xy, confidence = late.body.xy.copy(), late.body.confidence.copy()
    xy[60:, 1] = person(2, 90, (700, 700), 150)[60:]
    confidence[60:, 1] = 1
    tracked = track(replace(late, body=replace(late.body, xy=xy, confidence=confidence)))

    assert [p.frames_seen for p in describe(tracked).people] == [90, 30, 30]


def test_one_person_at_a_time_stays_in_one_slot_across_a_cut() -> None:
    xy = np.concatenate([person(1, 10, (150, 150)), person(1, 10, (900, 900), 100)])
    truth = clip_of(xy, xy)
    truth = without(without(truth, 1, slice(0, 10)), 0, slice(10, 20))
    tracked = track(truth)

    assert tracked.body.xy.shape[1] == 1
    assert np.array_equal(tracked.body.xy[:, 0], xy)


def test_slots_are_numbered_by_appearance() -> None:
    truth = without(clip_of(person(1, 20, (200, 200)), person(2, 20, (800, 800))), 0, slice(0, 5))
    tracked = track(truth)

    assert [p.first for p in describe(tracked).people] == [0, 5]


@few
@given(seeds)
def test_tracking_twice_changes_nothing(seed: int) -> None:
    once = track(shuffled(clip_of(person(seed, 20, (200, 600)), person(5, 20, (700, 300))), seed))

    assert np.array_equal(track(once).body.xy, once.body.xy)


@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_every_point_of_noise_is_kept_with_its_person(seed: int, frames: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 500, (frames, people, 18, 2))
    confidence = np.where(rng.random((frames, people, 18)) < 0.3, rng.uniform(0.3, 1), 0.0)
    clip = body_clip(CANVAS, xy, confidence)
    clip = replace(clip, body=replace(clip.body, flags=rng.integers(0, 9, (frames, people, 18))))
    tracked = track(clip)

    for frame in range(frames):
        present = confidence[frame].any(-1)
        kept = tracked.body.confidence[frame].any(-1)
        before = np.concatenate([xy[frame, present], clip.body.flags[frame, present, :, None]], -1)
        flags = tracked.body.flags
        flags = np.zeros((*kept.shape, 18)) if flags is None else flags[frame]
        after = np.concatenate([tracked.body.xy[frame, kept], flags[kept][..., None]], -1)
        assert sorted(before.tolist()) == sorted(after.tolist())


def test_noise_cannot_fill_the_memory() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 512, (200, 2, 1, 2)) + rng.normal(0, 1, (200, 2, 18, 2))

    assert track(body_clip(CANVAS, xy)).body.xy.shape[1] <= 16 + 2


def test_a_face_alone_is_followed() -> None:
    clip = clip_of(person(1, 10, (200, 200)), person(2, 10, (800, 800)))
    clip = replace(clip, body=replace(clip.body, confidence=np.zeros((10, 2, 18))))
    clip.face.confidence[:] = 1
    clip.face.xy[:] = np.random.default_rng(0).uniform(0, 60, (1, 1, 68, 2))
    clip.face.xy[::2, 0] += 600
    clip.face.xy[1::2, 1] += 600
    tracked = track(clip)

    assert tracked.face.xy.shape[1] == 2
    assert np.abs(np.diff(tracked.face.xy, axis=0)).max() == 0


def test_input_is_not_modified_and_empty_frames_are_allowed() -> None:
    clip = shuffled(clip_of(person(1, 9, (200, 300)), person(2, 9, (800, 700))), 3)
    clip.body.confidence[4] = 0
    before = clip.body.xy.copy(), clip.body.confidence.copy()
    tracked = track(clip)

    assert np.array_equal(clip.body.xy, before[0])
    assert np.array_equal(clip.body.confidence, before[1])
    assert describe(tracked).empty_frames == (4,)


@pytest.mark.parametrize(("frames", "people"), [(0, 0), (0, 2), (1, 0), (5, 0), (5, 3)])
def test_empty_frames_give_a_clip_without_people(frames: int, people: int) -> None:
    shape = (frames, people, 18)
    clip = track(body_clip(CANVAS, np.zeros((*shape, 2)), np.zeros(shape)))

    assert clip.body.xy.shape == (frames, 0, 18, 2)
    assert choose(clip, "largest").body.xy.shape == (frames, 0, 18, 2)
    assert describe(clip).people == ()


# Choice


def test_largest_multiplies_size_by_frames_seen() -> None:
    large, small = person(1, 20, (200, 220), 400), person(2, 20, (700, 700), 200)
    clip = clip_of(small, large)

    assert np.array_equal(choose(clip, "largest").body.xy[:, 0], clip.body.xy[:, 1])
    brief = without(clip, 1, slice(1, 20))
    assert np.array_equal(choose(brief, "largest").body.xy[:, 0], clip.body.xy[:, 0])


def test_index_and_all() -> None:
    clip = clip_of(person(1, 4, (200, 220)), person(2, 4, (700, 700)))
    clip = replace(clip, body=replace(clip.body, flags=np.full((4, 2, 18), Flag.EDITED, np.uint8)))
    second = choose(clip, 1)

    assert second.body.xy.shape == (4, 1, 18, 2)
    assert np.array_equal(second.body.xy[:, 0], clip.body.xy[:, 1])
    assert (second.body.flags == Flag.EDITED).all()
    assert choose(clip, "all").body.xy.shape == (4, 2, 18, 2)


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_out_of_range_raises_with_the_number_of_people(index: int) -> None:
    clip = clip_of(person(1, 2, (200, 220)), person(2, 2, (700, 700)))

    with pytest.raises(InputError, match=rf"person got {index}; the clip has 2 people.*0 to 1"):
        choose(clip, index)


def test_an_index_in_an_empty_clip_and_unknown_words_raise() -> None:
    nobody = body_clip(CANVAS, np.zeros((3, 0, 18, 2)))

    with pytest.raises(InputError, match="person got 0; the clip has 0 people"):
        choose(nobody, 0)
    with pytest.raises(InputError, match="person got 'tallest'; it must be"):
        choose(nobody, "tallest")


# Report


def test_report_lists_when_each_person_is_seen() -> None:
    xy = np.full((10, 3, 18, 2), 100.0)
    xy[:, :, 0] = (40, 20)
    clip = body_clip(CANVAS, xy)
    clip.body.confidence[[0, 1, 2, 7]] = 0
    clip.body.confidence[:5, 1] = 0
    clip.body.confidence[:, 2] = 0
    report = describe(clip)

    assert [(p.frames_seen, p.first, p.last) for p in report.people] == [
        (6, 3, 9),
        (4, 5, 9),
        (0, None, None),
    ]
    assert report.people[0].box == (40, 20, 100, 100)
    assert report.empty_frames == (0, 1, 2, 7)
    assert report.text() == (
        "3 people in 10 frames\n"
        "person 0: 6 frames from 3 to 9, 60 x 80 px at (40, 20)\n"
        "person 1: 4 frames from 5 to 9, 60 x 80 px at (40, 20)\n"
        "person 2: never seen\n"
        "no person in 4 frames: 0-2, 7"
    )


# Assignment


@given(seeds, st.integers(0, 3), st.integers(0, 4), st.floats(0, 1))
def test_assignment_has_the_least_cost_of_all_permutations(
    seed: int, rows: int, columns: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    cost = np.where(rng.random((rows, columns)) < share, rng.uniform(0, 3, (rows, columns)), np.inf)
    alone = 2.0
    padded = np.full((rows, columns + rows), alone)  # each row may stay alone
    padded[:, :columns] = cost
    best = min(
        sum(padded[row, column] for row, column in enumerate(way))
        for way in permutations(range(columns + rows), rows)
    )
    pairs = assign(cost, alone)
    total = sum(cost[pair] for pair in pairs) + alone * (rows - len(pairs))

    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert total == pytest.approx(best)


# Forgetting, clothes, and time

RED, BLUE = (53.0, 80.0, 67.0), (32.0, 79.0, -108.0)  # CIELAB


def replaced(seconds: float, fps: float, moved: float = 0.0, seed: int = 2) -> PoseClip:
    """Return two people, of whom one is replaced by somebody else after an absence."""
    gap, frames = round(seconds * fps), round(seconds * fps) + 20
    other = np.concatenate(
        [person(2, 10, (700, 700)), person(seed, gap + 10, (700 + moved, 700 + moved))]
    )
    return without(clip_of(person(1, frames, (300, 300)), other), 1, slice(10, 10 + gap))


def seen_in(clip: PoseClip) -> list[int]:
    return [p.frames_seen for p in describe(clip).people]


@pytest.mark.parametrize("fps", [8.0, 30.0, 120.0])
def test_a_person_is_forgotten_after_seconds_at_any_frame_rate(fps: float) -> None:
    brief, long = follow_people(replaced(2.5, fps), fps), follow_people(replaced(3.5, fps), fps)

    assert (len(seen_in(brief.clip)), brief.forgotten, brief.notes()) == (2, 0, ())
    assert (len(seen_in(long.clip)), long.forgotten) == (3, 1)
    frames = f"1 times a person was not seen for more than 3 seconds ({3 * fps:.0f} frames)"
    assert frames in long.notes()[0]


def test_the_gate_does_not_grow_without_bound() -> None:
    far = track(replaced(2.5, 30, moved=450, seed=5))

    assert seen_in(far) == [95, 10, 10]


@pytest.mark.parametrize(("colour", "people"), [(RED, 2), (BLUE, 3), ((np.nan,) * 3, 2)])
def test_clothes_tell_who_returns(colour: tuple[float, ...], people: int) -> None:
    clip = replaced(1.0, 30)
    colours = np.full((len(clip), 2, 3), RED)
    colours[40:, 1] = colour

    assert follow_people(clip, 30, colours).clip.body.xy.shape[1] == people


def test_clothes_decide_between_people_who_meet() -> None:
    # Both turn round where they meet, so that place and speed point to the other one.
    xs = np.concatenate([np.linspace(300, 500, 20), np.linspace(500, 300, 20)])
    one = person(3, 40, (0, 0)) + np.stack([xs, np.zeros(40)], -1)[:, None]
    two = person(3, 40, (0, 0)) + np.stack([1000 - xs, np.zeros(40)], -1)[:, None]
    truth = clip_of(one, two)
    colours = np.empty((40, 2, 3))
    colours[:, 0], colours[:, 1] = RED, BLUE

    assert mistakes(track(truth, 30), truth) > 10
    assert mistakes(track(truth, 30, colours), truth) <= 2


def test_brief_people_share_the_last_slots_and_the_report_says_so() -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 512, (200, 1, 1, 2)) + rng.normal(0, 1, (200, 1, 18, 2))
    xy = np.concatenate([person(1, 200, (300, 320))[:, None], noise], axis=1)
    found = follow_people(body_clip(CANVAS, xy))

    assert found.shared == 1
    assert seen_in(found.clip)[0] == 200
    assert sum(seen_in(found.clip)) == 400
    assert "16 are brief sightings of different people" in found.notes()[-1]
