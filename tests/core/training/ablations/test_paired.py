"""Paired differences of the rows of the ablation, and when they count."""

import numpy as np
import pytest

from animate_anyone.training.ablations.paired import interval, paired_difference


def figures(shift, *, seeds=2, noise=0.1, characters=40, seed=0):
    """Return the figures of a row: what characters share, a shift, and noise of its own."""
    shared = np.random.default_rng(7).normal(size=characters) * 5
    rng = np.random.default_rng(seed)
    return shared + shift + rng.normal(size=(seeds, characters)) * noise


def test_what_characters_share_does_not_hide_a_difference():
    found = paired_difference(figures(0.1, seed=1), figures(0.0, seed=2))
    apart = figures(0.1, seed=1) - figures(0.0, seed=2)
    assert found.mean == pytest.approx(apart.mean())
    assert found.by_seed == pytest.approx(tuple(apart.mean(1)))
    assert found.error == pytest.approx(apart.mean(0).std(ddof=1) / 40**0.5)
    assert 0 < found.low < found.mean < found.high < 0.2
    assert found.sign == 1
    assert paired_difference(figures(0.0, seed=2), figures(0.1, seed=1)).sign == -1


def test_a_difference_of_one_seed_alone_is_none():
    one = np.stack([figures(0.3, seeds=1)[0], figures(0.0, seeds=1, seed=3)[0]])
    found = paired_difference(one, figures(0.0, seed=2))
    assert found.low > 0  # the mean over seeds would say yes
    assert found.sign == 0


def test_one_seed_says_nothing_of_training():
    found = paired_difference(figures(1.0, seeds=1), figures(0.0, seeds=1, seed=2))
    assert found.low > 0.5
    assert found.sign == 0


def test_the_interval_is_that_of_the_normal_distribution_for_normal_values():
    values = np.random.default_rng(4).normal(size=400)
    low, high = interval(values)
    error = values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert interval(values) == (low, high)  # the same at every call


def test_few_or_equal_values_give_a_finite_interval():
    assert interval(np.array([3.0, 3.0])) == (3.0, 3.0)
    assert np.isfinite(interval(np.array([0.0, 1.0]))).all()
