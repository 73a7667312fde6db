"""The course of the learning rate."""

import pytest

from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.learning_rate import learning_rate_at

RUN = {"steps": 10, "learning_rate": 1.0, "warm_up": 2, "decay_from": 0.5}


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.5), (1, 1.0), (4, 1.0), (8, 0.4), (10, 0.0), (12, 0.0)], ids=str
)
def test_it_rises_stays_and_falls(step, share):
    assert TrainingConfig(**RUN).learning_rate_at(step) == pytest.approx(share)


def test_it_may_fall_to_a_share_or_not_at_all():
    assert learning_rate_at(10, **RUN, decay_to=0.01) == pytest.approx(0.01)
    assert learning_rate_at(5, **RUN, decay_to=0.01) == 1.0
    assert learning_rate_at(9, **RUN | {"decay_from": 1}) == 1.0


def test_no_warm_up_begins_with_the_whole():
    assert learning_rate_at(0, **RUN | {"warm_up": 0}) == 1.0
