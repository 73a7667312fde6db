"""The log of a run: a line of JSON per report, TensorBoard if it is installed, wandb if asked."""

import io
import json
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...errors import TrainingError
from ...media.pictures import write_picture
from ...places import whole_file
from .wandb_board import WandbBoard

log = logging.getLogger(__name__)


def entries_of(path: Path) -> list[dict[str, float]]:
    """Return the entries of a log; damaged lines, as after a crash, are skipped."""
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
        else:
            log.warning("%s has a damaged line, which is skipped: %.40s", path, line)
    return entries


def write_entry(path: Path, step: int, values: dict[str, float], *, run: str) -> None:
    """Append an entry, rounded to five digits, to a log file, and log it under the run's name.

    TrainingError if the file cannot be written.
    """
    entry = {"step": step, **{name: float(f"{v:.5g}") for name, v in values.items()}}
    log.info("%s %s", run, entry)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise TrainingError(
            f"log {path} cannot be written at step {step} ({error}); the checkpoints are not "
            "affected. Free disk space, then run the same command again."
        ) from error


def drop_entries_after(path: Path, step: int) -> None:
    """Remove the entries of later steps from a log file; these steps will be repeated."""
    if path.exists():
        kept = [entry for entry in entries_of(path) if entry["step"] <= step]
        with whole_file(path, name="folder") as part:
            part.write_text("".join(f"{json.dumps(e)}\n" for e in kept), encoding="utf-8")


class Journal:
    """Numbers, pictures and clips by step; only the first process of a run keeps one."""

    def __init__(
        self,
        folder: Path,
        step: int = 0,
        wandb: WandbBoard | None = None,  # shows the same in Weights & Biases
    ) -> None:
        """Open the folder's log; entries after `step`, where the run is resumed, are dropped."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        self.folder = folder
        self._board: Any = None
        self._wandb = wandb
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        drop_entries_after(self.path, step)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Write one entry; TrainingError if the file cannot be written."""
        write_entry(self.path, step, values, run=self.folder.name)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()
        if self._wandb is not None:
            self._wandb.numbers(step, values)

    def picture(
        self,
        step: int,
        name: str,
        picture: np.ndarray,  # (H, W, 3), uint8
    ) -> None:
        """Save a picture as a file, and show it in TensorBoard."""
        path = self.folder / "samples" / f"{name}-{step:08d}.png"
        write_picture(path, picture, "folder")
        if self._wandb is not None:
            self._wandb.file(step, name, path)
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def clip(
        self,
        step: int,
        name: str,
        frames: np.ndarray,  # (f, H, W, 3), uint8
        fps: float,
    ) -> None:
        """Save a clip as an animated GIF, and show it in TensorBoard."""
        pictures = [Image.fromarray(frame) for frame in frames]
        data = io.BytesIO()
        pictures[0].save(
            data,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=_durations(len(frames), fps),
            loop=0,
        )
        path = self.folder / "samples" / f"{name}-{step:08d}.gif"
        with whole_file(path, name="folder") as part:
            part.write_bytes(data.getvalue())
        if self._wandb is not None:
            self._wandb.file(step, name, path)
        if self._board is not None:
            # TensorBoard plays a GIF, but torch only writes still pictures; so the data of the
            # still picture are replaced with the GIF.
            from torch.utils.tensorboard.summary import image

            summary = image(name, frames[0], dataformats="HWC")
            summary.value[0].image.encoded_image_string = data.getvalue()
            self._board.file_writer.add_summary(summary, step)

    def close(self) -> None:
        """Write buffered entries, close TensorBoard's file and end wandb's run."""
        if self._wandb is not None:
            self._wandb.close()
        if self._board is not None:
            self._board.close()


def _durations(count: int, fps: float) -> list[int]:  # milliseconds, of each frame
    """Return how long the frames of a GIF are shown, so that the whole has the right length.

    A GIF counts hundredths of a second: at 30 frames per second frames last 30, 40 and 30 ms in
    turn. Viewers slow down frames of less than 20 ms, so no frame is shorter.
    """
    ends = [round(100 * number / fps) for number in range(count + 1)]
    return [10 * max(2, end - start) for start, end in pairwise(ends)]


def means_of(
    rows: Sequence[dict[str, float]],  # all with the same figures
) -> dict[str, float]:
    """Return the mean of each figure."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
