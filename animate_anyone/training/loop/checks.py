"""Checks of what a step needs: encoders, and data that fit the networks."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import ConfigError, TrainingError
from ...names.some import some
from .reading import Part

log = logging.getLogger(__name__)

_OPTIONS = {"autoencoder": "--vae", "image_encoder": "--image-encoder"}
CONTENT = "content of the data"  # in a run's origin: a hash


def check_width(what: str, unit: str, found: int, wanted: int) -> None:
    """Raise ConfigError if data were encoded by an encoder that does not fit the networks."""
    if found != wanted:
        raise ConfigError(
            f"data got {what} of {found} {unit}; these networks take {wanted}. Name the encoder "
            "that belongs to them, in training and in `prepare --cache`."
        )


def needed(part: Any, name: str, purpose: str) -> Any:  # noqa: ANN401  (an encoder)
    """Return an encoder; ConfigError if there is none."""
    if part is None:
        raise ConfigError(
            f"{name} got none; it turns {purpose}. Name its file with {_OPTIONS[name]}, or in the "
            "node Train models that hold one, or prepare the data with caches."
        )
    return part


def not_finite(
    loss: float,
    step: int,
    parts: Sequence[Part],  # of the step
) -> TrainingError:
    """Return the error of a loss that is no number, with the examples of its step."""
    names = [name for _, batch in parts for name in batch.names] or ["rows by number only"]
    return TrainingError(
        f"loss got {loss} in step {step} (rows "
        f"{some([row for rows, _ in parts for row in rows])}: {some(names)}); it "
        "must be a finite number. The weights before this step are saved. Look at these "
        "examples, or lower learning_rate, or train with mixed_precision bf16 or no."
    )


def resumed_origin(
    begun: Mapping[str, str],  # by name: the data and weights with which the run was started
    now: Mapping[str, str],  # the same of the command that resumes it
) -> dict[str, str]:
    """Return the origin of a resumed run: as it began, and what is new; warn of differences."""
    for name in begun.keys() & now.keys():
        if now[name] != begun[name] and name == CONTENT:
            log.warning(
                "the data set has changed since the run was started: from here on it draws other "
                "examples than it would have drawn. Restore it, or start a new folder, if they "
                "must stay the same."
            )
        elif now[name] != begun[name]:
            log.warning(
                "the run was started with %s %s; it continues with %s", name, begun[name], now[name]
            )
    return {**now, **begun}
