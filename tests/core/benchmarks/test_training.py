"""Counted memory compared with a real training step, and measured speed on a tiny run."""

from argparse import Namespace

import pytest
import torch

from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Surroundings
from animate_anyone.types import Size
from benchmarks.training_memory import Step, bytes_of, count, optimizer_bytes

pytest.importorskip("resource", reason="the benchmark asks the system for its peak memory")

from benchmarks import training
from benchmarks.training import RandomSource, measure, memory_table, speed

SIZE = Size(32, 48)


def settings(stage, **changes):
    usual = {"examples": 2, "frames": 3, "train_image_encoder": False, "average_decay": 0.0}
    return TrainingConfig(stage=stage, warm_up=1, **usual | changes)


def real_step(preset, config):
    """Return a step's networks and the bytes that its graph keeps, without parameters."""
    step = Step(preset, config, SIZE)
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), step.autocast():
        output = step.forward()
    own = (*step.networks.parameters(), *step.networks.buffers())
    batch = (step.noisy, step.timesteps, step.poses, step.reference, step.picture, step.target)
    for tensor in (*own, *batch):
        kept.pop(tensor.untyped_storage()._cdata, None)
    kept[output.untyped_storage()._cdata] = output.untyped_storage()
    step.loss(output).backward()
    return step, sum(storage.nbytes() for storage in kept.values())


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_the_count_is_what_a_real_step_keeps(tiny, stage):
    config = settings(stage)
    need = count(tiny.preset, config, SIZE, "cpu")
    step, kept = real_step(tiny.preset, config)
    parameters = [*step.networks.parameters()]
    assert need.parameters == sum(map(bytes_of, parameters))
    assert need.gradients == sum(bytes_of(p.grad) for p in parameters if p.grad is not None)
    optimizer = torch.optim.AdamW(step.trained.values())
    optimizer.step()
    states = [v for state in optimizer.state.values() for k, v in state.items() if k != "step"]
    assert need.optimizer == sum(map(bytes_of, states))
    batch = (step.noisy, step.timesteps, step.poses, step.reference, step.picture, step.target)
    assert need.activations - sum(map(bytes_of, batch)) == pytest.approx(kept, rel=0.02)


@pytest.fixture(scope="module")
def plain(small):
    """Return the memory of stage 1 with autocast's rules for CUDA."""
    return count(small.preset, settings(1), SIZE)


def test_checkpointing_trades_kept_activations_for_one_layer(small, plain):
    checkpointed = count(small.preset, settings(1, gradient_checkpointing=True), SIZE)
    assert checkpointed.activations < 0.6 * plain.activations
    assert checkpointed.layer > plain.layer
    assert checkpointed.total < plain.total
    assert checkpointed.fixed == plain.fixed


def test_averages_cost_their_weights_and_parts_save_activations(small, plain):
    changed = count(small.preset, settings(1, average_decay=0.9, accumulate=2), SIZE)
    assert changed.average == plain.parameters
    assert changed.fixed == plain.fixed + changed.average
    assert changed.activations < 0.6 * plain.activations
    assert "stage 1: fits" in memory_table({1: plain})


def test_8_bit_states_take_two_bytes_and_scales_except_in_small_tensors():
    assert optimizer_bytes("adamw", 5000) == 8 * 5000
    assert optimizer_bytes("adamw8bit", 4095) == 8 * 4095
    assert optimizer_bytes("adamw8bit", 25600) == 2 * 25600 + 100 * 8


def test_a_run_is_measured_without_its_warm_up(tmp_path, monkeypatch, tiny):
    monkeypatch.setattr("animate_anyone.training.loop.trainer.get_preset", lambda name: tiny.preset)
    monkeypatch.setattr("benchmarks.training.WARM_UP", 2)
    unet = tiny.preset.unet
    source = RandomSource(SIZE, unet.in_channels, unet.cross_attention_dim)
    found = measure(settings(2), source, Surroundings(), tmp_path, 3)
    assert found["samples_per_second"] == pytest.approx(found["steps_per_second"] * 6)
    assert 0 < found["waiting"] < 1
    assert found["reader"] > 0
    assert found["peak_mb"] > 0


def test_measuring_says_which_row_it_is_at(monkeypatch, capsys):
    monkeypatch.setattr(training, "in_own_process", lambda row, *_: {"row": row})
    options = Namespace(recipe="24gb", stages=(1, 2))
    assert [row["row"][:9] for row in speed(options)] == ["1,random,", "2,random,"]
    told = capsys.readouterr().err.splitlines()
    assert [line[:24] for line in told] == ["row 1 of 2: stage 1, ran", "row 2 of 2: stage 2, ran"]
