"""What a run trains, by name: parts of the networks, or patterns of parameter names."""

import difflib
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from ...errors import ConfigError

_TEMPORAL = "motion_modules"


def _starts(prefix: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefix) and _TEMPORAL not in name


# By name: whether a parameter of `AnimateNetworks` belongs to the part.
PARTS: dict[str, Callable[[str], bool]] = {
    "denoiser": _starts("denoiser."),  # without its temporal layers
    "attention": lambda name: _starts("denoiser.")(name) and ".attentions." in name,
    "temporal": lambda name: _TEMPORAL in name,
    "reference": _starts("reference_net."),
    "pose_guider": _starts("pose_guider."),
    "image_encoder": _starts("image_encoder."),
}
_WILD = "*?["


def words_of(names: str) -> list[str]:
    """Return the names and patterns of a setting, which are separated by commas or spaces.

    ConfigError for a name that is neither a part nor a pattern.
    """
    if not isinstance(names, str):
        raise ConfigError(
            f'train got {names!r}; it is a text of names with commas, such as "attention". '
            "Correct it."
        )
    words = names.replace(",", " ").split()
    for word in words:
        if word not in PARTS and not any(sign in word for sign in _WILD):
            nearest = difflib.get_close_matches(word, PARTS, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"train got {word!r}; it takes {', '.join(PARTS)}, and patterns with * of "
                f"parameter names, such as 'denoiser.up_blocks.*'. Did you mean {nearest!r}?"
            )
    return words


def named(
    names: str,  # as in the configuration; not empty
    parameters: Collection[str],  # of the networks of this stage
) -> set[str]:
    """Return the parameters that the names choose; ConfigError for a name that chooses none."""
    chosen: set[str] = set()
    for word in words_of(names):
        belongs = PARTS.get(word, lambda name, word=word: fnmatchcase(name, word))
        found = {name for name in parameters if belongs(name)}
        if not found:
            raise ConfigError(
                f"train got {word!r}, but the networks of this stage have no such parameters: "
                "temporal layers exist in stage 2 only, and an image encoder only with "
                "train_image_encoder true. Leave it out, or correct the pattern."
            )
        chosen |= found
    return chosen
