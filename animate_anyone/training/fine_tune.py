"""Fine-tune a weight set and write the result as a bundle, which loads like any weight set.

The run's folder holds its start settings, checkpoints and log, and a record of the file that it
wrote. So an interrupted run can be resumed, and no other file is overwritten.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..config import Preset
from ..errors import InputError
from ..json_files import read_record
from ..places import check_folder, check_place, owned, whole_file
from ..protocols import Look
from ..weights.bundle import write_bundle
from ..weights.load import resolve_preset
from ..weights.read import read_weights
from ..weights.sets.aa_mini import AA_MINI
from ..weights.sources import Parts, WeightPaths, open_parts
from . import initial
from .config import TrainingConfig
from .loop.devices import CHANGEABLE_FIELDS
from .loop.journal import entries_of
from .loop.trainer import Surroundings, Trainer
from .networks import AnimateNetworks
from .recipes import get_recipe
from .sources.batch import Source
from .trainable.low_rank import LORA

BEGUN = "begun.json"  # the settings with which the run started
WRITTEN = "written.json"  # path, size and time of the file that the run wrote
WRITTEN_LORA = "written_lora.json"  # the same of its LoRA file
TRAINED = ("denoiser", "reference_net", "pose_guider")
FRAMES = {1: 4, 2: 24}  # default frames per example, by stage
REPORTS = 10  # log entries of a whole run

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """A weight set to start from."""

    source: str | Path | WeightPaths | tuple[str | Path, ...]  # whatever `load_models` opens
    parts: Parts
    preset: Preset

    @classmethod
    def open(
        cls,
        source: str | Path | WeightPaths | tuple[str | Path, ...],
        preset_name: str | None = None,
    ) -> "Start":
        """Open a weight set; `preset_name` supplies what its files do not say."""
        parts = open_parts(source)
        return cls(source=source, parts=parts, preset=resolve_preset(parts, preset_name))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a run."""

    file: Path
    first_step: int  # at which it was resumed; 0 for a new run
    steps: int  # of the whole run
    seconds: float  # of training, of the whole run
    losses: list[float]  # means over each tenth of the steps, as far as the log has them
    lora: Path | None = None  # the file of a LoRA run
    needs: str = ""  # the least memory of a step, in words; "": none was taken now

    def text(self) -> str:
        """Return a report as text."""
        earlier = f", of which {self.first_step} were taken earlier" if self.first_step else ""
        size = self.file.stat().st_size / 1e6
        lines = [f"Trained {self.steps} steps{earlier}, {self.seconds:.0f} seconds."]
        if len(self.losses) > 1:
            first, *_, last = self.losses
            lines.append(f"Loss: {first:.4g} in the first tenth, {last:.4g} in the last.")
        if self.needs:
            lines.append(f"A step needed {self.needs}.")
        lines.append(f"Saved {self.file} ({size:.1f} MB).")
        if self.lora is not None:
            size = self.lora.stat().st_size / 1e6
            lines.append(f"Saved the LoRA alone as {self.lora} ({size:.1f} MB).")
        return "\n".join(lines)


