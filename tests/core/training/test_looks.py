"""Training looks whether the user has cancelled before every layer, and loses nothing by it."""

import errno
import threading
from dataclasses import replace

import pytest
import torch
from core.training.run_tiny import PRESET
from torch import nn

from animate_anyone.errors import InputError
from animate_anyone.places import owned
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.checkpoints import CheckpointFolder
from animate_anyone.training.loop.looks import wait_for_files
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


class SlowDisk:
    """Keeps `finish` of every checkpoint waiting until it is told to go on."""

    def __init__(self, monkeypatch):
        self.free, self.steps, finish = threading.Event(), [], CheckpointFolder.finish
        self.error = None

        def finished(folder, step, facts):
            self.steps.append(step)
            assert self.free.wait(10), "nobody answered while the disk was busy"
            if self.error is not None:
                raise self.error
            return finish(folder, step, facts)

        monkeypatch.setattr(CheckpointFolder, "finish", finished)


@pytest.fixture
def disk(monkeypatch):
    return SlowDisk(monkeypatch)


def resumed(folder, uncut):
    """Check that a run goes on with step 2 and ends like one that was never cancelled."""
    steps = []
    again = trained(folder, Looks(), progress=lambda done, _: steps.append(done))
    for name, value in again.parameters.items():
        assert torch.allclose(value, uncut.parameters[name], atol=1e-6)
    return steps


def test_cancelling_is_answered_before_the_checkpoint_is_written(tmp_path, whole, disk):
    uncut, at_steps = whole
    with pytest.raises(Cancelled):
        trained(tmp_path, Looks(cancel_at=(at_steps[0] + at_steps[1]) // 2))
    assert not disk.free.is_set()
    with pytest.raises(InputError, match="another process is working"), owned(tmp_path / "stage1"):
        pass
    with pytest.raises(Cancelled):  # also while the next run waits for the disk
        trained(tmp_path, Looks(cancel_at=2))
    threading.Timer(0.2, disk.free.set).start()
    assert resumed(tmp_path, uncut) == [2, 3]
    assert disk.steps == [1, 3]


def test_cancelling_while_a_checkpoint_is_written_leaves_it_whole(tmp_path, whole, disk):
    uncut, _ = whole

    def look():
        if disk.steps:
            raise Cancelled

    config = replace(CONFIG, save_every=1)
    trainer = Trainer(config, tmp_path, PRESET, Surroundings(cpu=True, look=look))
    with pytest.raises(Cancelled):
        trainer.run(Noise())
    threading.Timer(0.2, disk.free.set).start()
    assert resumed(tmp_path, uncut) == [2, 3]
    assert disk.steps == [1, 3], "the step that was just written is not written again"


def test_a_checkpoint_that_fails_after_the_answer_is_told(tmp_path, whole, disk, caplog):
    uncut, at_steps = whole
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Cancelled):
        trained(tmp_path, Looks(cancel_at=(at_steps[1] + at_steps[2]) // 2))
    disk.free.set()
    wait_for_files(None)
    assert "checkpoint of step 2 cannot be written" in caplog.text
    disk.error = None
    assert resumed(tmp_path, uncut) == [1, 2, 3]


def test_a_damaged_checkpoint_is_told_by_the_thread_that_trains(tmp_path, whole):
    with pytest.raises(Cancelled):
        trained(tmp_path, Looks(cancel_at=whole[1][1]))
    wait_for_files(None)
    (weights,) = tmp_path.glob("stage1/checkpoints/step-*/model.safetensors")
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(Exception, match=r"(?i)header"):
        trained(tmp_path, Looks())


def test_cancelling_while_a_checkpoint_is_read_is_answered(tmp_path, whole, monkeypatch):
    from accelerate import Accelerator

    uncut, at_steps = whole
    with pytest.raises(Cancelled):
        trained(tmp_path, Looks(cancel_at=(at_steps[0] + at_steps[1]) // 2))
    wait_for_files(None)
    begun, free, load_state = threading.Event(), threading.Event(), Accelerator.load_state

    def slow(*args, **more):
        begun.set()
        assert free.wait(10), "nobody answered while the disk was busy"
        return load_state(*args, **more)

    def look():
        if begun.is_set():
            raise Cancelled

    with monkeypatch.context() as slowly:
        slowly.setattr(Accelerator, "load_state", slow)
        with pytest.raises(Cancelled):
            trained(tmp_path, look)
        free.set()
        wait_for_files(None)
    assert resumed(tmp_path, uncut) == [2, 3]


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
