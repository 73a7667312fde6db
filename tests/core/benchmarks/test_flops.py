"""The exact savings hold: no step costs more than its lower bound."""

import pytest

from benchmarks.flops import BOUNDS, count, networks


@pytest.fixture(scope="module")
def pair():
    return networks()


@pytest.mark.parametrize("size", BOUNDS)
def test_a_step_costs_no_more_than_its_bound(pair, size):
    counted = count(*pair, *size)
    assert 0.9 < counted.ratio <= 1.02