def fine_tune_config(
    preset: Preset,
    stage: int,
    *,
    frames: int = 0,  # per example; 0: the stage's default, or fewer if the clip is shorter
    available: int | None = None,  # frames of the clip, if there is only one
    **changes: Any,  # noqa: ANN401  (fields of TrainingConfig)
) -> TrainingConfig:
    """Return the settings of a run: the recipe for this kind of weight set, with the changes.

    Encoders stay frozen. No average is kept: the learning rate falls to zero instead.
    """
    recipe = get_recipe("aa-mini" if preset.name == AA_MINI.name else "paper", stage)
    if not frames:
        frames = FRAMES[stage]
        if available is not None:
            frames = max(1, min(frames, available - (stage == 1)))
    if stage == 2 and preset.unet.motion is not None and frames > preset.unet.motion.max_frames:
        raise InputError(
            f"frames got {frames} per example; the temporal layers of {preset.title} have "
            f"positions for {preset.unet.motion.max_frames}. Choose as many or fewer."
        )
    usual: dict[str, Any] = {
        "preset": preset.name,
        "frames": frames,
        "examples": 1,
        "warm_up": 10,
        "decay_from": 0.5,
        "average_decay": 0.0,
        "train_image_encoder": False,
        "workers": 0,
        "keep_checkpoints": 1,
        "validate_every": 0,
    }
    config = recipe.changed(usual | changes)
    return replace(config, report_every=max(1, config.steps // REPORTS))


def fine_tune(
    start: Start,
    config: TrainingConfig,
    examples: Source,
    folder: Path,  # of the run, after `claim`
    target: Path,  # bundle file
    surroundings: Surroundings,  # its `start` is not used; `progress` or `look` may interrupt
    lora: Path | None = None,  # file for the LoRA of a run with config.lora
) -> Outcome:
    """Train to the last step and write the bundle; an interrupted run saves a checkpoint first."""
    look = surroundings.look

    def begin(networks: AnimateNetworks) -> None:
        parts = networks.denoiser, networks.reference_net, networks.pose_guider
        initial.from_bundle(*parts, start.source, look=look)

    trainer = Trainer(config, folder, start.preset, replace(surroundings, start=begin))
    first_step = trainer.step
    try:
        trainer.run(examples)
        stage = trainer.folder
    finally:
        trainer.free()
    _write(start, trainer.preset, stage / "weights.safetensors", target, look)
    _record_written(folder / WRITTEN, target)
    if lora is not None:
        with whole_file(lora) as part:
            shutil.copyfile(stage / LORA, part)
        _record_written(folder / WRITTEN_LORA, lora)
    return Outcome(
        lora=lora,
        needs="" if trainer.room.needs is None else trainer.room.needs.text(),
        file=target,
        first_step=first_step,
        steps=trainer.step,
        seconds=trainer.seconds,
        losses=_losses(stage / "log.jsonl"),
    )


def claim(
    folder: Path,
    target: Path,
    config: TrainingConfig,
    material: Mapping[str, Any],  # what else decides the result: start and examples, for JSON
    *,
    again: bool,  # delete an earlier run in this folder
    lora: Path | None = None,  # a second file, for a LoRA
) -> None:
    """Reserve a folder and a file for a run; InputError if they belong to something else."""
    path, files = (
        folder / BEGUN,
        {WRITTEN: target, **({} if lora is None else {WRITTEN_LORA: lora})},
    )
    written = {name: _read(folder / name) for name in files}
    if folder.exists() and not path.exists():
        raise InputError(
            f"save_as got {target.stem!r}, but {folder} exists and is not a training run. Choose "
            "another name, or move that folder away."
        )
    for name, file in files.items():
        check_place(file)
        if file.exists() and _identity(file) != written[name]:
            raise InputError(
                f"save_as got {target.stem!r}, but {file} exists and was not written by the "
                "training run of that name. Choose another name, or move that file away."
            )
    fixed = {name: value for name, value in asdict(config).items() if name not in CHANGEABLE_FIELDS}
    begun: dict[str, Any] = {**material, **fixed}
    if path.exists() and not again:
        _check_same(target.stem, _read(path), begun)
        return
    if folder.exists():
        with owned(folder / f"stage{config.stage}"):
            pass  # raises if another process trains there
        shutil.rmtree(folder)
    check_folder(folder)
    with whole_file(path) as part:
        part.write_text(json.dumps(begun, indent=1) + "\n", encoding="utf-8")
    for name, file in files.items():
        if file.exists():
            _record_written(folder / name, file)  # this run may replace that of the deleted one


def _check_same(name: str, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    before = asdict(TrainingConfig()) | dict(earlier)  # settings that are newer than the run
    changed = [
        f"{key} was {before.get(key)!r} and is {value!r}"
        for key, value in now.items()
        if before.get(key) != value
    ]
    if changed:
        raise InputError(
            f"save_as got {name!r}, whose run was started with other settings "
            f"({'; '.join(changed)}). Restore them to resume it, begin again, or choose another "
            "name."
        )


def _write(start: Start, preset: Preset, weights: Path, target: Path, look: Look | None) -> None:
    """Write the weight set with the trained tensors in place of the original ones."""
    trained = read_weights(weights)
    changed = {
        name: getattr(start.parts, name).updated(trained.part(f"{name}.")) for name in TRAINED
    }
    progress = None if look is None else lambda done, total: look()
    write_bundle(replace(start.parts, **changed), preset, target, torch.float16, progress)
    log.info("wrote %s", target)


def _losses(path: Path) -> list[float]:
    entries = entries_of(path) if path.exists() else []
    return [entry["loss"] for entry in entries if "loss" in entry]


def _record_written(path: Path, target: Path) -> None:
    with whole_file(path) as part:
        part.write_text(json.dumps(_identity(target)) + "\n", encoding="utf-8")


def _identity(target: Path) -> dict[str, Any]:
    """Return path, size and time of a file; they differ if someone else has written it."""
    facts = target.stat()
    return {"file": str(target), "bytes": facts.st_size, "changed": facts.st_mtime_ns}


def _read(path: Path) -> dict[str, Any]:
    return read_record(path, "run") if path.exists() else {}
