"""Training of the autoencoder: its start, and the part that each step trains."""

import shutil
from dataclasses import replace

import pytest
import torch

from animate_anyone.errors import ConfigError, InputError
from animate_anyone.mini import results as mini_results
from animate_anyone.mini.autoencoder import (
    AutoencoderTraining,
    build_autoencoder,
    train_autoencoder,
    trained_autoencoder,
)
from animate_anyone.mini.decoder import polish_decoder, refine_decoder
from animate_anyone.mini.loop import Run
from animate_anyone.mini.results import read_results, write_results
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Trainer
from animate_anyone.training.networks import AnimateNetworks

SHORT = AutoencoderTraining(
    steps=2, batch=2, crop=32, pictures=4, warm_up=1, report_every=1, save_every=1
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a run of the whole autoencoder, and the averaged weights."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train_autoencoder(SHORT, folder)


@pytest.fixture
def folder(whole, tmp_path):
    """Return a copy of that folder."""
    return shutil.copytree(whole[0], tmp_path / "run")


def test_the_encoder_starts_as_principal_components_of_patches():
    crops = torch.nn.functional.interpolate(torch.rand(64, 3, 8, 8), (32, 32), mode="bilinear")
    crops = crops * 2 - 1
    model = build_autoencoder(4, crops, torch.Generator().manual_seed(0))
    with torch.no_grad():
        latents = model.encoder(crops)
    patches = ((crops + 1) / 2).unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5)
    patches = patches.flatten(3).flatten(0, 2)
    _, values, directions = torch.linalg.svd(patches - patches.mean(0), full_matrices=False)
    spread = values[:4] / len(patches) ** 0.5
    wanted = (patches - patches.mean(0)) @ directions[:4].T / spread
    ours = latents.permute(0, 2, 3, 1).flatten(0, 2)
    # Components are known up to their sign.
    torch.testing.assert_close(ours.abs(), wanted.abs(), atol=2e-3, rtol=2e-3)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(whole, tmp_path, monkeypatch):
    def stop(run, values):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            train_autoencoder(SHORT, tmp_path)
    parted = train_autoencoder(SHORT, tmp_path)
    assert all(torch.equal(value, parted[key]) for key, value in whole[1].items())


def test_a_finished_run_is_only_read_again(whole, folder):
    again = train_autoencoder(SHORT, folder)
    assert all(torch.equal(value, again[key]) for key, value in whole[1].items())


def test_refining_changes_only_the_decoder(whole, folder):
    before = whole[1]
    decoder = refine_decoder(SHORT, folder)
    assert set(decoder) == {k.removeprefix("decoder.") for k in before if k.startswith("decoder.")}
    assert any(not torch.equal(v, before[f"decoder.{k}"]) for k, v in decoder.items())
    after = trained_autoencoder(folder).network
    for key, value in after.encoder.state_dict().items():
        assert torch.equal(value, before[f"encoder.{key}"])
    for key, value in after.decoder.state_dict().items():
        assert torch.equal(value, decoder[key])


@pytest.mark.slow
def test_polishing_continues_with_results_of_the_networks(folder, monkeypatch):
    monkeypatch.setattr(mini_results, "STEPS", (2,))
    refined = {key: value.clone() for key, value in refine_decoder(SHORT, folder).items()}
    polish = replace(SHORT, steps=1, sampled=1)
    with pytest.raises(InputError, match="holds no results of stage 1"):
        polish_decoder(polish, folder)
    trained = trained_autoencoder(folder)
    with pytest.raises(InputError, match=r"holds no stage 1\. Train it first"):
        write_results(folder, trained, shards=1)
    stage1 = Trainer(TrainingConfig(steps=1), folder)
    stage1.save()
    stage1.config.write(stage1.folder / "config.json")
    write_results(folder, trained, shards=1, clips=2, frames=1)
    results = read_results(folder)
    assert results["latents"].shape == (2, 16, 16, 16)
    assert results["pictures"].shape == (2, 128, 128, 3)
    polished = polish_decoder(polish, folder)
    assert any(not torch.equal(value, refined[key]) for key, value in polished.items())
    after = trained_autoencoder(folder).network.decoder.state_dict()
    assert all(torch.equal(value, polished[key]) for key, value in after.items())
    refine_decoder(SHORT, folder)  # has taken its steps
    with pytest.raises(ConfigError, match=r"steps got 3.*polished\.pt already continues it"):
        refine_decoder(replace(SHORT, steps=3), folder)
    weights = folder / "stage1" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="sampled by another stage 1"):
        write_results(folder, trained, shards=2, clips=2, frames=1)


@pytest.mark.slow
def test_results_show_all_kinds_too_and_may_have_two_references(folder, monkeypatch):
    monkeypatch.setattr(mini_results, "STEPS", (1,))
    monkeypatch.setattr(mini_results, "TWO_REFERENCES", 1.0)
    stage1 = Trainer(TrainingConfig(steps=1), folder)
    stage1.save()
    stage1.config.write(stage1.folder / "config.json")
    given = []
    conditions = AnimateNetworks.conditions

    def counted(self, poses, reference, picture, keep, extras=()):
        given.append(1 + len(extras))
        return conditions(self, poses, reference, picture, keep, extras)

    monkeypatch.setattr(AnimateNetworks, "conditions", counted)
    trained = trained_autoencoder(folder)
    write_results(folder, trained, shards=1, clips=1, frames=2, kinds=True)
    write_results(folder, trained, shards=1, clips=1, frames=1)
    assert given == [2, 1]
    assert sorted(p.name for p in (folder / "results").glob("*.npz")) == [
        "50000.npz",
        "kinds-50000.npz",
    ]
    assert len(read_results(folder)["pictures"]) == 3


def test_a_finished_autoencoder_is_continued_without_its_checkpoint(whole, folder):
    (folder / "autoencoder.pt").unlink()
    decoder = refine_decoder(replace(SHORT, kinds=True), folder)
    after = trained_autoencoder(folder).network
    assert all(torch.equal(v, decoder[key]) for key, v in after.decoder.state_dict().items())
    for key, value in after.encoder.state_dict().items():
        assert torch.equal(value, whole[1][f"encoder.{key}"])
