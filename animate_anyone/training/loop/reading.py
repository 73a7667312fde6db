"""Reads the examples of a process's steps, in advance if there are workers."""

from collections.abc import Callable, Iterator, Sequence

import torch

from ..config import TrainingConfig
from ..sources.batch import Batch, Draw, Source

Part = tuple[Sequence[int], Batch]  # the rows of a part of a step, and their examples


def draw_of(config: TrainingConfig) -> Draw:
    """Return how the examples of a run are drawn."""
    return Draw(
        seed=config.seed,
        examples=config.examples,
        frames=config.frames,
        consecutive=config.stage == 2,
        distance=config.reference_distance,
        least_crop=config.least_crop,
        references=config.references,
        reference_dropout=config.reference_dropout,
        figure=config.figure_margin if config.figure_weight else 0.0,
        hands=config.box_rule(config.hand_weight),
        faces=config.box_rule(config.face_weight),
    )


def read_steps(
    source: Source,
    config: TrainingConfig,
    rows: Sequence[Sequence[int]],  # of this process, for each part of a step
    first: int,  # step
    *,
    pinned: bool,  # in memory from which a card copies while it computes
    begin: Callable[[int], None] | None = None,  # what each worker calls first, with its number
) -> Iterator[list[Part]]:
    """Yield the parts of each remaining step."""
    loader = torch.utils.data.DataLoader(
        _Steps(source, draw_of(config), rows),
        batch_size=None,
        sampler=range(first, config.steps),
        num_workers=config.workers,
        pin_memory=pinned,
        worker_init_fn=begin,
    )
    return ([*zip(rows, parts, strict=True)] for parts in loader)


class _Steps(torch.utils.data.Dataset):
    """The batches of a process, by the number of the step."""

    def __init__(self, source: Source, draw: Draw, rows: Sequence[Sequence[int]]) -> None:
        self.source, self.draw, self.rows = source, draw, rows

    def __getitem__(self, step: int) -> list[Batch]:
        return [self.source.batch(self.draw, step, rows) for rows in self.rows]
