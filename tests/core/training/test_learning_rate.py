"""The learning rate schedule."""

import pytest

from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.learning_rate import learning_rate_at

RUN = {"steps": 10, "learning_rate": 1.0, "warm_up": 2, "decay_from": 0.5}


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.5), (1, 1.0), (4, 1.0), (8, 0.4), (10, 0.0), (12, 0.0)], ids=str
)
def test_warm_up_constant_and_decay(step, share):
    assert TrainingConfig(**RUN).learning_rate_at(step) == pytest.approx(share)


def test_decay_to_a_share_and_no_decay():
    assert learning_rate_at(10, **RUN, decay_to=0.01) == pytest.approx(0.01)
    assert learning_rate_at(5, **RUN, decay_to=0.01) == 1.0
    assert learning_rate_at(9, **RUN | {"decay_from": 1}) == 1.0


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert learning_rate_at(0, **RUN | {"warm_up": 0}) == 1.0
