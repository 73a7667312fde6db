"""Strengths of conditions in parts of a run."""

import pytest

from animate_anyone.diffusion.strength import Strength
from animate_anyone.errors import ConfigError


def test_a_condition_counts_in_its_part_and_is_left_out_elsewhere():
    strength = Strength(value=0.5, start=0.25, end=0.75)
    assert [strength.at(step, 4) for step in range(4)] == [0, 0.5, 0.5, 0]
    assert not strength.usual
    assert [Strength().at(step, 3) for step in range(3)] == [1, 1, 1]
    assert Strength().usual


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"value": -0.1}, "pose strength got -0.1; it must be a finite number of 0 or more"),
        ({"value": float("nan")}, "pose strength got nan"),
        ({"value": float("inf")}, "pose strength got inf"),
        ({"start": 0.6, "end": 0.2}, "from 0.6 until 0.2; both are shares .* pose_from"),
        ({"start": 0.5, "end": 0.5}, "pose interval got from 0.5 until 0.5"),
        ({"end": 1.5}, "pose interval got from 0 until 1.5"),
        ({"start": float("nan")}, "pose interval got from nan until 1"),
    ],
)
def test_what_cannot_be_used_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        Strength(of="pose", **values)


def test_a_part_without_a_step_is_named():
    strength = Strength(of="reference", start=0.4, end=0.45)
    strength.check(20)
    with pytest.raises(
        ConfigError, match=r"reference interval got .* until 0.45; with 4 .* reference_from"
    ):
        strength.check(4)
