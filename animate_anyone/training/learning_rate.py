"""The learning rate schedule, the same for every training here."""


def learning_rate_at(
    step: int,  # from 0
    *,
    steps: int,  # of the run
    learning_rate: float,  # after the warm-up, before the decay
    warm_up: int,  # steps
    decay_from: float,  # share of the run after which the learning rate falls; 1: never
    decay_to: float = 0.0,  # share of the learning rate at the end of the decay
) -> float:
    """Return the learning rate of a step: warm-up, constant, linear decay.

    It depends only on the step and the settings. So a resumed run has no state to restore, and its
    settings may change.
    """
    rise = (step + 1) / max(warm_up, 1)
    fall = (1 - step / steps) / (1 - decay_from) + decay_to if decay_from < 1 else 1.0
    return learning_rate * max(min(1.0, rise, fall), 0.0)
