"""The step cache: which calls are full, and which features they get."""

import pytest
import torch

from animate_anyone.diffusion.step_cache import StepCache, full_steps, place_of_features
from animate_anyone.errors import ConfigError, InputError


def shown(every, steps):
    return "".join("F" if full else "." for full in full_steps(every, steps))


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (1, 6, "FFFFFF"),
        (2, 20, "FFF.F.F.F.F.F.F.F.FF"),
        (3, 20, "FFF..F..F..F..F..F.F"),
        (5, 20, "FFF....F....F....F.F"),
        (2, 2, "FF"),
        (4, 4, "F..F"),
        (1, 1, "F"),
    ],
)
def test_first_steps_and_the_last_are_full(every, steps, expected):
    assert shown(every, steps) == expected


def test_samplers_with_two_calls_a_step_are_counted_by_calls():
    cache, groups = StepCache(3, 10), []
    for step in range(10):
        groups += [cache.begin(step) for _ in range(1 if step == 9 else 2)]
    # Four calls in the first two steps, each in full; then groups of three calls; then the last.
    assert groups == [0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8]


def test_features_are_found_for_the_same_rows_and_for_some_of_them():
    cache = StepCache(3, 20)
    cache.begin(5)
    names = cache.names(["free", "seen"])
    assert cache.find(names) is None
    features = torch.arange(6.0)[:, None]  # three frames of each row
    cache.keep(names, features)
    cache.begin(6)
    both = cache.names(["free", "seen"])
    assert cache.find(both).data_ptr() == features.data_ptr()  # not copied
    assert torch.equal(cache.find(both), features)
    assert cache.find(both[1:]).tolist() == features[3:].tolist()
    assert cache.find(both[1:]).data_ptr() == features[3:].data_ptr()
    assert cache.find(both[::-1]).tolist() == [*features[3:].tolist(), *features[:3].tolist()]
    assert cache.find(cache.names(["other"])) is None
    cache.begin(7)
    cache.begin(8)  # the next group
    assert cache.find(cache.names(["free", "seen"])) is None


def test_a_row_that_is_computed_twice_in_a_call_has_features_of_its_own():
    cache = StepCache(3, 20)
    cache.begin(5)
    first, again = cache.names(["free"]), cache.names(["free"])
    cache.keep(first, torch.zeros(1))
    assert cache.find(again) is None
    cache.keep(again, torch.ones(1))
    cache.begin(6)
    assert [cache.find(cache.names(["free"])).item() for _ in range(2)] == [0, 1]


def test_more_rows_replace_fewer_and_the_last_step_keeps_nothing():
    cache = StepCache(2, 20)
    cache.begin(4)
    cache.keep(cache.names(["seen"]), torch.zeros(2))
    cache.keep((("free", 0), ("seen", 0)), torch.ones(4))
    assert cache.find([("seen", 0)]).tolist() == [1, 1]
    cache.begin(19)
    cache.keep((("seen", 0),), torch.zeros(2))
    assert cache.find([("seen", 0)]) is None


@pytest.mark.parametrize(
    ("every", "steps", "why"), [(0, 20, "must be 1"), (5, 4, "no second full step")]
)
def test_impossible_caches_are_refused(every, steps, why):
    with pytest.raises(ConfigError, match=f"step_cache got {every}.*{why}"):
        StepCache(every, steps)


def test_features_stay_on_the_device_move_to_the_computer_or_are_refused():
    card, computer = torch.device("cuda"), torch.device("cpu")
    assert place_of_features(5, card, 10, 10) == card
    assert place_of_features(5, card, None, None) == card
    assert place_of_features(5, card, 4, 10) == computer
    with pytest.raises(InputError, match=r"step_cache got .* keeps 5\.00 GB; 4\.00 GB are free"):
        place_of_features(5 * 10**9, card, 3 * 10**9, 4 * 10**9)
    with pytest.raises(InputError, match="step_cache 1, which keeps nothing"):
        place_of_features(5, computer, 4, 10)
