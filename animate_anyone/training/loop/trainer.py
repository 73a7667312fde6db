"""The training loop of both stages (paper, section 3.3): one visible loop on any number of devices.

Hugging Face accelerate places the networks and combines the gradients of several processes. All
random draws depend only on seed, step and row (see `draws` and `batch`). So a killed run is
resumed exactly, and two processes train as one process would.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...config import Preset
from ...diffusion.schedule import NoiseSchedule
from ...errors import ConfigError, InputError, MediaError, TrainingError
from ...networks.attention import sdpa
from ...places import owned
from ...protocols import Autoencoder, ImageEncoder, Look, Progress
from ...weights.load import Models
from ...weights.sets.table import get_preset
from ..config import TrainingConfig, scheduled
from ..networks import AnimateNetworks, as_models, build_networks, load_stage1, plain_attention
from ..room import Room
from ..sources.batch import Batch, Source
from ..trainable.low_rank import write_weights
from .checkpoints import Average, CheckpointFolder, require_safe_checkpoint, size_of_save
from .checks import needed, not_finite, resumed_origin
from .devices import check_names, check_run, make_accelerator, rows_of
from .draws import draw_step
from .due import Wanted
from .inputs import Encoding
from .journal import Journal, means_of
from .looks import Looks, wait_for_files
from .losses import BatchFacts, figure_error, total_loss, warn_of_unweighted_steps
from .optimizer import build_optimizer
from .reading import Part, read_steps
from .wandb_board import WandbBoard, check_wandb

log = logging.getLogger(__name__)

SPIKE_FREE_STEPS = 200  # first steps, while the typical norm is estimated; none is skipped
MAX_NOT_FINITE = 50  # steps in a row without a finite gradient; fp16 finds its scale in fewer


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The inputs of a stage besides its configuration and examples."""

    autoencoder: Autoencoder | None = None  # for sources of pixels, and for validation
    image_encoder: ImageEncoder | None = None  # frozen; None: trained, or data have the tokens
    start: Callable[[AnimateNetworks], None] | None = None  # loads a new run's first weights
    validate: Callable[[Models, Journal, int], dict[str, float]] | None = None
    origin: Mapping[str, str] = field(default_factory=dict)  # data and weights, for checkpoints
    cpu: bool = False  # use the CPU even if there is a GPU
    progress: Progress | None = None  # called after each step; may raise to interrupt
    look: Look | None = None  # called all the time, within steps too; may raise to interrupt


