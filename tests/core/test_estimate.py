import pytest

from animate_anyone.estimate import estimate_memory
from animate_anyone.types import Size
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.moore import MOORE


def estimate(preset=MOORE, **changes):
    usual = {"frames": 48, "size": Size(512, 768), "window_frames": 24, "rows": 2, "value_bytes": 2}
    return estimate_memory(preset, **{**usual, **changes})


def test_weights_of_the_public_set_are_counted_exactly():
    numbers = estimate(value_bytes=1).weights

    # The published counts, without ReferenceNet's unused last layers and the 21 motion modules'
    # 42 position tables, which are not parameters.
    assert 2.15e9 < numbers < 859_508_800 + 1_312_730_244 + 1_086_480


@pytest.mark.parametrize(
    ("changes", "part", "factor"),
    [
        ({"frames": 96}, "clip", 2),
        ({"frames": 96}, "working", 1),
        ({"rows": 1}, "working", 0.5),
        ({"size": Size(1024, 768)}, "working", 2),
        ({"value_bytes": 4}, "weights", 2),
        ({"frames": 12}, "working", 0.5),
    ],
)
def test_parts_grow_with_what_they_depend_on(changes, part, factor):
    usual, changed = estimate(), estimate(**changes)

    assert getattr(changed, part) == pytest.approx(factor * getattr(usual, part), rel=1e-6)


def test_working_memory_holds_the_widest_layer():
    widest = 48 * 96 * 64 * 320 * 8 * 2  # feed-forward input at level 0: rows, tokens, 8 * 320

    assert widest < estimate().working < 4 * widest


def test_every_more_reference_adds_its_keys_and_values():
    one, two, eight = (estimate(references=count) for count in (1, 2, 8))
    more = two.working - one.working
    assert one == estimate()
    assert eight.working - one.working == 7 * more
    assert (two.weights, two.clip) == (one.weights, one.clip)
    joined = 2 * 24 * 96 * 64 * 320 * 2  # keys and values beside those of 24 frames, in bytes
    assert joined < more < 1.6 * joined


def test_total_is_the_sum():
    need = estimate(AA_MINI, size=Size(128, 128), value_bytes=4)

    assert need.total == need.weights + need.clip + need.working


def test_persons_need_more_than_as_many_references():
    needs = [
        estimate(references=count, per_person=each).working
        for count, each in ((2, False), (2, True), (3, True))
    ]
    assert needs == sorted(set(needs))
