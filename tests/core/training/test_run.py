"""Whole runs: killed and resumed, shared by processes, stopped by errors."""

import json
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from animate_anyone.config import Preset, ScheduleConfig
from animate_anyone.diffusion.schedule import NoiseSchedule
from animate_anyone.errors import ConfigError, InputError, MediaError, TrainingError
from animate_anyone.places import owned
from animate_anyone.training.config import TrainingConfig, scheduled
from animate_anyone.training.loop import devices
from animate_anyone.training.loop import trainer as loop
from animate_anyone.training.loop.checkpoints import CheckpointFolder, size_of_save
from animate_anyone.training.loop.checks import CONTENT
from animate_anyone.training.loop.draws import draw_step
from animate_anyone.training.loop.due import Due
from animate_anyone.training.loop.losses import (
    MIN_SNR_FORMULAS,
    figure_weights,
    min_snr_scale,
    warn_of_unweighted_steps,
    weighted_error,
)
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.sources.batch import Batch, Draw
from animate_anyone.training.sources.shards import Shards, write_shard
from animate_anyone.types import Size
from plain_encoders import MeanAutoencoder

pytestmark = pytest.mark.slow  # all together
SCRIPT = Path(__file__).parent / "run_tiny.py"
KILLED = 15 if sys.platform == "win32" else -9  # exit status
SMALL = TrainingConfig(
    steps=4,
    examples=2,
    frames=2,
    warm_up=1,
    learning_rate=1e-3,
    decay_from=1.0,
    save_every=2,
    report_every=2,
    condition_dropout=0.3,
    mixed_precision="no",
)
KILLED_RUNS = {1: SMALL, 2: replace(SMALL, stage=2, mixed_precision="bf16")}
SHARED = replace(SMALL, steps=2, examples=4, save_every=1, report_every=1)
ASKED = replace(SMALL, steps=9, examples=4, save_every=9, workers=1)
SEVERAL = sys.platform != "win32"  # processes can share a step


