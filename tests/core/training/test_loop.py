"""The trainer: the layers that each stage trains, and resuming a run."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from animate_anyone.config import Preset
from animate_anyone.errors import ConfigError, InputError, TrainingError, WeightsError
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.export import export
from animate_anyone.training.loop.checkpoints import Average, load_checkpoint, save_checkpoint
from animate_anyone.training.loop.trainer import Trainer
from animate_anyone.training.sources.shards import Shards, write_shard, write_shards
from animate_anyone.types import Size
from plain_encoders import MeanAutoencoder

SMALL = TrainingConfig(
    steps=4, examples=1, frames=2, warm_up=1, save_every=2, report_every=2, mixed_precision="no"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for consecutive in (False, True):
        write_shard(
            folder / f"shard-{consecutive}",
            MeanAutoencoder(),
            seed=1,
            clips=2,
            frames=3,
            consecutive=consecutive,
            size=Size(32, 32),
        )
    return folder


@pytest.fixture
def train(small, data):
    return partial(run_stage, small.preset, data)


def run_stage(preset: Preset, data: Path, config: TrainingConfig, folder: Path) -> Trainer:
    trainer = Trainer(config, folder, preset)
    trainer.run(Shards(data, consecutive=config.stage == 2))
    return trainer


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in trainer.networks.state_dict().items()}


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, small, train):
    whole = weights(train(SMALL, tmp_path / "whole"))
    train(replace(SMALL, steps=2, decay_from=1.0), tmp_path / "parts")
    resumed = train(replace(SMALL, decay_from=1.0), tmp_path / "parts")
    through = weights(train(replace(SMALL, decay_from=1.0), tmp_path / "through"))
    assert resumed.step == 4
    for key, value in weights(resumed).items():
        assert torch.equal(value, through[key]), key
    assert any(not torch.equal(whole[key], through[key]) for key in whole)  # the decay is there


def test_a_torch_that_may_run_code_in_a_pickle_resumes_no_run(tmp_path, small, train, monkeypatch):
    train(replace(SMALL, steps=2), tmp_path)
    save_checkpoint(tmp_path / "line.pt", {"step": 1})
    monkeypatch.setattr(torch, "__version__", "2.5.1+cu124")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    match = r"CVE-2025-32434.*Update torch to 2\.6 or newer, or start a new run"
    with pytest.raises(WeightsError, match=match):
        Trainer(SMALL, tmp_path, small.preset)
    with pytest.raises(WeightsError, match=match):
        load_checkpoint(tmp_path / "line.pt")
    assert load_checkpoint(tmp_path / "none.pt") is None


def test_stage_1_trains_everything_but_temporal_layers(tmp_path, small, train):
    before = weights(Trainer(SMALL, tmp_path / "before", small.preset))
    after = weights(train(SMALL, tmp_path / "after"))
    assert not any("motion_modules" in key for key in after)
    for network in ("denoiser", "reference_net", "pose_guider", "image_encoder"):
        moved = [k for k in after if k.startswith(network) and not before[k].equal(after[k])]
        assert moved, network


def test_stage_2_starts_from_stage_1_and_trains_only_temporal_layers(tmp_path, small, train):
    train(SMALL, tmp_path)
    second = replace(SMALL, stage=2, steps=3)
    before = weights(Trainer(second, tmp_path, small.preset))
    first = load_file(tmp_path / "stage1" / "weights.safetensors")
    assert torch.equal(before["denoiser.conv_in.weight"], first["denoiser.conv_in.weight"])
    after = weights(train(second, tmp_path))
    moved = {key for key in after if not torch.equal(before[key], after[key])}
    assert moved
    assert all("motion_modules" in key for key in moved)


def test_the_error_for_stage_2_without_stage_1_says_what_to_do(tmp_path, small):
    with pytest.raises(ConfigError, match="Train stage 1 first"):
        Trainer(replace(SMALL, stage=2), tmp_path, small.preset)


def test_examples_of_two_encoders_are_not_mixed(tmp_path):
    class Other(MeanAutoencoder):
        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            return -super().encode(frames)

    write = partial(write_shards, tmp_path, first=1, clips=1, frames=2, size=Size(32, 32))
    write(MeanAutoencoder(), shards=1)
    write(MeanAutoencoder(), shards=2)
    with pytest.raises(InputError, match="were encoded by another autoencoder"):
        write(Other(), shards=3)
    (tmp_path / "encoder.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"encoder\.npy is damaged"):
        write(MeanAutoencoder(), shards=3)
    assert len(Shards(tmp_path, consecutive=False).shards) == 2


def test_the_error_for_missing_shards_names_their_kind(tmp_path):
    with pytest.raises(InputError, match="holds no shard of running clips"):
        Shards(tmp_path, consecutive=True)


def test_configurations_round_trip_and_refuse_unknown_keys(tmp_path):
    path = tmp_path / "stage1.json"
    SMALL.write(path)
    assert TrainingConfig.read(path) == SMALL
    path.write_text(json.dumps({"steps": 3, "learnig_rate": 1}))
    with pytest.raises(ConfigError, match="learnig_rate"):
        TrainingConfig.read(path)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("steps", "10", "'10'; it must be of the same type as 20000"),
        ("steps", 2.5, "2.5; it must be of the same type as"),
        ("steps", True, "True; it must be of the same type as"),
        ("steps", 0, "0; it must be 1 or more"),
        ("workers", -1, "-1; it must be 0 or more"),
        ("learning_rate", float("nan"), "nan; it must be 0 or more"),
        ("learning_rate", None, "None; it must be of the same type as"),
        ("gradient_checkpointing", 1, "1; it must be of the same type as False"),
        ("zero_snr", "yes", "'yes'; choose one of None, False, True"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_errors_for_invalid_settings_name_them(name, value, wrong):
    with pytest.raises(ConfigError, match=f"{name} got {wrong}"):
        TrainingConfig(**{name: value})
    assert TrainingConfig(learning_rate=1, zero_snr=True)  # whole numbers do for real ones


def test_a_checkpoint_file_is_replaced_atomically(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"step": 1})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(TrainingError, match="disk full"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path) == {"step": 1}
    assert load_checkpoint(tmp_path / "none.pt") is None


def test_the_average_follows_and_lags():
    parameter = torch.nn.Parameter(torch.zeros(1))
    average = Average({"p": parameter}, decay=0.5)
    parameter.data.fill_(1.0)
    average.update({"p": parameter})
    assert float(average.values["p"]) == pytest.approx(1 - 2 / 11)
    assert float(parameter.detach()) == 1.0
    for _ in range(8):  # until its memory is as long as it may be
        average.update({"p": parameter})
    before = float(average.values["p"])
    parameter.data.fill_(3.0)
    average.update({"p": parameter})
    assert float(average.values["p"]) == pytest.approx((before + 3) / 2)


def test_no_decay_keeps_no_average():
    parameter = torch.nn.Parameter(torch.zeros(1))
    average = Average({"p": parameter}, decay=0.0)
    average.update({"p": parameter})
    assert average.state_dict() == {"steps": 0, "values": {}}


def test_export_needs_a_trained_stage(tmp_path):
    with pytest.raises(WeightsError, match="Train stage 1 first"):
        export(tmp_path, tmp_path / "out")
