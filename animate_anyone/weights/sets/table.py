"""All weight sets by name. To add one, write a module in this folder and list it here.

Lists of presets, the command `download`, detection by shapes and the page's table of files read
this table when they are used.
"""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from ...config import Preset
from ...errors import ConfigError
from . import aa_mini, dwpose, moore, musepose, novita, paper
from .record import WeightSet

Known = TypeVar("Known")

# If a file's shapes fit several presets equally well, the first one is used.
SETS: dict[str, WeightSet] = {
    one.name: one
    for one in (aa_mini.SET, moore.SET, novita.SET, musepose.SET, paper.SET, dwpose.SET)
}
POSE_PAIR = dwpose.SET.name


def presets() -> dict[str, Preset]:
    """Return the presets by name: one for each weight set with networks of Animate Anyone."""
    return {name: one.preset for name, one in SETS.items() if one.preset is not None}


def published() -> dict[str, WeightSet]:
    """Return the weight sets that can be downloaded, by name."""
    return {name: one for name, one in SETS.items() if one.files}


def get_set(name: str) -> WeightSet:
    """Return the weight set of this name; ConfigError, with the nearest name, if there is none."""
    return _named("weight set", name, SETS)


def get_preset(name: str) -> Preset:
    """Return the preset of this name; ConfigError, with the nearest name, if there is none."""
    return _named("preset", name, presets())


def _named(what: str, name: str, known: Mapping[str, Known]) -> Known:
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ConfigError(
        f"{what} got {name!r}; known ones are {', '.join(known)}. Did you mean {nearest!r}?"
    )
