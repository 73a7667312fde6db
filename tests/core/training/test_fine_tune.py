"""Fine-tuning may be cancelled while it reads, in a step and while it writes; nothing is lost."""

import threading

import pytest
import torch
from safetensors.torch import load_file

from animate_anyone.training.fine_tune import Start, fine_tune, fine_tune_config
from animate_anyone.training.loop.checkpoints import CheckpointFolder
from animate_anyone.training.loop.looks import wait_for_files
from animate_anyone.training.loop.trainer import Surroundings
from animate_anyone.training.sources.batch import Batch
from animate_anyone.weights.bundle import write_tensors
from animate_anyone.weights.presets import preset_metadata
from animate_anyone.weights.read import from_tensors
from plain_encoders import TOKEN

STEPS = 3


class Cancelled(Exception):  # noqa: N818
    pass


class Noise:
    def batch(self, draw, step, rows):
        generator = torch.Generator().manual_seed(step)
        return Batch(
            encoded=True,
            reference=torch.randn(1, 4, 4, 4, generator=generator),
            targets=torch.randn(1, 4, 2, 4, 4, generator=generator),
            poses=torch.randint(0, 255, (1, 2, 3, 32, 32), dtype=torch.uint8, generator=generator),
            tokens=torch.randn(1, 1, TOKEN, generator=generator),
            names=("noise",),
        )


class Looks:
    """Counts looks, remembers them by step, and cancels at one of them."""

    def __init__(self, cancel_at=None):
        self.count, self.cancel_at, self.at_steps = 0, cancel_at, []

    def __call__(self):
        self.count += 1
        if self.count == self.cancel_at:
            raise Cancelled

    def progress(self, done, total):
        self.at_steps.append(self.count)


class WhileWriting(Looks):
    """Cancels when the file of the weight set has been begun."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __call__(self):
        if list(self.folder.glob(".tuned.*.part*")):
            raise Cancelled


@pytest.fixture(scope="module")
def bundle(small, tmp_path_factory):
    """Return a bundle of three networks."""
    models = small.models()
    names = ("denoiser", "reference_net", "pose_guider")
    tensors = {
        f"{name}.{key}": value
        for name in names
        for key, value in getattr(models, name).state_dict().items()
    }
    path = tmp_path_factory.mktemp("bundle") / "small.safetensors"
    weights = from_tensors(tensors, "small")
    write_tensors(path, [(key, weights, key) for key in tensors], preset_metadata(models.preset))
    return path


@pytest.fixture
def tune(bundle):
    def run(folder, looks=None):
        start = Start.open(bundle)
        config = fine_tune_config(start.preset, 1, steps=STEPS, save_every=99, frames=2)
        looks = looks or Looks()
        around = Surroundings(cpu=True, look=looks, progress=looks.progress)
        target = folder / "tuned.safetensors"
        return fine_tune(start, config, Noise(), folder / "run", target, around), looks

    return run


@pytest.fixture(scope="module")
def _whole():
    return {}


@pytest.fixture
def whole(tune, _whole, tmp_path_factory):
    """Return the tensors of a run that was not cancelled, and its looks."""
    if not _whole:
        folder = tmp_path_factory.mktemp("whole")
        _, looks = tune(folder)
        _whole.update(tensors=load_file(folder / "tuned.safetensors"), looks=looks)
    return _whole["tensors"], _whole["looks"]


def check_ends(tune, folder, tensors, first_step):
    """Check that a cancelled run goes on and ends as the one that was not cancelled."""
    outcome, _ = tune(folder)
    assert (outcome.first_step, outcome.steps) == (first_step, STEPS)
    found = load_file(folder / "tuned.safetensors")
    assert all(torch.allclose(found[key], value, atol=1e-3) for key, value in tensors.items())


def test_what_is_saved_after_the_answer_is_whole(tune, whole, tmp_path, monkeypatch):
    """The thread that saves a cancelled run still has the networks of accelerate."""
    tensors, looks = whole
    go, discard = threading.Event(), CheckpointFolder.discard_partial

    def later(folder):
        assert go.wait(10), "nobody answered while the disk was busy"
        discard(folder)

    monkeypatch.setattr(CheckpointFolder, "discard_partial", later)
    with pytest.raises(Cancelled):
        tune(tmp_path, Looks(cancel_at=(looks.at_steps[1] + looks.at_steps[2]) // 2))
    go.set()
    wait_for_files(None)
    check_ends(tune, tmp_path, tensors, first_step=2)


@pytest.mark.slow
def test_it_is_cancelled_while_networks_are_read_and_the_file_is_written(tune, whole, tmp_path):
    tensors, looks = whole
    of_a_step = looks.at_steps[1] - looks.at_steps[0]
    assert looks.at_steps[0] - of_a_step > 2 * len(tensors), "to build and to read each of them"
    assert looks.count - looks.at_steps[-1] >= len(tensors), "to write each of them"
    with pytest.raises(Cancelled):
        tune(tmp_path, WhileWriting(tmp_path))
    assert not list(tmp_path.glob("*tuned*"))
    check_ends(tune, tmp_path, tensors, first_step=STEPS)
