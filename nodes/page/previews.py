"""The live preview while a sampler runs: frames of the current estimate on one sheet."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image as PictureFile
from torch import Tensor

from ...animate_anyone.media import spread
from ..comfyui import host
from . import messages as page

Picture = PictureFile.Image
Callback = Callable[[int, Tensor, Tensor, int], None]  # step, estimate, state, number of steps

TILES = 24  # frames on a sheet, at most
PAUSE_SECONDS = 0.25  # between two sheets, at least
PAUSE_COSTS = 20  # in multiples of a sheet's own time, so that sheets take under 5 % of the time


def clip_preview(
    model: host.ModelPatcher,
    frames: int,  # of the clip
    steps: int,
) -> Callback | None:
    """Return the callback that a sampler calls after each step, or None for the host's previews.

    Pictures are made by the preview method that the user has chosen in the host.
    """
    picture = host.preview_decoder(model)
    if picture is None:
        return None
    return ClipPreview(picture, host.show_steps(steps), spread(frames, TILES), steps)


@dataclass(frozen=True)
class Grid:
    """The arrangement of tiles on a sheet: row by row, from the left."""

    columns: int
    rows: int
    scale: float  # of a tile


def choose_grid(
    tiles: int,
    size: tuple[int, int],  # width and height of a tile's picture
    side: int,  # pixels that the sheet may be wide and high
) -> Grid:
    """Return the grid in which the tiles are largest."""
    grids = []
    for columns in range(1, tiles + 1):
        rows = -(-tiles // columns)
        scale = min(side / (columns * size[0]), side / (rows * size[1]))
        grids.append(Grid(columns, rows, scale))
    return max(grids, key=lambda grid: (grid.scale, -grid.columns * grid.rows))


def lay_out(
    pictures: Sequence[Picture],  # of one size
    side: int,  # pixels that the sheet may be wide and high
) -> tuple[Picture, Grid]:
    """Return pictures as one sheet of equal tiles."""
    grid = choose_grid(len(pictures), pictures[0].size, side)
    width, height = (max(1, int(length * grid.scale)) for length in pictures[0].size)
    sheet = PictureFile.new("RGB", (grid.columns * width, grid.rows * height))
    for place, picture in enumerate(pictures):
        row, column = divmod(place, grid.columns)
        tile = picture.resize((width, height), PictureFile.Resampling.BILINEAR)
        sheet.paste(tile, (column * width, row * height))
    return sheet, grid


class ClipPreview:
    """Sends a sheet of the estimate from time to time, and always after the last step."""

    def __init__(
        self,
        picture: Callable[[Tensor], Picture],  # of one frame: (1, c, h, w)
        show: Callable[[int, Picture | None], None],  # steps done, sheet
        shown: Sequence[int],  # frames that are on the sheet
        steps: int,
    ) -> None:
        self._picture, self._show, self._shown, self._steps = picture, show, shown, steps
        self._next = 0.0  # earliest time of the next sheet

    def __call__(self, step: int, estimate: Tensor, state: Tensor, steps: int) -> None:
        """Show the state after a step; the estimate is (f, c, h, w)."""
        del state, steps  # the host passes them, nothing here depends on them
        begin = time.monotonic()
        if begin < self._next and step + 1 < self._steps:
            self._show(step + 1, None)
            return
        pictures = [self._picture(estimate[frame : frame + 1]) for frame in self._shown]
        sheet, grid = lay_out(pictures, host.preview_side())
        layout = {"columns": grid.columns, "rows": grid.rows, "frames": list(self._shown)}
        page.send("preview", {"node": host.executing_node(), **layout, "total": len(estimate)})
        self._show(step + 1, sheet)
        end = time.monotonic()
        self._next = end + max(PAUSE_SECONDS, PAUSE_COSTS * (end - begin))
