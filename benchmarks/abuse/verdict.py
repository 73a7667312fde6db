"""What became of one attempt, and the count of many."""

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from animate_anyone.errors import AnimateAnyoneError

CLEAR, ACCEPTED, FAULT = "clear", "accepted", "fault"
KEPT_FAULTS = 30  # of a kind, with their words


@dataclass(frozen=True)
class Verdict:
    """CLEAR: refused in words. ACCEPTED: the result is whole. FAULT: anything else."""

    kind: str
    said: str = ""


@dataclass
class Tally:
    """The verdicts of one kind of abuse."""

    title: str
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((CLEAR, ACCEPTED, FAULT), 0)
    )
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # figures that were measured on the way
    unfinished: str = ""  # why attempts are left

    @property
    def tried(self) -> int:
        """Return the number of attempts."""
        return sum(self.counts.values())

    def add(self, verdict: Verdict, name: object = "") -> None:
        """Count a verdict; keep the words of a fault."""
        self.counts[verdict.kind] += 1
        if verdict.kind == FAULT and len(self.faults) < KEPT_FAULTS:
            self.faults.append(f"{name}: {verdict.said}")

    def write(self, path: Path) -> None:
        """Save it, so that a campaign can go on with the next kind."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Tally":
        """Return what `write` saved."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def judged(
    attempt: Callable[[], object],
    names: Sequence[str],  # one of them must stand in an error: the file, or the input
) -> Verdict:
    """Run an attempt; an error of ours counts as clear if it names the input and the way out."""
    try:
        attempt()
    except AnimateAnyoneError as error:
        return of_words(str(error), names)
    except SystemExit as error:
        return Verdict(CLEAR if error.code == 2 else FAULT, f"exit {error.code}")
    except BaseException:  # a fault may be anything, also what Rust and C raise
        return Verdict(FAULT, last_lines(traceback.format_exc()))
    return Verdict(ACCEPTED)


def of_words(said: str, names: Sequence[str]) -> Verdict:
    """Return CLEAR for an error text that names an input and says more than that it is wrong."""
    if not any(name in said for name in names):
        return Verdict(FAULT, f"names no input: {said[:300]}")
    if not said.rstrip().endswith((".", ")", "?")) or len(said.split()) < 6:
        return Verdict(FAULT, f"no way out: {said[:300]}")
    return Verdict(CLEAR, said)


def last_lines(text: str) -> str:
    """Return the end of a traceback as one line."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-5:])[-600:]
