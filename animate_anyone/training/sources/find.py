"""Find the source of examples that `--data` names.

Each file `*_source.py` in this folder holds a `KIND`. Such a file is found by its name and needs
no other registration.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from ...errors import InputError
from ...evaluation.pairs import Pair
from ..config import TrainingConfig
from .batch import Source

if TYPE_CHECKING:
    from ..stages import Choices

MakePairs = Callable[[], Iterable[Pair]]  # called at every validation


@dataclass(frozen=True, kw_only=True)
class ValidationSize:
    """The amount of data for a validation."""

    count: int  # pairs
    frames: int  # of each


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """One kind of examples: how it is recognised, opened, and used for validation."""

    title: str  # what --data must name: "a data set made by `prepare`"
    recognises: Callable[["Choices"], bool]  # by the name, or by the files there
    opens: Callable[["Choices", TrainingConfig], Source]
    # Returns a function that yields the pairs of a validation; None: it has none.
    pairs: Callable[["Choices", TrainingConfig, ValidationSize], MakePairs] | None = None
    # Returns a hash by which a changed data set is noticed; "": its changes are not noticed.
    content: Callable[["Choices"], str] = lambda choices: ""
    drawn: bool = False  # True: drawn characters, whose poses aa-mini's own pose pair can read


def source_kinds() -> list[SourceKind]:
    """Return the kinds of all files `*_source.py`, in the order of their names."""
    assert __package__
    folders = import_module(__package__).__path__
    names = sorted(found.name for found in iter_modules(folders))
    sources = (name for name in names if name.endswith("_source"))
    return [import_module(f".{name}", __package__).KIND for name in sources]


def kind_of(choices: "Choices") -> SourceKind:
    """Return the first kind that recognises the choices; InputError if none does."""
    kinds = source_kinds()
    for kind in kinds:
        if kind.recognises(choices):
            return kind
    raise InputError(
        f"data got {choices.data}, which cannot be used for training; it must be one of: "
        f"{'; '.join(kind.title for kind in kinds)}. Check the path."
    )
