"""Processes and devices of a run, and the rows of a step that each process computes."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, PackageError
from ..config import TrainingConfig

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

# Fields of the configuration that may change when a run is resumed: how it is computed and
# reported, and the plan of its remaining steps. All other fields must stay the same.
CHANGEABLE_FIELDS = (
    "steps",
    "accumulate",
    "gradient_checkpointing",
    "workers",
    "save_every",
    "keep_checkpoints",
    "report_every",
    "report_minutes",
    "save_minutes",
    "spike_limit",
    "validate_every",
    "wandb",
    "learning_rate",
    "decay_from",
    "losses",
    "figure_weight",
    "figure_margin",
    "hand_weight",
    "face_weight",
)


# Variables by which launchers tell each process how many there are; accelerate reads the same ones.
WORLD_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def training_device() -> "torch.device":
    """Return the device of this process, for frozen networks that are loaded before training."""
    from accelerate import PartialState

    device = PartialState().device
    assert device is not None
    return device


def make_accelerator(
    config: TrainingConfig,
    *,
    cpu: bool = False,  # use the CPU even if there is a GPU
) -> "Accelerator":
    """Return the Accelerator of this process, with the settings of `accelerate launch` if used."""
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
        from accelerate.state import AcceleratorState, PartialState
    except ImportError as error:
        raise PackageError(
            "training needs accelerate, which is not installed; install it (pip install "
            "accelerate)."
        ) from error
    if PartialState(cpu=cpu).num_processes == 1:
        # accelerate keeps precision and device of an earlier run in this process and refuses
        # others; it has no public function that resets them.
        AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.accumulate,
        # If the conditions of all rows are dropped, ReferenceNet gets no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    check_launch(accelerator.num_processes, os.environ)
    if accelerator.state.deepspeed_plugin is not None:
        configure_deepspeed(accelerator, config)
    return accelerator


def check_launch(
    found: int,  # processes that work together
    variables: Mapping[str, str],  # of the environment
) -> None:
    """Raise ConfigError if a launcher started more processes than work together.

    Each of them would train a run of its own, and all into one folder.
    """
    cpu = "without cards, set ACCELERATE_USE_CPU=true and start them with torchrun"
    asked = max((int(variables.get(name) or 1) for name in WORLD_SIZES), default=1)
    if asked > found:
        raise ConfigError(
            f"processes got {asked} from the launcher, but only {found} of them found each other; "
            f"each would train alone. Start one per card, or, {cpu}."
        )
    # accelerate names a port if it was asked for several processes, but on CPUs it starts only one.
    several = "ACCELERATE_MIXED_PRECISION" in variables and "MASTER_PORT" in variables
    if several and found == 1 and not any(name in variables for name in WORLD_SIZES):
        raise ConfigError(
            "processes got several from accelerate launch, but it has started only one. Launch "
            f"with --multi_gpu, or, {cpu}; for one process, ask for --num_processes 1 and remove "
            "the variable MASTER_PORT."
        )


def configure_deepspeed(accelerator: "Accelerator", config: TrainingConfig) -> None:
    """Set batch size, accumulation and clipping, which DeepSpeed's engine handles itself."""
    plugin = accelerator.state.deepspeed_plugin
    assert plugin is not None
    plugin.deepspeed_config |= {
        "train_micro_batch_size_per_gpu": len(rows_of(accelerator, config)[0]),
        "gradient_accumulation_steps": config.accumulate,
        "gradient_clipping": config.clip,
    }
    accelerator.gradient_accumulation_steps = config.accumulate


def rows_of(accelerator: "Accelerator", config: TrainingConfig) -> list[Sequence[int]]:
    """Return the row numbers that this process computes, one range for each part of a step."""
    processes, index = accelerator.num_processes, accelerator.process_index
    size = config.examples // (processes * config.accumulate)
    starts = ((part * processes + index) * size for part in range(config.accumulate))
    return [range(start, start + size) for start in starts]


def check_names(
    accelerator: "Accelerator", chosen: Collection[str], found: Collection[str]
) -> None:
    """Raise ConfigError if the distribution gives the networks' parameters other names."""
    if set(chosen) != set(found):
        raise ConfigError(
            f"distribution got {accelerator.distributed_type.value}, which renames parameters; the "
            "trainer needs their own names. Set fsdp_use_orig_params, or train with DDP."
        )


def check_run(
    accelerator: "Accelerator",
    config: TrainingConfig,
    facts: dict[str, Any] | None = None,  # of the checkpoint to resume from
    path: Path | None = None,  # of that checkpoint
) -> None:
    """Raise ConfigError for what these processes cannot train or resume."""
    processes, kind = accelerator.num_processes, accelerator.distributed_type.value
    if config.examples % (processes * config.accumulate):
        raise ConfigError(
            f"examples got {config.examples}; {processes} processes with accumulate "
            f"{config.accumulate} take equal shares, so it must be a multiple of "
            f"{processes * config.accumulate}. Change one of the three."
        )
    for name in ("average_decay", "validate_every", "lora"):
        if kind == "FSDP" and getattr(config, name):
            raise ConfigError(
                f"{name} got {getattr(config, name)}; under FSDP no process holds the whole "
                "weights that it needs. Set it to 0, or train with DDP or DeepSpeed ZeRO-2."
            )
    if facts is None:
        return
    # Settings that are newer than the checkpoint had their default without being named.
    before = asdict(TrainingConfig()) | facts["config"]
    changed = [
        f"{key} was {before[key]!r} and is {value!r}"
        for key, value in asdict(config).items()
        if key not in CHANGEABLE_FIELDS and before[key] != value
    ]
    if changed:
        raise ConfigError(
            f"checkpoint {path} belongs to another configuration ({'; '.join(changed)}); a run "
            "is resumed with its first settings. Restore them, or choose a new folder."
        )
    if (kind, processes) != (facts["distribution"], facts["processes"]) and "DEEPSPEED" in (
        kind,
        facts["distribution"],
    ):
        raise ConfigError(
            f"processes got {processes} ({kind}); the checkpoint {path} was written by "
            f"{facts['processes']} ({facts['distribution']}), and DeepSpeed can only load it with "
            "the same. Launch it as before, or start a new folder from its weights.safetensors."
        )
