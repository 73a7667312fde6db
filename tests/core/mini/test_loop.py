"""The loop of aa-mini's trainings: its steps, and resuming an interrupted run exactly."""

import json
from dataclasses import replace

import pytest
import torch

from animate_anyone.errors import ConfigError, TrainingError
from animate_anyone.mini.loop import LoopConfig, Run

CONFIG = LoopConfig(
    steps=4, learning_rate=0.1, warm_up=1, average_decay=0.9, report_every=2, save_every=1
)


class StoppedError(Exception):
    """An exception that ends a run from outside."""


class Line:
    """A network of one weight and one buffer, and the loss of a step."""

    def __init__(self):
        self.network = torch.nn.BatchNorm1d(1)
        self.generator = torch.Generator().manual_seed(0)

    def run(self, folder, config=CONFIG):
        tensors = self.network.state_dict(keep_vars=True)
        return Run(folder / "line.pt", tensors, config, self.generator)

    def loss(self, step, *, until=None):
        if step == until:
            raise StoppedError
        x = torch.randn(8, 1, generator=self.generator) + step
        return (self.network(x) - 3).square().mean(), {"step_seen": float(step)}


def entries(folder):
    return [json.loads(line) for line in (folder / "line.jsonl").read_text().splitlines()]


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    whole, first, second = Line(), Line(), Line()
    for name in ("whole", "parted"):
        (tmp_path / name).mkdir()
    straight = whole.run(tmp_path / "whole")
    straight.train(whole.loss)
    with pytest.raises(StoppedError):
        first.run(tmp_path / "parted").train(lambda step: first.loss(step, until=2))
    resumed = second.run(tmp_path / "parted")
    assert resumed.step == 2
    resumed.train(second.loss)
    for key, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key
    for key, value in straight.average.values.items():
        assert torch.equal(value, resumed.average.values[key]), key
    logs = [entries(tmp_path / name) for name in ("whole", "parted")]
    for log in logs:
        assert [(entry["step"], entry["step_seen"]) for entry in log] == [(2, 0.5), (4, 2.5)]
    assert [entry["loss"] for entry in logs[0]] == [entry["loss"] for entry in logs[1]]


def test_log_entries_of_repeated_steps_are_dropped(tmp_path):
    line = Line()
    with pytest.raises(StoppedError):
        line.run(tmp_path, replace(CONFIG, save_every=3)).train(
            lambda step: line.loss(step, until=2)
        )
    assert [entry["step"] for entry in entries(tmp_path)] == [2]
    again = Line()
    again.run(tmp_path).train(again.loss)
    assert [entry["step"] for entry in entries(tmp_path)] == [2, 4]


def test_a_loss_that_is_not_finite_ends_the_run_before_an_update(tmp_path):
    line = Line()
    run = line.run(tmp_path)
    with pytest.raises(TrainingError, match="loss got nan in step 0 of line"):
        run.train(lambda step: (run.parameters["weight"].sum() * torch.nan, {}))
    assert line.network.weight == 1
    assert not [*tmp_path.iterdir()]


def test_a_step_without_a_finite_gradient_is_skipped_and_logged(tmp_path):
    line = Line()
    run = line.run(tmp_path)

    def loss(step):
        shift = run.parameters["bias"].sum()
        return shift + (shift.sqrt() if step == 0 else 0), {}  # 0 has no finite derivative

    run.train(loss)
    assert torch.isfinite(line.network.bias).all()
    assert run.average.steps == 3
    assert [entry.get("skipped_steps", 0) for entry in entries(tmp_path)] == [1, 0]


def test_a_checkpoint_of_other_parameters_is_refused(tmp_path):
    line = Line()
    line.run(tmp_path, replace(CONFIG, steps=1)).train(line.loss)
    line.network = torch.nn.BatchNorm1d(2)
    with pytest.raises(TrainingError, match=r"line\.pt .*weight is \[1\], .*Remove it"):
        line.run(tmp_path)


@pytest.mark.parametrize("name", ["steps", "report_every", "save_every"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name} got 0"):
        replace(CONFIG, **{name: 0})
