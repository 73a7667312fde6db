"""Checkpoints of a training run: written completely or not at all, and restored exactly."""

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ...errors import TrainingError
from ...places import check_folder, usual_mode, whole_file
from ...torch_version import pickles_are_safe
from ...weights.read import require_safe_pickles

log = logging.getLogger(__name__)

FACTS = "checkpoint.json"  # the facts about a checkpoint, and the sizes of its files


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state atomically: a reader sees the old file or the new one, never a part of it."""
    with whole_file(path, name="folder", raises=TrainingError) as part, part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, or None if there is none.

    WeightsError on a torch version that may run code in a pickle.
    """
    if not path.exists():
        return None
    require_safe_checkpoint(path)
    return torch.load(path, weights_only=True, map_location="cpu")


def require_safe_checkpoint(path: Path) -> None:
    """Raise WeightsError if this torch version could run code in a checkpoint's pickles.

    A run's folder may come from someone else, so its checkpoints are treated like weight files.
    """
    require_safe_pickles(f"the state in {path}", "start a new run in another folder")


def warn_if_not_resumable() -> None:
    """Log, at the start of a run, that this torch will write checkpoints that it may not read."""
    if not pickles_are_safe():
        log.warning(
            "torch %s: this run cannot be resumed here if it is interrupted, because torch before "
            "2.6 may run code that is hidden in a checkpoint. Update torch to be able to resume.",
            torch.__version__,
        )


class CheckpointFolder:
    """The checkpoints of one stage: each is a folder that gets its name when it is complete."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Keep the `keep` newest checkpoints; nothing is written or removed now."""
        self.folder, self.keep = folder, keep

    def partial(self, step: int) -> Path:
        """Return the folder into which the files of a checkpoint are written."""
        return self.folder / f"step-{step:08d}.partial"

    def finish(self, step: int, facts: dict[str, Any]) -> Path:
        """Write the facts of a checkpoint and give it its name; remove old and damaged ones."""
        partial = self.partial(step)
        sizes, mode = {}, usual_mode(partial / FACTS)
        for path in sorted(partial.rglob("*")):
            if path.is_file() and path.name != FACTS:
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
                path.chmod(mode)  # safetensors lets only the user read
                sizes[path.relative_to(partial).as_posix()] = path.stat().st_size
        with (partial / FACTS).open("w", encoding="utf-8") as file:
            json.dump({**facts, "step": step, "files": sizes}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        whole = partial.with_suffix("")
        if whole.exists():
            shutil.rmtree(whole)
        partial.rename(whole)
        damaged = [path for path in self._found() if path != whole and _read(path)[1]]
        for path in damaged:  # this run has skipped them, and no other can use them
            shutil.rmtree(path)
        for path in self._found()[: -self.keep]:
            shutil.rmtree(path)
        return whole

    def discard_partial(self) -> None:
        """Remove unfinished checkpoints."""
        for path in self.folder.glob("step-*.partial"):
            shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> tuple[Path, dict[str, Any]] | None:
        """Return the newest complete checkpoint and its facts, or None if there is none.

        Damaged ones are skipped with a warning. TrainingError if all of them are damaged.
        """
        found = self._found()
        for path in reversed(found):
            facts, broken = _read(path)
            if not broken:
                return path, facts
            log.warning("checkpoint %s is damaged (%s); it is skipped", path, broken)
        if found:
            raise TrainingError(
                f"folder got {self.folder}, whose checkpoints are all damaged; a new start would "
                "overwrite what is left of them. Restore one of them, or choose a new folder."
            )
        return None

    def check_start(
        self,
        step: int,  # of the checkpoint that this process has read
        size: "SaveSize | None",  # None: nothing will be written
    ) -> None:
        """Raise TrainingError if the folder went on since it was read, or has no room."""
        found = self.newest()
        if found is not None and found[1]["step"] > step:
            raise TrainingError(
                f"folder got {self.folder}, where another process has trained up to step "
                f"{found[1]['step']} since this one read it. Run the command again."
            )
        if size:
            next_save = size.checkpoint + size.weights
            check_folder(self.folder, size=next_save, name="folder", raises=TrainingError)
            self._tell_size(size)
            warn_if_not_resumable()

    def _tell_size(self, size: "SaveSize") -> None:
        """Log what the run will take on the disk; warn if that is more than there is."""
        # A new checkpoint is whole before the oldest is removed; so are the weights.
        most = (self.keep + 1) * size.checkpoint + 2 * size.weights
        there = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        free = shutil.disk_usage(self.folder).free
        enough = most <= free + there
        log.log(
            logging.INFO if enough else logging.WARNING,
            "%s: a checkpoint takes about %s; with keep_checkpoints %d up to %s will be used, %s "
            "of them are there, %s are free%s",
            *(self.folder.parent, _amount(size.checkpoint), self.keep, _amount(most)),
            *(_amount(there), _amount(free)),
            "" if enough else ". That is not enough: free some space, or lower keep_checkpoints",
        )

    def _found(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-*") if path.suffix != ".partial")


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """Return the facts of a checkpoint, and its fault; the fault is empty if it is complete."""
    try:
        facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
        wrong = [
            f"{name} has {_size(path / name)} of {size} bytes"
            for name, size in facts["files"].items()
            if _size(path / name) != size
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return {}, f"{FACTS} cannot be read ({error})"
    return facts, "; ".join(wrong)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


@dataclass(frozen=True)
class SaveSize:
    """About how many bytes are written at once."""

    checkpoint: int
    weights: int  # the file of current weights


def size_of_save(
    trained: Mapping[str, torch.Tensor], frozen: Iterable[torch.Tensor], average: "Average"
) -> SaveSize:
    """Return about how many bytes a checkpoint and the file of current weights take."""
    moving = sum(each.nbytes for each in trained.values())
    kept = sum(each.nbytes for each in average.values.values())
    networks = moving + sum(each.nbytes for each in frozen)
    return SaveSize(networks + 2 * moving + kept, networks)  # Adam keeps two numbers per weight


class Average:
    """Exponential moving average of parameters, with a lower decay at the start; 0 keeps none.

    torch's AveragedModel copies a whole module. This class holds only the parameters that a stage
    trains, by name, and its decay rises with the steps.
    """

    def __init__(self, parameters: dict[str, torch.nn.Parameter], decay: float) -> None:
        """Start from the parameters as they are."""
        self.decay = decay
        self.steps = 0
        kept = parameters if decay else {}
        self.values = {name: p.detach().clone() for name, p in kept.items()}

    @torch.no_grad()
    def update(self, parameters: dict[str, torch.nn.Parameter]) -> None:
        """Update the average with the current parameters."""
        if not self.values:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        trained = [parameters[name].detach() for name in self.values]
        get_ema_multi_avg_fn(decay)([*self.values.values()], trained, self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that load_state_dict needs."""
        return {"steps": self.steps, "values": self.values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.steps = state["steps"]
        for name, value in state["values"].items():
            self.values[name].copy_(value)

    @contextmanager
    @torch.no_grad()
    def in_place_of(self, parameters: dict[str, torch.nn.Parameter]) -> Iterator[None]:
        """Give the parameters the average's values within a `with` block; none if decay is 0."""
        trained = {name: parameters[name].detach().clone() for name in self.values}
        for name, value in self.values.items():
            parameters[name].copy_(value)
        try:
            yield
        finally:
            for name, value in trained.items():
                parameters[name].copy_(value)
