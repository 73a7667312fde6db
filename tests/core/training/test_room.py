"""The least memory of a training step is below what a step has, and what never fits is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone import memory
from animate_anyone.errors import InputError
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.room import least_needs
from animate_anyone.training.sources.batch import Batch
from animate_anyone.types import Size
from living_bytes import LivingBytes

SIZE = Size(56, 48)
CONFIG = TrainingConfig(
    steps=2, examples=2, frames=3, warm_up=1, save_every=9, report_every=9, mixed_precision="no",
    average_decay=0.9, condition_dropout=0.0, train_image_encoder=False, learning_rate=1e-4,
)  # fmt: skip
CPU = torch.device("cpu")


class Noise:
    """Random latents and tokens."""

    def batch(self, draw, step, rows):
        rng = np.random.default_rng((step, *rows))
        count, h, w = len(rows), SIZE.height // 8, SIZE.width // 8
        shapes = {"reference": (count, 4, h, w), "targets": (count, 4, draw.frames, h, w)}
        shapes |= {"tokens": (count, 1, 16)}
        values = {k: torch.from_numpy(rng.normal(size=s)).float() for k, s in shapes.items()}
        poses = torch.zeros(count, draw.frames, 3, SIZE.height, SIZE.width, dtype=torch.uint8)
        return Batch(encoded=True, poses=poses, **values)


def added(value, *names):
    return sum(part.nbytes for part in value if part is not None)


def measured(trainer):
    """Return the bytes of a second step: weights, gradients, optimiser, and what it adds at most.

    The last are the activations, with what exists of the gradients beside them.
    """
    first, second = trainer._batches(Noise())
    facts, update = {}, trainer._update

    def looking():
        facts["gradients"] = added(value.grad for value in trainer.parameters.values())
        update()

    trainer._update = looking
    trainer.train_step(first)
    with LivingBytes() as living:
        trainer.train_step(second)
    state = trainer.optimizer.state.values()
    facts["optimiser"] = added(one[name] for one in state for name in ("exp_avg", "exp_avg_sq"))
    facts["weights"] = added([*trainer.networks.parameters(), *trainer.average.values.values()])
    return facts, living.most


KINDS = {
    "stage 1": {},
    "stage 2": {"stage": 2},
    "half precision": {"mixed_precision": "bf16"},
    "checkpointing": {"gradient_checkpointing": True},
    "stage 2, checkpointing": {"stage": 2, "gradient_checkpointing": True},
    "parts": {"accumulate": 2, "average_decay": 0.0},
    "LoRA": {"lora": 2},
    "temporal LoRA": {"stage": 2, "lora": 2},
    "attention": {"train": "attention, pose_guider"},
    **{variant: {"variant": variant} for variant in ("clip", "blind_controlnet")},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_a_step_has_more_than_the_least(tiny, tmp_path, changes):
    config = replace(CONFIG, **changes)
    around = Surroundings(cpu=True, start=lambda networks: None)
    trainer = Trainer(config, tmp_path, tiny.preset, around)
    needs = least_needs(trainer.preset, config, SIZE, device=CPU)
    found, most = measured(trainer)
    assert needs.weights == found["weights"]
    least = 1.0 if config.variant == "reference_net" else 0.5
    for name in ("gradients", "optimiser"):
        assert least * found[name] <= getattr(needs, name) <= found[name], name
    assert 0.15 * most <= needs.total - needs.weights - needs.optimiser <= most


def test_a_run_whose_networks_never_fit_is_refused_before_they_are_built(
    small, tmp_path, monkeypatch
):
    around = Surroundings(cpu=True, start=lambda networks: None)
    needs = least_needs(small.preset, CONFIG, device=CPU)
    monkeypatch.setattr(memory, "most_memory", lambda: needs.total - 1)
    with pytest.raises(InputError, match=r"preset got 'tiny' .* optimiser .* machine has .* LoRA"):
        Trainer(CONFIG, tmp_path, small.preset, around)
    Trainer(replace(CONFIG, lora=1), tmp_path, small.preset, around)


def test_a_step_that_never_fits_is_refused_before_it(small, tmp_path, monkeypatch, caplog):
    around = Surroundings(cpu=True, start=lambda networks: None)
    config = replace(CONFIG, stage=2, steps=1, frames=6)
    needs = least_needs(small.preset, config, SIZE, device=CPU)
    monkeypatch.setattr(memory, "most_memory", lambda: needs.total - 1)
    words = r"examples got 2 with 6 frames of 56x48 pixels each, .*MB.* activations .* fewer"
    trainer = Trainer(config, tmp_path, small.preset, around)
    with pytest.raises(InputError, match=words):
        trainer.run(Noise())
    assert trainer.step == 0
    assert trainer.room.needs is None
    monkeypatch.setattr(memory, "most_memory", lambda: needs.total)
    with caplog.at_level("INFO"):
        trainer.run(Noise())
    assert trainer.step == 1
    assert trainer.room.needs == needs
    assert f"a step of 56x48 pixels needs {needs.text()}" in caplog.text


def test_less_is_needed_by_more_parts_more_processes_and_a_card(tiny):
    def activations(device="cpu", processes=1, **changes):
        config, place = replace(CONFIG, **changes), torch.device(device)
        return least_needs(tiny.preset, config, SIZE, processes=processes, device=place).activations

    assert activations(accumulate=2) == activations(processes=2) == activations() / 2
    assert activations("cuda") < activations()  # no scores of attention
    assert activations(mixed_precision="bf16") == activations() / 2


def test_what_may_get_no_gradient_is_not_counted(tiny):
    def needs(**changes):
        return least_needs(tiny.preset, replace(CONFIG, **changes), device=CPU)

    once = {"condition_dropout": 0.3, "steps": 1}  # all rows may be without the reference
    assert needs(**once).gradients < needs().gradients
    assert needs(condition_dropout=0.3, steps=100).gradients == needs().gradients
    assert needs(steps=1).optimiser == 0
