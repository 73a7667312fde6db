"""All kinds of abuse in the order of the table, and the table."""

import re
from collections.abc import Callable, Sequence

from .children import try_all
from .files import reading
from .host import interrupts, memory, prompts, routes
from .order import Order
from .processes import disks, kills, writers
from .verdict import ACCEPTED, CLEAR, FAULT, Tally, Verdict

Campaign = Callable[[Order], list[Tally]]
UNIT = 125  # attempts of a kind of file with a share of 1, in full
SHORT = 12  # the same, of all kinds, in the short form


def _files(name: str) -> Campaign:
    kind = reading.KINDS[name]

    def run(order: Order) -> list[Tally]:
        attempt = kind.start(order.folder)
        count = SHORT if order.short else UNIT * kind.share

        def one(number: int) -> Verdict:
            reading.quiet()
            return attempt(number, reading.rng_of(order.seed, kind.title, number))

        return [try_all(Tally(kind.title), count, one)]

    return run


KINDS: dict[str, Campaign] = {
    **{name: _files(name) for name in reading.KINDS},
    "prompts": prompts.prompts,
    "routes": routes.routes,
    "interrupts": interrupts.interrupts,
    "queue": memory.queue,
    "long": memory.long_clip,
    "kills": kills.kills,
    "disks": disks.disks,
    "writers": writers.writers,
}
OF_HOSTS = ("prompts", "routes", "interrupts", "queue", "long")  # kinds that need a ComfyUI
ABOUT = """# Abuse

What happens when files are damaged, prompts are made by hand, processes are killed and disks are
full, tried by `python -m benchmarks.abuse` (seeded; a kind can be tried alone). *Clear*: refused
by an error that names the input and the way out. *Accepted*: the result was right and whole.
*Fault*: a traceback, a hang, a dead server, a half-written file under its final name, or code that
ran. `make test` runs a short form.

"""


def lines_of(tallies: Sequence[Tally]) -> list[str]:
    """Return the rows of the table, and the words of faults below."""
    rows = [
        f"| {each.title} | {each.tried:,} | {each.counts[CLEAR]:,} | {each.counts[ACCEPTED]:,} | "
        f"{each.counts[FAULT]:,} |"
        for each in tallies
    ]
    told = [f"  FAULT {fault}" for each in tallies for fault in each.faults]
    left = [f"  {each.unfinished}" for each in tallies if each.unfinished]
    return rows + told + left + [f"  {note}" for each in tallies for note in each.notes]


def document(
    tallies: Sequence[Tally],
    before: str = "",  # the page as it was; its rows of which there is no tally stay
) -> str:
    """Return the page in docs."""
    new = {each.title: each for each in tallies}
    kept = re.findall(r"^\| (.+?) \| (?=[\d,]+ \|)", before, re.MULTILINE)
    rows, notes = [], []
    for title in [*kept, *(title for title in new if title not in kept)]:
        if title in new:
            rows += [line for line in lines_of([new[title]]) if line.startswith("|")]
            notes += [f"- {title}: {note}" for note in new[title].notes]
        else:
            lines = before.splitlines()
            rows += [line for line in lines if line.startswith(f"| {title} |")]
            notes += [line for line in lines if line.startswith(f"- {title}: ")]
    head = ["| what | tried | clear | accepted | fault |", "| --- " * 5 + "|"]
    return (
        ABOUT + "\n".join([*head, *rows]) + "\n" + ("\n" + "\n".join(notes) + "\n" if notes else "")
    )
