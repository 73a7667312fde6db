"""All weight sets by name. A new one is a module beside this one and its entry in the list here.

Lists of presets, the command `download`, detection by shapes and the page's table of files are
made from this table when they are asked for.
"""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from ...config import Preset
from ...errors import ConfigError
from . import aa_mini, dwpose, moore, musepose, novita, paper
from .record import WeightSet

Known = TypeVar("Known")

# Where a file's shapes fit several presets equally well, the first one counts.
SETS: dict[str, WeightSet] = {
    one.name: one
    for one in (aa_mini.SET, moore.SET, novita.SET, musepose.SET, paper.SET, dwpose.SET)
}
POSE_PAIR = dwpose.SET.name


def presets() -> dict[str, Preset]:
    """Return the presets by name: one for each weight set with networks of Animate Anyone."""
    return {name: one.preset for name, one in SETS.items() if one.preset is not None}


def published() -> dict[str, WeightSet]:
    """Return the weight sets that can be fetched, by name."""
    return {name: one for name, one in SETS.items() if one.files}


def get_set(name: str) -> WeightSet:
    """Return the weight set of this name; an unknown name is answered with the nearest one."""
    return _named("weight set", name, SETS)


def get_preset(name: str) -> Preset:
    """Return the preset of this name; an unknown name is answered with the nearest one."""
    return _named("preset", name, presets())


def _named(what: str, name: str, known: Mapping[str, Known]) -> Known:
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ConfigError(
        f"{what} got {name!r}; known ones are {', '.join(known)}. Did you mean {nearest!r}?"
    )
