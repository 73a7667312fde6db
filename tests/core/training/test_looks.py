"""Training looks whether the user has cancelled before every layer, and loses nothing by it."""

import pytest
import torch
from core.training.run_tiny import PRESET
from torch import nn

from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.networks import build_networks
from animate_anyone.training.sources.batch import Batch

CONFIG = TrainingConfig(
    preset="tiny", steps=3, examples=1, frames=2, save_every=99, report_every=99, workers=0,
    train_image_encoder=False, validate_every=0, prediction_type=None, zero_snr=None,
)  # fmt: skip


class Cancelled(Exception):  # noqa: N818
    pass


class Noise:
    def batch(self, draw, step, rows):
        generator = torch.Generator().manual_seed(step)
        return Batch(
            encoded=True,
            reference=torch.randn(1, 4, 8, 8, generator=generator),
            targets=torch.randn(1, 4, 2, 8, 8, generator=generator),
            poses=torch.randint(0, 255, (1, 2, 3, 64, 64), dtype=torch.uint8, generator=generator),
            tokens=torch.randn(1, 1, 16, generator=generator),
            names=("noise",),
        )


def trained(folder, look=None, progress=None):
    trainer = Trainer(CONFIG, folder, PRESET, Surroundings(cpu=True, look=look, progress=progress))
    trainer.run(Noise())
    return trainer


class Looks:
    """Counts looks, and cancels at one of them."""

    def __init__(self, cancel_at=None):
        self.count, self.cancel_at = 0, cancel_at

    def __call__(self):
        self.count += 1
        if self.count == self.cancel_at:
            raise Cancelled


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return an uninterrupted run with looks, and the looks that there were after each step."""
    looks, at_steps = Looks(), []
    folder = tmp_path_factory.mktemp("whole")
    return trained(folder, looks, lambda done, _: at_steps.append(looks.count)), at_steps


def test_every_layer_is_looked_before_in_both_directions(tmp_path, whole):
    with_looks, at_steps = whole
    layers = [p for p in with_looks.networks.modules() if isinstance(p, nn.Linear | nn.Conv2d)]
    assert at_steps[1] - at_steps[0] > 1.5 * len(layers)
    without = trained(tmp_path)
    for name, value in with_looks.parameters.items():
        assert value.equal(without.parameters[name]), "looking changes nothing"


@pytest.mark.parametrize("share", [0.3, 0.8], ids=["forwards", "backwards"])
def test_a_cancelled_step_is_repeated_exactly(tmp_path, whole, share):
    uncut, at_steps = whole
    middle = int(at_steps[0] + share * (at_steps[1] - at_steps[0]))
    with pytest.raises(Cancelled):
        trained(tmp_path, Looks(cancel_at=middle))
    steps = []
    again = trained(tmp_path, progress=lambda done, _: steps.append(done))
    assert steps == [2, 3]  # the first step was kept
    for name, value in again.parameters.items():
        assert torch.allclose(value, uncut.parameters[name], atol=1e-6)


def test_building_is_interrupted_too():
    with pytest.raises(Cancelled):
        build_networks(PRESET, CONFIG, torch.Generator(), look=Looks(cancel_at=20))


def test_every_weight_is_set_although_layers_are_built_without():
    with torch.random.fork_rng():
        networks = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            networks.append(build_networks(PRESET, CONFIG, torch.Generator().manual_seed(5)))
    first, second = (network.state_dict() for network in networks)
    assert all(value.equal(second[key]) for key, value in first.items())
