"""Checks of what a step needs: encoders, and data that fit the networks."""

from typing import Any

from ...errors import ConfigError


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
            f"{name} got none; it turns {purpose}. Name the models whose {name} is used, or "
            "prepare the data with caches."
        )
    return part