class Trainer:
    """One stage of training: its networks, optimiser, averages and position."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,  # of the run; the stage's own folder is inside
        preset: Preset | None = None,  # None: the configuration's
        surroundings: Surroundings | None = None,
    ) -> None:
        """Build the stage; resume from the newest complete checkpoint if there is one."""
        self.config, self.surroundings = config, surroundings or Surroundings()
        check_wandb(config.wandb)
        wait_for_files(self.surroundings.look)
        self.folder = folder / f"stage{config.stage}"
        self.preset = scheduled(preset or get_preset(config.preset), config)
        self.schedule = NoiseSchedule(self.preset.schedule)
        self.accelerator = make_accelerator(config, cpu=self.surroundings.cpu)
        check_run(self.accelerator, config)
        self.room = Room(self.preset, config, self.accelerator)
        warn_of_unweighted_steps(self.schedule, config.min_snr_gamma, config.min_snr_formula)
        self.device = self.accelerator.device
        self._inputs = Encoding(
            config=config,
            unet=self.preset.unet,
            autoencoder=self.surroundings.autoencoder,
            image_encoder=self.surroundings.image_encoder,
            device=self.device,
        )
        self.checkpoints = CheckpointFolder(self.folder / "checkpoints", config.keep_checkpoints)
        self.step, self.typical_norm, self.seconds = 0, 0.0, 0.0
        self._saved: int | None = None  # step of the newest checkpoint
        self._origin, self._looks = dict(self.surroundings.origin), Looks(self.surroundings.look)
        self._skipped = self._not_finite = 0  # steps since the last report; in a row
        alone = self.accelerator.num_processes == 1
        self._wanted = Wanted(config.report_minutes, config.save_minutes, alone=alone)

        found = self.checkpoints.newest()
        networks = self._built(folder, new=found is None)
        chosen = networks.train_stage(config)
        optimizer = build_optimizer(config, list(chosen.values()))
        self._wrapped, self.optimizer = self.accelerator.prepare(networks, optimizer)
        self.networks: AnimateNetworks = self.accelerator.unwrap_model(self._wrapped)
        self._looks.watch(self.networks)
        self.parameters = {k: v for k, v in self.networks.named_parameters() if k in chosen}
        check_names(self.accelerator, chosen, self.parameters)
        self._unused = [v for k, v in self.networks.named_parameters() if k not in chosen]
        self.average = Average(self.parameters, config.average_decay)
        if found is not None:
            self._restore(*found)

    def run(self, source: Source) -> None:
        """Train to the last step, with reports in the log and checkpoints on disk."""
        with ExitStack() as rest:
            if self.accelerator.is_main_process:
                rest.enter_context(owned(self.folder))
            size = size_of_save(self.parameters, self._unused, self.average)
            self.checkpoints.check_start(self.step, size if self.step < self.config.steps else None)
            try:
                with self._wanted.ending:
                    self._run(source)
            except BaseException:
                if self._looks.interrupted:  # in the middle of a step, which is then repeated
                    self.optimizer.zero_grad(set_to_none=True)
                    log.info("cancelled after step %d; %s keeps it", self.step, self.folder)
                    rest.callback(self.accelerator.free_memory)
                    self._looks.leave(self._save_once, rest.pop_all())
                raise

    def free(self) -> None:
        """Free accelerate's memory; after a cancelled run the thread that saves it does so."""
        if not self._looks.interrupted:
            self.accelerator.free_memory()

    def _run(self, source: Source) -> None:
        config, main, wanted = self.config, self.accelerator.is_main_process, self._wanted
        journal = self._journal() if main else None
        if main:
            config.write(self.folder / "config.json")
        figures: list[dict[str, float]] = []  # of each step since the last report
        waited, started = 0.0, time.perf_counter()
        wanted.begin()
        for parts in self._batches(source):
            waited += time.perf_counter() - started
            step = self.train_step(parts)
            now = time.perf_counter()
            figures.append(step | {"seconds": now - started})
            started = now
            if (progress := self.surroundings.progress) is not None:
                self._looks.call(lambda shown=progress: shown(self.step, config.steps))
            if self.step % config.report_every == 0 or wanted.report:
                self._report(journal, figures, waited)
                wanted.reported()
                waited = 0.0
            save = self.step % config.save_every == 0 or self.step == config.steps or wanted.save
            if (end := wanted.end) or save:
                self.save()
                wanted.saved()
            if end:
                break
            if config.validate_every and self.step % config.validate_every == 0:
                self._validate(journal)
            started = time.perf_counter()
        if journal is not None:
            journal.close()
        if self.step < config.steps:
            wanted.ending.leave(f"step {self.step} of {config.steps}, which {self.folder} keeps")

    def _journal(self) -> Journal:
        board = None
        if project := self.config.wandb:
            board = WandbBoard(project, self.folder, asdict(self.config))
        return Journal(self.folder, self.step, board)

    def train_step(self, parts: Sequence[tuple[Sequence[int], Batch]]) -> dict[str, float]:
        """Take one step over the rows of this process; return the loss and other figures."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(self.step)
        figures: list[dict[str, float]] = []
        losses: list[Tensor] = []
        for rows, batch in parts:
            with self.accelerator.accumulate(self._wrapped):
                part, others = self._loss(rows, batch)
                losses.append(part.detach())
                figures.append(others)
                if len(losses) == len(parts):  # before the weights can change
                    value = self._agreed(torch.stack(losses).mean(), parts)
                self.accelerator.backward(part)
        self._update()
        self.step += 1
        return {"loss": value, **means_of(figures)}

    def _agreed(self, loss: Tensor, parts: Sequence[Part]) -> float:
        """Return the step's loss over all processes; stop if it is not finite.

        The same exchange tells all processes what is due after this step.
        """
        asked = loss.new_tensor(self._wanted.asked(main=self.accelerator.is_main_process))
        value, *asked = self._mean(torch.cat([loss[None], asked])).tolist()
        if not math.isfinite(value):
            self._stop(value, parts)
        self._wanted.agree(asked)
        return value

    def save(self) -> None:
        """Write a checkpoint and the weights; if the user cancels meanwhile, a thread ends it."""
        self._looks.during(self._save)

    def _save_once(self) -> None:
        if self._saved != self.step:
            self._save()

    def _save(self) -> None:
        """Write a checkpoint, and the current weights (averages if kept) as one file."""
        partial, main = self.checkpoints.partial(self.step), self.accelerator.is_main_process
        if main:
            self.checkpoints.discard_partial()
        self.accelerator.wait_for_everyone()
        try:
            self.accelerator.save_state(str(partial))
            self.accelerator.wait_for_everyone()
            state: dict[str, Any] = self.accelerator.get_state_dict(self._wrapped)
            if main:
                save_file(self.average.values, partial / "average.safetensors")
                write_weights(self.folder, state | self.average.values, self.config)
                self.checkpoints.finish(self.step, self._facts())
            self._saved = self.step
        except Exception as error:  # from torch, safetensors or the system
            if main:
                self.checkpoints.discard_partial()
            raise TrainingError(
                f"checkpoint of step {self.step} cannot be written to {self.folder} ({error}); "
                "earlier ones are not affected. Free disk space, then run the same command again: "
                "it resumes from the newest complete checkpoint."
            ) from error
        self.accelerator.wait_for_everyone()

    def _update(self) -> None:
        """Update the weights; skip a gradient spike, which would undo minutes of training."""
        for parameter in self._unused:
            parameter.grad = None
        norm = self.accelerator.clip_grad_norm_(self._wrapped.parameters(), self.config.clip)
        norm = float(norm) if norm is not None else self.typical_norm  # DeepSpeed may return None
        finite = math.isfinite(norm)
        limit = (self.config.spike_limit or math.inf) * (self.typical_norm or math.inf)
        if finite and (self.step < SPIKE_FREE_STEPS or norm <= limit):
            self.optimizer.step()
            self.average.update(self.parameters)
        else:
            self._skipped += 1
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.update()  # fp16: required after each unscaling
        self._not_finite = 0 if finite else self._not_finite + 1
        if self._not_finite == MAX_NOT_FINITE:
            raise TrainingError(
                f"gradient got {norm} in {MAX_NOT_FINITE} steps in a row, up to step {self.step}; "
                "it must be finite. Earlier checkpoints are kept: resume from one with a lower "
                "learning_rate, or start again with mixed_precision bf16 or no."
            )
        if finite:
            self.typical_norm += (min(norm, 1e3) - self.typical_norm) / min(self.step + 1, 100)
        self.optimizer.zero_grad(set_to_none=True)

    def _loss(self, rows: Sequence[int], batch: Batch) -> tuple[Tensor, dict[str, float]]:
        config, schedule = self.config, self.schedule
        reference, targets = self._inputs.latents(batch)
        drawn = draw_step(
            config.seed,
            self.step,
            rows,
            targets.shape[1:],
            train_timesteps=schedule.config.train_timesteps,
            shared_timestep=config.stage == 2,
            dropout=config.condition_dropout,
            noise_offset=config.noise_offset,
        )
        noise = drawn.noise.to(self.device)
        noisy = schedule.add_noise(targets, noise, drawn.timesteps)
        target = schedule.target(targets, noise, drawn.timesteps)
        poses = batch.poses.to(self.device, non_blocking=True).float() / 255
        timesteps = drawn.timesteps.to(self.device)
        picture = self._inputs.picture(batch.thumbs, batch.tokens)
        extras = self._inputs.extras(batch)
        output = self._wrapped(noisy, timesteps, poses, reference, picture, drawn.keep, extras)
        masks = None if batch.masks is None else batch.masks.to(self.device, non_blocking=True)
        facts = BatchFacts(
            settings=config,
            schedule=schedule,
            noisy=noisy,
            timesteps=drawn.timesteps,
            masks=masks,
            extra=self._inputs.weights(batch),
        )
        loss, terms = total_loss(output, target, facts)
        shown = torch.ones_like(target[:, :1]) if masks is None else masks
        return loss, {"figure_error": figure_error(output.detach(), target, shown), **terms}

    def _batches(self, source: Source) -> Iterator[list[Part]]:
        """Yield the parts of each remaining step."""
        config, rows = self.config, rows_of(self.accelerator, self.config)
        how = {"pinned": self.device.type == "cuda", "begin": self._wanted.ending.in_readers}
        return self.room.checked(read_steps(source, config, rows, self.step, **how))

    def _mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes."""
        reduced = self.accelerator.reduce(value, "mean")
        assert isinstance(reduced, Tensor)
        return reduced

    def _report(
        self, journal: Journal | None, figures: list[dict[str, float]], waited: float
    ) -> None:
        means = means_of(figures)
        seconds = means.pop("seconds")
        shared = self._mean(torch.tensor([*means.values()]).to(self.device)).tolist()
        self.seconds += seconds * len(figures)
        entry = {
            **dict(zip(means, shared, strict=True)),
            "learning_rate": self.config.learning_rate_at(self.step - 1),
            "examples_per_second": self.config.examples / seconds,
            "share_of_time_waiting_for_data": waited / (seconds * len(figures)),
            "seconds": self.seconds,
        }
        if self._skipped:
            entry["skipped_steps"] = self._skipped
        figures.clear()
        self._skipped = 0
        if journal is not None:
            journal.numbers(self.step, entry)

    def _validate(self, journal: Journal | None) -> None:
        if journal is None or self.surroundings.validate is None:
            return
        autoencoder = needed(self.surroundings.autoencoder, "autoencoder", "latents into pictures")
        models = as_models(self.networks, self.preset, autoencoder, self.surroundings.image_encoder)
        with self.average.in_place_of(self.parameters), torch.no_grad():
            self.networks.eval()
            try:
                values = self.surroundings.validate(models, journal, self.step)
            except (MediaError, InputError) as error:  # a bad test clip must not end a training
                log.warning("step %d could not be validated: %s", self.step, error)
                values = {}
            self.networks.train()
        if values:
            journal.numbers(self.step, values)

    def _stop(self, value: float, parts: Sequence[tuple[Sequence[int], Batch]]) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.save()
        raise not_finite(value, self.step, parts)

    def _built(self, folder: Path, *, new: bool) -> AnimateNetworks:
        generator = torch.Generator().manual_seed(self.config.seed)
        attention = plain_attention if self.device.type == "cpu" else sdpa
        networks = build_networks(
            self.preset, self.config, generator, attention=attention, look=self.surroundings.look
        )
        if not new:
            return networks
        if self.surroundings.start is not None:
            self.surroundings.start(networks)
        elif self.config.stage == 2:
            load_stage1(networks, folder)
        elif self.config.lora:
            raise ConfigError(
                f"lora got {self.config.lora} without weights to start from; it changes trained "
                "networks. Name a weight set with --models, or set lora to 0."
            )
        return networks

    def _facts(self) -> dict[str, Any]:
        return {
            "config": asdict(self.config),
            "average_steps": self.average.steps,
            "typical_norm": self.typical_norm,
            "seconds": self.seconds,
            "processes": self.accelerator.num_processes,
            "distribution": self.accelerator.distributed_type.value,
            "origin": self._origin,
        }

    def _restore(self, path: Path, facts: dict[str, Any]) -> None:
        check_run(self.accelerator, self.config, facts, path)
        require_safe_checkpoint(path)
        self._looks.during(lambda: self.accelerator.load_state(str(path)))
        self.accelerator.step = 0  # no part of the next step has been computed yet
        values = load_file(path / "average.safetensors")
        self.average.load_state_dict({"steps": facts["average_steps"], "values": values})
        self.step = self._saved = facts["step"]
        self.typical_norm = facts["typical_norm"]
        self.seconds = facts["seconds"]
        log.info("stage %d is resumed at step %d", self.config.stage, self.step)
        self._origin = resumed_origin(facts.get("origin", {}), self._origin)
