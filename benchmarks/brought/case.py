"""One kind of file that people bring: how it is made, what is right, and what came out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from animate_anyone.errors import InputError, MediaError

RIGHT, REFUSED, WRONG = "right", "refused", "silently wrong"


class MismatchError(Exception):
    """A check found that a file was read, and that something else came out than it holds."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of file, and how to find out whether it is read as a user expects."""

    name: str  # what the file is, for the table: "phone video, mirrored"
    expected: str  # what is right, for the table, with the bound if there is one
    make: Callable[[Path], Path]  # writes the file in an empty folder, and returns its path
    read: Callable[[Path], str]  # reads it; returns what was found, or raises MismatchError
    refusal: str | None = None  # words that the error must hold; None: the file must be read


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case: RIGHT, REFUSED or WRONG, and what was seen."""

    kind: str
    seen: str


def tried(case: Case, folder: Path) -> Outcome:
    """Make the file of a case in an empty folder, read it, and judge what came out.

    A refusal counts only if the case expects one and its words are there: an error that does not
    say what is wrong, or one for a file that should be read, is WRONG too.
    """
    path = case.make(folder)
    try:
        seen = case.read(path)
    except (InputError, MediaError) as error:
        said = " ".join(str(error).replace(str(folder), "").split())
        named = case.refusal is not None and case.refusal in said
        return Outcome(kind=REFUSED if named else WRONG, seen=said)
    except MismatchError as mismatch:
        return Outcome(kind=WRONG, seen=str(mismatch))
    if case.refusal is not None:
        return Outcome(kind=WRONG, seen=f"read, although it should be refused: {seen}")
    return Outcome(kind=RIGHT, seen=seen)
