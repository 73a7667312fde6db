"""What a run says about itself: a line of JSON per report, and TensorBoard where there is one."""

import io
import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...errors import TrainingError
from ...media.pictures import whole_file

log = logging.getLogger(__name__)


def entries_of(path: Path) -> list[dict[str, float]]:
    """Return the entries of a log; a line that a crash has cut off is left out."""
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            log.warning("%s holds a damaged line, which is left out: %.40s", path, line)
    return entries


def write_entry(path: Path, step: int, values: dict[str, float], *, of: str) -> None:
    """Add an entry to a log, to five digits, and tell it under a name.

    TrainingError if the disk does not take it.
    """
    entry = {"step": step, **{name: float(f"{v:.5g}") for name, v in values.items()}}
    log.info("%s %s", of, entry)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise TrainingError(
            f"log {path} cannot be written at step {step} ({error}); the checkpoints are "
            "untouched. Make room, then start the same command again."
        ) from error


def forget_after(path: Path, step: int) -> None:
    """Drop entries of steps that will be taken again."""
    if path.exists():
        kept = [entry for entry in entries_of(path) if entry["step"] <= step]
        with whole_file(path) as part:
            part.write_text("".join(f"{json.dumps(e)}\n" for e in kept), encoding="utf-8")


class Journal:
    """Numbers, pictures and clips by step; only the first process of a run keeps one."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        """Open the folder's log; a run that goes on from a step drops the entries of later ones."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        self.folder = folder
        self._board: Any = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        forget_after(self.path, step)

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Write one entry; TrainingError if the disk does not take it."""
        write_entry(self.path, step, values, of=self.folder.name)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def picture(
        self,
        step: int,
        name: str,
        picture: np.ndarray,  # (H, W, 3), uint8
    ) -> None:
        """Keep a picture as a file, and on the board."""
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"{name}-{step:08d}.png")
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def clip(
        self,
        step: int,
        name: str,
        frames: np.ndarray,  # (f, H, W, 3), uint8
        fps: float,
    ) -> None:
        """Keep a clip as an animated GIF, and on the board."""
        pictures = [Image.fromarray(frame) for frame in frames]
        data = io.BytesIO()
        pictures[0].save(
            data,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 / fps),
            loop=0,
        )
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}-{step:08d}.gif").write_bytes(data.getvalue())
        if self._board is not None:
            # The board shows a GIF as a moving picture; torch writes still ones, so the GIF takes
            # the place of one.
            from torch.utils.tensorboard.summary import image

            summary = image(name, frames[0], dataformats="HWC")
            summary.value[0].image.encoded_image_string = data.getvalue()
            self._board.file_writer.add_summary(summary, step)

    def close(self) -> None:
        """Write what is buffered."""
        if self._board is not None:
            self._board.close()