class Noise:
    """A source of random pixels, or of random latents and tokens."""

    def __init__(self, *, encoded: bool, tokens: bool = False, broken_at: int = -1) -> None:
        self.encoded, self.tokens, self.broken_at = encoded, tokens, broken_at

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        parts = [self._row(draw, step, row) for row in rows]
        reference, targets, thumbs = (torch.stack(part) for part in zip(*parts, strict=True))
        if self.encoded:
            reference = MeanAutoencoder().encode(reference.float() / 255)
            b, f = targets.shape[0], targets.shape[2]
            flat = targets.transpose(1, 2).flatten(0, 1).float() / 255
            targets = MeanAutoencoder().encode(flat).unflatten(0, (b, f)).transpose(1, 2)
            if step == self.broken_at:
                targets[0, 0, 0, 0, 0] = float("nan")
        return Batch(
            encoded=self.encoded,
            reference=reference,
            targets=targets,
            poses=torch.zeros(len(parts), draw.frames, 3, 32, 32, dtype=torch.uint8),
            thumbs=None if self.tokens else thumbs,
            tokens=torch.ones(len(parts), 1, 16) if self.tokens else None,
            names=tuple(f"clip {row}" for row in rows),
        )

    def _row(self, draw: Draw, step: int, row: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng((draw.seed, step, row))
        shapes = ((3, 32, 32), (3, draw.frames, 32, 32), (3, 64, 64))
        return tuple(torch.from_numpy(rng.integers(0, 256, s, np.uint8)) for s in shapes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed in (1, 2):
        path = folder / f"shard-{seed}"
        size = Size(32, 32)
        for consecutive in (False, True):
            write_shard(
                path.with_name(f"{path.name}-{consecutive}"),
                MeanAutoencoder(),
                seed=seed,
                clips=3,
                frames=3,
                consecutive=consecutive,
                size=size,
            )
    return folder


def one_run(folder: Path, data: Path, config: TrainingConfig, **more: Any) -> dict[str, Any]:
    """Return a run for a process of its own, with as many threads as here.

    Sums in another order differ in the last bit.
    """
    folder.mkdir(exist_ok=True)
    config.write(folder / "wanted.json")
    facts = {"folder": folder, "data": data, "config": folder / "wanted.json"}
    return {name: str(path) for name, path in facts.items()} | {
        "threads": torch.get_num_threads(),
        "variables": {"ACCELERATE_USE_CPU": "true"},
        **more,
    }


def two_runs(folder: Path, data: Path, config: TrainingConfig) -> list[dict[str, Any]]:
    """Return the runs of two processes that share each step, as torch's launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    size = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "2") | place
    runs = [one_run(folder, data, config) for _ in range(2)]
    for rank, run in enumerate(runs):
        ranks = dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank))
        run["variables"] = {**run["variables"], **size, **ranks}
    return runs


@pytest.fixture(scope="module")
def ended(tmp_path_factory, data):
    """Return the folder of runs in processes of their own, and their exit statuses by name.

    `killed1` and `killed2`, of these stages, are killed in the backward pass of the fourth step,
    after the checkpoint of the second. The first of the processes `asked` gets SIGTERM in its
    second step, as do those that read its examples. `begun2` is the state before `killed2`.
    """
    folder = tmp_path_factory.mktemp("processes")
    run_tiny(folder / "begun2", data, replace(SMALL, steps=1))
    shutil.copytree(folder / "begun2", folder / "killed2")
    groups = {
        f"killed{stage}": [one_run(folder / f"killed{stage}", data, config, die_at=3)]
        for stage, config in KILLED_RUNS.items()
    }
    if SEVERAL:
        groups["two"] = two_runs(folder / "two", data, SHARED)
        groups["asked"] = [
            run | {"end_at": end_at}
            for run, end_at in zip(two_runs(folder / "asked", data, ASKED), (1, -1), strict=True)
        ]
    (folder / "runs.json").write_text(json.dumps([*groups.values()]))
    command = [sys.executable, str(SCRIPT), str(folder / "runs.json")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return folder, dict(zip(groups, json.loads(done.stdout), strict=True))


def run_tiny(folder: Path, data: Path, config: TrainingConfig) -> None:
    """Do the same as `run`, but in this process."""
    folder.mkdir(exist_ok=True)
    config.write(folder / "wanted.json")
    runpy.run_path(str(SCRIPT))["main"](folder, data, folder / "wanted.json")


def log_of(folder: Path, stage: int = 1) -> list[dict[str, float]]:
    lines = (folder / f"stage{stage}" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def newest(folder: Path, stage: int = 1) -> Path:
    found = CheckpointFolder(folder / f"stage{stage}" / "checkpoints", 2).newest()
    assert found is not None
    return found[0]


def trained(preset: Preset, config: TrainingConfig, folder: Path, source, **around) -> Trainer:
    trainer = Trainer(config, folder, preset, Surroundings(**around))
    trainer.run(source)
    return trainer


def gradient_sums(trainer: Trainer) -> list[Tensor]:
    """Return Adam's first moments: sums of gradients, in which rounding stays as small as it is.

    The weights are not so: Adam's first step is as long for a gradient of 1e-9 as for one of 1.
    """
    state = trainer.optimizer.state
    return [state[value]["exp_avg"] for value in trainer.parameters.values() if value in state]


def saved_gradient_sums(checkpoint: Path) -> list[Tensor]:
    """Return the same of a checkpoint."""
    state = torch.load(checkpoint / "optimizer.bin", weights_only=True)["state"]
    return [state[number]["exp_avg"] for number in sorted(state)]


def difference(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Return by how much the worst tensor differs, as a share of its length.

    Of a tensor that is next to nothing, as a share of a thousandth of the longest.
    """
    least = 1e-3 * max(float(tensor.norm()) for tensor in first)
    assert least > 0
    pairs = zip(first, second, strict=True)
    return max(float((a - b).norm()) / max(float(a.norm()), least) for a, b in pairs)


@torch.no_grad()
def wake(networks: torch.nn.Module) -> None:
    """Fill weights that start from zero, so that every layer has a gradient."""
    generator = torch.Generator().manual_seed(7)
    for value in networks.parameters():
        if value.ndim > 1 and not value.any():
            torch.nn.init.normal_(value, std=0.1, generator=generator)


def farthest(first: Trainer, second: Trainer) -> float:
    pairs = zip(first.parameters.values(), second.parameters.values(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


# Killed and continued.


@pytest.mark.parametrize("stage", KILLED_RUNS)
def test_a_killed_run_is_resumed_bit_for_bit(tmp_path, data, ended, stage):
    folder, statuses = ended
    assert statuses[f"killed{stage}"] == [KILLED]
    shutil.copytree(folder / f"killed{stage}", tmp_path / "killed")
    if stage == 2:
        shutil.copytree(folder / "begun2", tmp_path / "whole")
    assert newest(tmp_path / "killed", stage).name == "step-00000002"
    for name in ("whole", "killed"):
        run_tiny(tmp_path / name, data, KILLED_RUNS[stage])
    first, second = (newest(tmp_path / name, stage) for name in ("whole", "killed"))
    for name in ("model.safetensors", "average.safetensors"):
        expected, found = load_file(first / name), load_file(second / name)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected), name
    states = [torch.load(path / "optimizer.bin", weights_only=True) for path in (first, second)]
    for key, value in states[0]["state"].items():
        for part, tensor in value.items():
            assert torch.equal(tensor, states[1]["state"][key][part])
    logs = [log_of(tmp_path / name, stage) for name in ("whole", "killed")]
    assert [entry["step"] for entry in logs[1]] == [2, 4]
    assert [entry["loss"] for entry in logs[0]] == [entry["loss"] for entry in logs[1]]


@pytest.mark.skipif(not SEVERAL, reason="torch's wheels for Windows lack libuv")
def test_processes_of_which_one_is_asked_to_end_do_so_after_the_same_step(ended):
    folder, statuses = ended
    assert statuses["asked"] == [143, 143]
    # The processes exchange before the backward pass, in which the signal comes.
    assert newest(folder / "asked").name == "step-00000003"


@pytest.mark.skipif(not SEVERAL, reason="torch's wheels for Windows lack libuv")
def test_two_processes_train_as_one_with_the_whole_batch(tmp_path, data, ended):
    """Each step of two processes is taken again by one process that starts from the same weights.

    It is also one process going on where two stopped.
    """
    assert ended[1]["two"] == [0, 0]
    two = ended[0] / "two"
    for step, entry in enumerate(log_of(two), 1):
        folder, name = tmp_path / f"one-{step}", f"stage1/checkpoints/step-{step - 1:08d}"
        if step > 1:
            shutil.copytree(two / name, folder / name)
        run_tiny(folder, data, replace(SHARED, steps=step))
        assert log_of(folder)[-1]["loss"] == pytest.approx(entry["loss"], rel=1e-4)  # has 5 digits
        newer = newest(folder).relative_to(folder)
        assert newer.name == f"step-{step:08d}"
        assert difference(*(saved_gradient_sums(path / newer) for path in (folder, two))) < 1e-4
    assert step == SHARED.steps


def test_interrupted_runs_leave_no_partial_checkpoint(tmp_path, small, data, monkeypatch):
    source = Shards(data, consecutive=False)
    trainer = trained(small.preset, replace(SMALL, steps=2), tmp_path, source)

    def fail(folder: str) -> None:
        Path(folder).mkdir(parents=True)
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    again = Trainer(SMALL, tmp_path, small.preset)
    monkeypatch.setattr(again.accelerator, "save_state", fail)
    with pytest.raises(
        TrainingError, match=r"step 4 cannot be written.*No space left.*Free disk space"
    ):
        again.run(source)
    assert newest(tmp_path).name == "step-00000002"
    assert not list((tmp_path / "stage1" / "checkpoints").glob("*.partial"))
    resumed = Trainer(SMALL, tmp_path, small.preset)
    assert resumed.step == 2
    assert farthest(trainer, resumed) == 0


def test_a_run_has_one_process_and_room_for_its_checkpoints(tmp_path, small, data, monkeypatch):
    source = Shards(data, consecutive=False)
    trainer = Trainer(replace(SMALL, steps=2), tmp_path, small.preset)
    with owned(tmp_path / "stage1"), pytest.raises(InputError, match="another process is working"):
        trainer.run(source)
    trained(small.preset, replace(SMALL, steps=2), tmp_path, source)
    with pytest.raises(TrainingError, match="another process has trained up to step 2"):
        trainer.run(source)
    again = Trainer(SMALL, tmp_path, small.preset)
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr("animate_anyone.places.shutil.disk_usage", lambda _: full)
    with pytest.raises(TrainingError, match=r"checkpoints; .*it needs about . MB, 0 MB are free"):
        again.run(source)


def test_a_run_that_cannot_be_resumed_says_so_at_its_start(
    tmp_path, small, data, monkeypatch, caplog
):
    monkeypatch.setattr("animate_anyone.torch_version.installed", lambda: (2, 5))
    trained(small.preset, replace(SMALL, steps=1), tmp_path, Shards(data, consecutive=False))
    assert "this run cannot be resumed here if it is interrupted" in caplog.text


def test_a_truncated_checkpoint_is_skipped_with_a_warning(tmp_path, small, data, caplog):
    trained(small.preset, replace(SMALL, steps=4), tmp_path, Shards(data, consecutive=False))
    path = newest(tmp_path) / "optimizer.bin"
    path.write_bytes(path.read_bytes()[:-1])
    assert Trainer(SMALL, tmp_path, small.preset).step == 2
    assert "step-00000004 is damaged (optimizer.bin has" in caplog.text


def test_a_new_checkpoint_outlives_a_damaged_later_one(tmp_path, small, data):
    source, config = Shards(data, consecutive=False), replace(SMALL, keep_checkpoints=1)
    trained(small.preset, replace(config, steps=4, keep_checkpoints=2), tmp_path, source)
    (newest(tmp_path) / "optimizer.bin").write_bytes(b"cut off")
    trainer = Trainer(config, tmp_path, small.preset)
    assert trainer.step == 2
    trainer.step = 3
    trainer.save()
    folder = tmp_path / "stage1" / "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["step-00000003"]
    (newest(tmp_path) / "checkpoint.json").write_text("{")
    with pytest.raises(TrainingError, match=r"all damaged.*choose a new folder"):
        Trainer(config, tmp_path, small.preset)


def test_a_run_is_resumed_with_another_accumulation(tmp_path, small, data):
    source = Shards(data, consecutive=False)
    before = trained(small.preset, replace(SMALL, steps=1), tmp_path, source)
    after = trained(small.preset, replace(SMALL, steps=2, accumulate=2), tmp_path, source)
    assert after.step == 2
    assert farthest(before, after) > 1e-4


def test_files_left_by_a_killed_run_are_ignored(tmp_path, small, data):
    source = Shards(data, consecutive=False)
    trained(small.preset, replace(SMALL, steps=2), tmp_path, source)
    partial = tmp_path / "stage1" / "checkpoints" / "step-00000004.partial"
    partial.mkdir()
    (partial / "checkpoint.json").write_text("{")
    with (tmp_path / "stage1" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')
    trained(small.preset, replace(SMALL, steps=4), tmp_path, source)
    assert newest(tmp_path).name == "step-00000004"
    assert [entry["step"] for entry in log_of(tmp_path)] == [2, 4]
    assert not list(partial.parent.glob("*.partial"))


def test_the_last_checkpoints_are_kept(tmp_path, small, data):
    config = replace(SMALL, steps=3, save_every=1)
    trained(small.preset, config, tmp_path, Shards(data, consecutive=False))
    names = [path.name for path in sorted((tmp_path / "stage1" / "checkpoints").iterdir())]
    assert names == ["step-00000002", "step-00000003"]


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path, small, data):
    trained(small.preset, replace(SMALL, steps=2), tmp_path, Shards(data, consecutive=False))
    with pytest.raises(ConfigError, match=r"seed was 0 and is 1.*choose a new folder"):
        Trainer(replace(SMALL, seed=1), tmp_path, small.preset)
    assert Trainer(replace(SMALL, steps=9, save_every=1), tmp_path, small.preset).step == 2


def test_examples_that_processes_cannot_share_are_refused(tmp_path, small):
    with pytest.raises(ConfigError, match="examples got 3; 1 processes with accumulate 2"):
        Trainer(replace(SMALL, examples=3, accumulate=2), tmp_path, small.preset)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(tmp_path, small):
    source = Noise(encoded=True, broken_at=3)
    with pytest.raises(TrainingError, match=r"loss got nan in step 3 \(rows 0, 1: clip 0, clip 1"):
        trained(small.preset, SMALL, tmp_path, source)
    assert newest(tmp_path).name == "step-00000003"
    weights = load_file(newest(tmp_path) / "model.safetensors")
    assert all(bool(value.isfinite().all()) for value in weights.values())


def test_many_steps_without_a_finite_gradient_stop_the_run(tmp_path, small, monkeypatch):
    monkeypatch.setattr(loop, "MAX_NOT_FINITE", 3)
    trainer = Trainer(replace(SMALL, report_every=1), tmp_path, small.preset)
    first = next(iter(trainer.parameters.values()))
    first.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingError, match=r"gradient got nan in 3 steps in a row, up to step 2"):
        trainer.run(Noise(encoded=True))
    assert [entry["skipped_steps"] for entry in log_of(tmp_path)] == [1, 1]


def test_data_of_other_encoders_is_refused(tmp_path, small):
    with pytest.raises(ConfigError, match="latents of 3 channels; these networks take 4"):
        trained(small.preset, SMALL, tmp_path, Wrong("targets"))
    with pytest.raises(ConfigError, match="image tokens of 15 numbers; these networks take 16"):
        trained(small.preset, SMALL, tmp_path, Wrong("tokens"))


class Wrong(Noise):
    """Noise in which one part has too few channels."""

    def __init__(self, part: str) -> None:
        super().__init__(encoded=True, tokens=True)
        self.part = part

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        batch = super().batch(draw, step, rows)
        if self.part == "tokens":
            assert batch.tokens is not None
            return replace(batch, tokens=batch.tokens[..., 1:])
        return replace(batch, targets=batch.targets[:, 1:])


@pytest.mark.parametrize(
    "error", [MediaError("clip 3 is damaged"), InputError("0 frames")], ids=str
)
def test_a_validation_that_fails_does_not_end_the_run(tmp_path, small, caplog, error):
    def validate(*_: object) -> dict[str, float]:
        raise error

    config = replace(SMALL, validate_every=3, steps=4)
    around = {"autoencoder": MeanAutoencoder(), "validate": validate}
    assert trained(small.preset, config, tmp_path, Noise(encoded=True), **around).step == 4
    assert f"step 3 could not be validated: {error}" in caplog.text


def test_resuming_with_other_data_is_logged(tmp_path, small, caplog):
    begun, later = {"data": "clips", "weights": "aa-mini"}, {"data": "others", "weights": "aa-mini"}
    trained(small.preset, replace(SMALL, steps=1), tmp_path, Noise(encoded=True), origin=begun)
    trained(small.preset, replace(SMALL, steps=2), tmp_path, Noise(encoded=True))
    assert "started with" not in caplog.text  # unnamed data means the recorded data
    Trainer(SMALL, tmp_path, small.preset, Surroundings(origin=later))
    assert "started with data clips; it continues with others" in caplog.text
    assert "weights" not in caplog.text


def test_processes_that_do_not_find_each_other_are_refused(tmp_path, small, monkeypatch):
    """As torchrun without a card, and accelerate launch --cpu --num_processes 2, start them."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"got 2 from the launcher, but only 1 of them"):
        Trainer(SMALL, tmp_path, small.preset)
    devices.check_launch(2, {"WORLD_SIZE": "2", "MASTER_PORT": "29500"})
    launched = {"ACCELERATE_MIXED_PRECISION": "no"}
    devices.check_launch(1, launched)
    with pytest.raises(ConfigError, match="accelerate launch, but it has started only one"):
        devices.check_launch(1, launched | {"MASTER_PORT": "29500"})


def test_distributions_are_configured_or_refused(tiny):
    plugin = SimpleNamespace(deepspeed_config={})
    accelerator: Any = SimpleNamespace(
        num_processes=2, process_index=1, state=SimpleNamespace(deepspeed_plugin=plugin)
    )
    config = replace(SMALL, examples=8, accumulate=2, clip=0.5, average_decay=0.0)
    devices.configure_deepspeed(accelerator, config)
    assert plugin.deepspeed_config == {
        "train_micro_batch_size_per_gpu": 2,
        "gradient_accumulation_steps": 2,
        "gradient_clipping": 0.5,
    }
    assert accelerator.gradient_accumulation_steps == 2
    accelerator.distributed_type = SimpleNamespace(value="FSDP")
    devices.check_run(accelerator, config)
    with pytest.raises(ConfigError, match=r"average_decay got 0\.9; under FSDP no process"):
        devices.check_run(accelerator, replace(config, average_decay=0.9))
    accelerator.distributed_type = SimpleNamespace(value="DEEPSPEED")
    facts = {"config": asdict(config), "distribution": "MULTI_GPU", "processes": 2}
    with pytest.raises(ConfigError, match="DeepSpeed can only load it with"):
        devices.check_run(accelerator, config, facts, Path("step-1"))


# The same numbers by other ways.


@pytest.mark.parametrize("stage", [1, 2])
def test_accumulation_and_checkpointing_change_nothing_but_memory(tmp_path, tiny, stage):
    """The weights do not change, so the gradients of both steps can be compared."""
    source = Noise(encoded=True)
    config = replace(SMALL, stage=stage, steps=2, examples=2, clip=1e9, learning_rate=0.0)
    plain = trained(tiny.preset, config, tmp_path / "plain", source, start=wake)
    parts = replace(config, accumulate=2, gradient_checkpointing=True)
    other = trained(tiny.preset, parts, tmp_path / "parts", source, start=wake)
    logs = [log_of(tmp_path / name, stage) for name in ("plain", "parts")]
    assert logs[1][0]["loss"] == pytest.approx(logs[0][0]["loss"], rel=1e-4)  # has 5 digits
    assert difference(gradient_sums(plain), gradient_sums(other)) < 1e-4


def test_pixels_are_encoded_as_cached_latents_were(tmp_path, tiny):
    config = replace(SMALL, steps=2, learning_rate=0.0)
    cached = trained(tiny.preset, config, tmp_path / "cached", Noise(encoded=True), start=wake)
    pixels = trained(
        tiny.preset,
        config,
        tmp_path / "pixels",
        Noise(encoded=False),
        autoencoder=MeanAutoencoder(),
        start=wake,
    )
    assert difference(gradient_sums(cached), gradient_sums(pixels)) < 1e-4


def test_the_error_for_pixels_without_an_autoencoder_says_what_to_do(tmp_path, small):
    with pytest.raises(
        ConfigError, match=r"autoencoder got none.*with --vae,.*prepare the data with caches"
    ):
        trained(small.preset, SMALL, tmp_path, Noise(encoded=False))


def test_a_frozen_image_encoder_is_not_among_the_networks(tmp_path, small):
    config = replace(SMALL, steps=1, train_image_encoder=False)
    trainer = trained(small.preset, config, tmp_path, Noise(encoded=True, tokens=True))
    assert not any("image_encoder" in name for name in trainer.parameters)


def test_tokens_for_an_image_encoder_that_is_trained_are_refused(tmp_path, small):
    config = replace(SMALL, train_image_encoder=True)
    with pytest.raises(ConfigError, match="hold image tokens, so the encoder would never run"):
        trained(small.preset, config, tmp_path, Noise(encoded=True, tokens=True))


@pytest.mark.parametrize("variant", ["clip", "controlnet", "clip_controlnet"])
def test_the_ablations_are_configurations_of_the_same_run(tmp_path, tiny, variant):
    config = replace(SMALL, variant=variant, steps=2)
    before = Trainer(config, tmp_path / "before", tiny.preset)
    after = trained(tiny.preset, config, tmp_path / "after", Noise(encoded=True))
    assert farthest(before, after) > 1e-4


# Draws and losses.


def test_a_row_does_not_depend_on_the_process_that_draws_it():
    options = {"train_timesteps": 1000, "shared_timestep": False, "dropout": 0.5}
    together = draw_step(3, 7, range(4), (4, 2, 8, 8), noise_offset=0.1, **options)
    alone = draw_step(3, 7, [2], (4, 2, 8, 8), noise_offset=0.1, **options)
    assert torch.equal(together.noise[2:3], alone.noise)
    assert torch.equal(together.timesteps[2:3], alone.timesteps)
    assert together.keep[2:3] == alone.keep
    assert not torch.equal(together.noise[0], together.noise[1])


def test_dropout_noise_offset_and_shared_timesteps_follow_the_settings():
    drawn = draw_step(
        0,
        0,
        range(400),
        (4, 3, 8, 8),
        train_timesteps=1000,
        shared_timestep=True,
        dropout=0.25,
        noise_offset=0.5,
    )
    assert np.mean(drawn.keep) == pytest.approx(0.75, abs=0.06)
    assert bool((drawn.timesteps == drawn.timesteps[:, :1]).all())
    # The offset adds 0.25 to the variance of a channel's mean over f * h * w values.
    assert float(drawn.noise.mean((2, 3, 4)).var()) == pytest.approx(0.25 + 1 / 192, rel=0.1)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("sample", lambda snr: min(snr, 5.0)),
        ("v_prediction", lambda snr: min(snr, 5.0) / (snr + 1)),
        ("epsilon", lambda snr: min(snr, 5.0) / snr),
    ],
)
def test_min_snr_weights_follow_the_formula(prediction, expected):
    schedule = NoiseSchedule(ScheduleConfig(prediction_type=prediction, zero_snr=False))
    timesteps = torch.tensor([[0, 300, 600, 999]])
    found = min_snr_scale(schedule, timesteps, 5.0)
    snr = (schedule.alphas_cumprod / (1 - schedule.alphas_cumprod))[timesteps[0]].tolist()
    assert found[0].tolist() == pytest.approx([expected(value) for value in snr], rel=1e-5)


def test_min_snr_weights_of_diffusers_leave_pure_noise_its_weight(caplog):
    schedule = NoiseSchedule(ScheduleConfig())
    timesteps = torch.tensor([[0, 300, 600, 999]])
    snr = schedule.snr(timesteps)[0].tolist()
    found = min_snr_scale(schedule, timesteps, 5.0, "diffusers")[0].tolist()
    assert found == pytest.approx([min(s + 1, 5.0) / (s + 1) for s in snr], rel=1e-5)
    assert found[-1] == pytest.approx(1.0)
    noise = NoiseSchedule(ScheduleConfig(prediction_type="epsilon", zero_snr=False))
    ours, theirs = (min_snr_scale(noise, timesteps, 5.0, name) for name in MIN_SNR_FORMULAS)
    assert torch.equal(ours, theirs)
    warn_of_unweighted_steps(schedule, 5.0, "diffusers")
    warn_of_unweighted_steps(noise, 5.0, "paper")
    assert not caplog.text


def test_a_run_whose_first_sampling_steps_get_no_weight_says_so(tmp_path, small, caplog):
    Trainer(replace(SMALL, min_snr_gamma=5.0), tmp_path, small.preset)
    assert "min_snr_gamma 5 gives pure noise the weight 0" in caplog.text
    with pytest.raises(ConfigError, match=r"min_snr_formula got 'kohya'; choose one of paper"):
        replace(SMALL, min_snr_formula="kohya")


def test_min_snr_weights_are_defined_at_zero_snr():
    schedule = NoiseSchedule(ScheduleConfig())
    assert float(min_snr_scale(schedule, torch.tensor([[999]]), 5.0)) == pytest.approx(0, abs=1e-6)


def test_the_mean_loss_of_the_parts_is_the_loss_of_the_batch():
    masks = torch.rand(2, 1, 4, 4, 1, generator=torch.Generator().manual_seed(2))
    output, target = torch.randn(2, 2, 3, 4, 4, 1, generator=torch.Generator().manual_seed(3))
    weights = figure_weights(masks, output, 2.0)
    whole = weighted_error(output, target, weights)
    parts = [
        weighted_error(output[i : i + 1], target[i : i + 1], weights[i : i + 1]) for i in (0, 1)
    ]
    assert float(whole) == pytest.approx(float(sum(parts)) / 2)


def test_training_and_sampling_use_the_same_schedule(tiny):
    config = replace(SMALL, prediction_type="v_prediction", zero_snr=False)
    preset = scheduled(tiny.preset, config)
    assert preset.schedule.prediction_type == "v_prediction"
    assert not preset.schedule.zero_snr
    betas = scheduled(tiny.preset, replace(SMALL, beta_schedule="scaled_linear")).schedule
    assert (betas.beta_schedule, betas.zero_snr) == ("scaled_linear", True)
    with pytest.raises(ConfigError, match="zero_snr"):
        scheduled(tiny.preset, replace(SMALL, prediction_type="epsilon", zero_snr=True))


def test_all_parts_of_a_step_take_one_exchange_of_losses(tmp_path, small, monkeypatch):
    calls, mean = [], Trainer._mean
    monkeypatch.setattr(Trainer, "_mean", lambda self, v: calls.append(v) or mean(self, v))
    config = replace(SMALL, steps=2, examples=4, accumulate=4, report_every=9)
    trained(small.preset, config, tmp_path, Noise(encoded=True))
    assert len(calls) == 2


def test_a_spike_is_a_setting(tmp_path, small, monkeypatch):
    monkeypatch.setattr(loop, "SPIKE_FREE_STEPS", 1)
    skipped = {}
    for limit in (0.0, 1e-6):
        config = replace(SMALL, steps=3, report_every=3, spike_limit=limit)
        trained(small.preset, config, tmp_path / str(limit), Noise(encoded=True))
        skipped[limit] = log_of(tmp_path / str(limit))[-1].get("skipped_steps", 0)
    assert skipped == {0.0: 0, 1e-6: 2}


# What a run tells.


def test_a_slow_run_reports_and_saves_by_time(tmp_path, small):
    config = replace(SMALL, steps=3, report_every=99, save_every=99, keep_checkpoints=9)
    by_time = replace(config, report_minutes=1e-9, save_minutes=1e-9)
    for name, wanted in (("steps", config), ("time", by_time)):
        trained(small.preset, wanted, tmp_path / name, Noise(encoded=True))
    assert not (tmp_path / "steps" / "stage1" / "log.jsonl").exists()
    assert [entry["step"] for entry in log_of(tmp_path / "time")] == [1, 2, 3]
    assert len(list((tmp_path / "time" / "stage1" / "checkpoints").iterdir())) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_files_of_a_run_have_the_users_mode(tmp_path, small):
    trained(small.preset, replace(SMALL, steps=2), tmp_path, Noise(encoded=True))
    (tmp_path / "usual").touch()
    files = [path for path in (tmp_path / "stage1").rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {(tmp_path / "usual").stat().st_mode}
    assert {"model.safetensors", "average.safetensors", "weights.safetensors"} <= {
        path.name for path in files
    }


def test_a_run_tells_what_it_needs_on_the_disk(tmp_path, small, caplog, monkeypatch):
    caplog.set_level("INFO")
    source, most = Noise(encoded=True), 0
    trainer = Trainer(replace(SMALL, steps=4, save_every=1), tmp_path, small.preset)
    size = size_of_save(trainer.parameters, trainer._unused, trainer.average)
    trainer.run(source)
    (told,) = [each for each in caplog.records if "will be used" in each.message]
    assert told.levelname == "INFO"
    folder = tmp_path / "stage1"
    written = sum(path.stat().st_size for path in newest(tmp_path).rglob("*"))
    assert written == pytest.approx(size.checkpoint, rel=0.2)
    weights = (folder / "weights.safetensors").stat().st_size
    assert weights == pytest.approx(size.weights, rel=0.2)
    most = size.checkpoint + size.weights + 1  # enough for one checkpoint, not for two more
    monkeypatch.setattr(
        "animate_anyone.places.shutil.disk_usage", lambda _: SimpleNamespace(free=most)
    )
    config = replace(SMALL, keep_checkpoints=9, steps=5)
    Trainer(config, tmp_path, small.preset).run(source)
    assert "That is not enough: free some space, or lower keep_checkpoints" in caplog.text


def test_a_data_set_that_changed_under_a_run_is_noticed(tmp_path, small, caplog):
    origin = {"data": "clips", CONTENT: "0123"}
    trained(small.preset, replace(SMALL, steps=1), tmp_path, Noise(encoded=True), origin=origin)
    Trainer(SMALL, tmp_path, small.preset, Surroundings(origin={**origin, "data": "moved"}))
    assert "has changed" not in caplog.text
    Trainer(SMALL, tmp_path, small.preset, Surroundings(origin={**origin, CONTENT: "4567"}))
    assert "the data set has changed since the run was started" in caplog.text


def test_what_is_due_by_time_comes_before_its_time_is_over(monkeypatch):
    times = iter([0.0, 100.0, 200.0, 200.0, 300.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    due = Due(5)
    assert [due.now(), due.now()] == [False, True]  # a third step would end at 300 seconds
    due.begin()
    assert not due.now()


def test_reports_validation_and_samples_are_kept(tmp_path, small):
    pytest.importorskip("tensorboard")

    def validate(models, journal, step):
        journal.picture(step, "samples", np.zeros((8, 8, 3), np.uint8))
        journal.clip(step, "clip", np.zeros((2, 8, 8, 3), np.uint8), 12.0)
        return {"validation_psnr": float(models.denoiser.conv_in.weight.detach().mean())}

    config = replace(SMALL, validate_every=4)
    around = {"autoencoder": MeanAutoencoder(), "validate": validate}
    trained(small.preset, config, tmp_path, Noise(encoded=True), **around)
    folder = tmp_path / "stage1"
    entries = log_of(tmp_path)
    assert [entry["step"] for entry in entries] == [2, 4, 4]
    assert {"loss", "examples_per_second", "share_of_time_waiting_for_data"} <= set(entries[0])
    assert "validation_psnr" in entries[2]
    assert (folder / "samples" / "samples-00000004.png").exists()
    assert (folder / "samples" / "clip-00000004.gif").exists()
    assert list((folder / "tensorboard").iterdir())
    assert TrainingConfig.read(folder / "config.json") == config
