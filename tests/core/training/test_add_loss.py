"""A loss term needs one entry in LOSSES: then it is trained with, configured and logged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from animate_anyone.__main__ import main
from animate_anyone.errors import ConfigError
from animate_anyone.mini.additions.step import AdditionTraining
from animate_anyone.training.config import TrainingConfig, read_changes
from animate_anyone.training.loop.losses import LOSSES, Loss
from animate_anyone.training.loop.trainer import Trainer
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.sources.shards import Shards, write_shard
from animate_anyone.types import Size
from animate_anyone.weights.load import load_models
from plain_encoders import MeanAutoencoder

SMALL = TrainingConfig(
    steps=1, examples=1, frames=2, warm_up=0, save_every=1, report_every=1, mixed_precision="no"
)


@pytest.fixture
def brightness(monkeypatch):
    """Add a term by its entry only; return the inputs that it received."""
    seen = []

    def value(output, target, facts):
        seen.append(facts)
        return (output.float().mean() - target.float().mean()).square()

    monkeypatch.setitem(LOSSES, "brightness", Loss(0.5, value))
    return seen


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    drawn = {"seed": 1, "clips": 2, "frames": 3, "consecutive": False, "size": Size(32, 32)}
    write_shard(folder / "shard", MeanAutoencoder(), **drawn)
    return folder


def log_of(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "stage1" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def train(small, data, folder, config) -> dict[str, torch.Tensor]:
    trainer = Trainer(config, folder, small.preset)
    trainer.run(Shards(data, consecutive=False))
    return trainer.networks.state_dict()


def test_an_added_term_changes_the_weights_and_is_logged(tmp_path, small, data, brightness):
    weights = train(small, data, tmp_path / "with", replace(SMALL, losses={"brightness": 3.0}))
    (entry,) = log_of(tmp_path / "with")
    assert entry["loss_brightness"] > 0
    both = entry["loss_prediction"] + entry["loss_brightness"]
    assert entry["loss"] == pytest.approx(both, rel=1e-4)
    (facts,) = brightness
    assert facts.noisy.shape == (1, 4, 2, 4, 4)
    assert facts.timesteps.shape == (1, 2)
    assert facts.masks is not None

    without = train(small, data, tmp_path / "without", replace(SMALL, losses={"brightness": 0.0}))
    (plain,) = log_of(tmp_path / "without")
    assert len(brightness) == 1, "a term of weight 0 is not computed"
    assert plain["loss"] == pytest.approx(entry["loss_prediction"], rel=1e-4)
    assert not any(name.startswith("loss_") for name in plain), "one term is the loss itself"
    assert any(not torch.equal(weights[key], without[key]) for key in weights)


@pytest.mark.usefixtures("brightness")
def test_an_added_term_is_in_the_configuration_with_its_default_weight(tmp_path):
    path = tmp_path / "config.json"
    SMALL.changed({}).write(path)
    assert json.loads(path.read_text())["losses"]["brightness"] == 0.5
    changed = SMALL.changed({"losses": {"brightness": 2.0}})
    assert changed.losses == {"prediction": 1.0, "difference": 0.0, "brightness": 2.0}
    changed.write(path)
    assert TrainingConfig.read(path) == changed
    assert AdditionTraining(steps=1, characters=9, learning_rate=1.0).losses["brightness"] == 0.5
    with pytest.raises(ConfigError, match=r"losses\.brightness got -1; it must be a number of 0"):
        SMALL.changed({"losses": {"brightness": -1}})


@pytest.mark.slow
@pytest.mark.usefixtures("brightness")
def test_an_added_term_is_set_and_logged_from_the_command_line(tmp_path):
    autoencoder = load_models("aa-mini").autoencoder
    drawn = {"seed": 1, "clips": 1, "frames": 2, "consecutive": False, "size": Size(64, 64)}
    write_shard(tmp_path / "data" / "shard", autoencoder, **drawn)
    changes = {"examples": 1, "frames": 1, "report_every": 1, "losses": {"brightness": 4}}
    path = tmp_path / "changes.json"
    path.write_text(json.dumps(changes))
    words = [f"--folder={tmp_path}", f"--config={path}", "--steps=1"]
    assert main(["train", "stage1", *words]) == 0
    assert log_of(tmp_path)[0]["loss_brightness"] > 0
    kept = TrainingConfig.read(tmp_path / "stage1" / "config.json")
    assert kept.losses == {"prediction": 1.0, "difference": 0.0, "brightness": 4}


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"brightness": 1.0}, "losses got 'brightness'; known are prediction, difference"),
        ({"difference": "8"}, r"losses\.difference got '8'; it must be a number"),
        ({"difference": True}, r"losses\.difference got True; it must be a number"),
        ({"difference": float("nan")}, r"losses\.difference got nan"),
        ({"prediction": 0}, "losses got no weight above 0"),
        ([8.0], r"losses got \[8\.0\]; it must give weights by name"),
    ],
    ids=["unknown", "text", "switch", "nan", "none", "list"],
)
def test_invalid_weights_are_refused(losses, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(losses=losses)
    with pytest.raises(ConfigError, match=message):
        SMALL.changed({"losses": losses})


def test_files_of_earlier_versions_still_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"stage": 2, "difference_weight": 6.0}))
    assert read_changes(path) == {"stage": 2, "losses": {"difference": 6.0}}
    assert TrainingConfig.read(path).losses == {"prediction": 1.0, "difference": 6.0}
    recipe = get_recipe("aa-mini", 2)
    assert recipe.losses == {"prediction": 1.0, "difference": 8.0}
    assert recipe.changed(read_changes(path)).losses["difference"] == 6.0
