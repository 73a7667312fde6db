"""The LoRA and the ControlNet of aa-mini: their examples, training and files."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from animate_anyone.__main__ import main
from animate_anyone.drawn.looks import PAPER, edges_of, inked
from animate_anyone.errors import ConfigError, TrainingError, WeightsError
from animate_anyone.mini.additions import control, lora, measure
from animate_anyone.mini.additions.base import FrozenBase
from animate_anyone.mini.additions.examples import Examples, draw_edges, draw_ink, held_out
from animate_anyone.mini.loop import Run
from animate_anyone.networks.control.picture_control import PictureControlNet
from animate_anyone.networks.unet import UNet
from animate_anyone.weights import additions
from animate_anyone.weights.additions import CONTROL, LORA
from animate_anyone.weights.detect import identify
from animate_anyone.weights.load import load_models
from animate_anyone.weights.sets.aa_mini import AA_MINI, AA_MINI_EDGES
from animate_anyone.weights.sources import MINI_FOLDER

TINY = {
    "steps": 2, "characters": 2, "frames": 1, "examples": 1, "warm_up": 1, "held_out": 0,
    "report_every": 1, "save_every": 1,
}  # fmt: skip


@pytest.fixture
def target(tmp_path):
    """Return a folder with aa-mini's networks and without additions."""
    folder = tmp_path / "mini"
    folder.mkdir()
    for path in MINI_FOLDER.iterdir():
        if path.is_file():
            try:
                (folder / path.name).symlink_to(path)
            except OSError:  # Windows gives this right to few users
                shutil.copy(path, folder)
    return folder


@pytest.fixture
def base(monkeypatch):
    """Return aa-mini's networks, which are measured in few steps."""
    monkeypatch.setattr(measure, "STEPS", 2)
    return FrozenBase(MINI_FOLDER)


def unchanged(base):
    """Return the prediction of networks without an addition."""
    return lambda noisy, timesteps, conditions, hints: base.predict(noisy, timesteps, conditions)


def square():
    picture = np.full((32, 32, 3), 230, np.uint8)
    picture[8:24, 8:24] = (40, 60, 120)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    return picture, mask


def test_ink_drawings_are_a_blue_figure_on_paper():
    drawn = inked(*square()).astype(int)
    inside, outside = drawn[16, 16], drawn[2, 2]
    assert outside.min() > 200, "the background is nearly paper"
    assert inside.max() == inside[2] > inside[0] + 30
    white = inked(np.full((4, 4, 3), 255, np.uint8), np.full((4, 4), 255, np.uint8))
    assert (PAPER - white[0, 0]).min() > 15, "white clothes are darker than paper"


def test_edges_are_thin_and_lie_around_the_figure():
    edges = edges_of(square()[0], 0.1, 0.2)
    assert set(np.unique(edges)) == {0, 255}
    assert 50 < (edges > 0).sum() < 90
    assert not edges[11:21, 11:21].any()
    assert not edges[:5].any()


def test_edges_equal_those_of_kornia():
    canny = pytest.importorskip("kornia").filters.canny
    drawn = held_out(draw_edges, 3, 1)
    picture = torch.from_numpy(drawn.targets[0]).permute(2, 0, 1)[None].float() / 255
    theirs = canny(picture, 0.1, 0.2)[1][0, 0].numpy() > 0
    ours = edges_of(drawn.targets[0], 0.1, 0.2) > 0
    near = np.pad(theirs, 1)
    reached = np.any([near[y : y + 128, x : x + 128] for y in range(3) for x in range(3)], 0)
    assert (ours & reached).sum() > 0.95 * ours.sum(), "all but a few pixels lie beside theirs"
    assert abs(int(ours.sum()) - int(theirs.sum())) < 0.15 * theirs.sum()


@pytest.mark.parametrize("draw", [draw_ink, draw_edges])
def test_a_held_out_example_depends_only_on_its_number(draw):
    first, again, other = (held_out(draw, index, 2) for index in (1, 1, 2))
    assert np.array_equal(first.targets, again.targets)
    assert np.array_equal(first.hints, again.hints)
    assert not np.array_equal(first.targets, other.targets)
    assert first.reference.shape == first.targets.shape[1:] == (128, 128, 3)
    assert first.hints.any() == (draw is draw_edges)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "config", "file"),
    [(lora.train_lora, lora.INK, LORA), (control.train_control, control.EDGES, CONTROL)],
    ids=["LoRA", "ControlNet"],
)
def test_an_interrupted_run_ends_in_the_same_file(
    target, tmp_path, monkeypatch, train, config, file
):
    def stop(run, values):
        raise KeyboardInterrupt

    config = replace(config, **TINY)
    train(config, tmp_path / "run", target)
    whole = load_file(target / file)
    (target / file).unlink()
    (checkpoint,) = tmp_path.glob("run/*/*.pt")
    checkpoint.unlink()  # the drawn examples stay
    with monkeypatch.context() as patch:
        patch.setattr(Run, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "run", target)
    assert checkpoint.exists()
    assert not (target / file).exists()
    monkeypatch.setattr(measure, "STEPS", 1)
    train(replace(config, held_out=1), tmp_path / "run", target)
    parted = load_file(target / file)
    assert whole.keys() == parted.keys()
    for key, value in whole.items():
        assert torch.equal(value, parted[key]), key
        assert value.dtype == torch.float16
    assert identify({key: tuple(value.shape) for key, value in whole.items()}) in (
        "lora",
        "controlnet",
    )
    load_models(target)  # the new file does not disturb the others
    log = checkpoint.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    assert {"figure_psnr_without", "figure_psnr_with"} <= set(json.loads(log[-1]))


@pytest.mark.parametrize("steps", ["0", "-3"])
def test_a_run_of_no_steps_is_refused(target, tmp_path, capsys, steps):
    words = ["--folder", str(tmp_path / "run"), "--out", str(target), "--steps", steps]
    assert main(["mini", "lora", *words]) == 2
    assert f"steps got {steps}" in capsys.readouterr().err
    assert not (target / LORA).exists()


def test_a_step_takes_no_character_twice():
    with pytest.raises(ConfigError, match=r"examples got 4 .* 3 characters"):
        replace(lora.INK, characters=3)


def test_examples_of_another_recipe_are_refused(tmp_path):
    path = tmp_path / "ink.npz"
    np.savez(path, targets=np.zeros((3, 2, 16, 16, 16), np.float16))
    seen = {"draw": draw_ink, "autoencoder": None, "seed": 0}
    assert len(Examples.of(path, **seen, count=3, frames=2).parts["targets"]) == 3
    with pytest.raises(TrainingError, match="3 characters of 2 frames; the run asks for 3 of 4"):
        Examples.of(path, **seen, count=3, frames=4)


def test_the_error_for_a_missing_controlnet_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(additions, "MINI_FOLDER", tmp_path)
    with pytest.raises(WeightsError, match=r"comes with aa-mini.*mini control"):
        additions.example_control()


@pytest.mark.slow
def test_a_new_lora_names_layers_of_the_denoiser_and_changes_nothing(base):
    seen = {"draw": draw_ink, "characters": 1}
    plain = measure.sampled(base, predict=unchanged(base), **seen)
    addition = lora.attach_lora(base, torch.Generator().manual_seed(0))
    assert measure.sampled(base, predict=addition.predict, **seen) == pytest.approx(plain, abs=1e-3)
    tensors = addition.tensors()
    shapes = {
        "lora_unet_" + name.removesuffix(".weight").replace(".", "_"): value.shape
        for name, value in UNet(AA_MINI.unet, device="meta").state_dict().items()
    }
    names = {key.split(".")[0] for key in tensors}
    assert names <= set(shapes)
    for name in names:
        up, down = tensors[f"{name}.lora_up.weight"], tensors[f"{name}.lora_down.weight"]
        assert (up.flatten(1) @ down.flatten(1)).numel() == shapes[name].numel()
        assert tensors[f"{name}.alpha"] == lora.RANK == len(down)


def test_a_new_control_changes_nothing_but_receives_its_hint():
    network = control.new_control(AA_MINI_EDGES, torch.Generator().manual_seed(0))
    hint = torch.from_numpy(held_out(draw_edges, 0, 2).hints)[:, None].expand(-1, 3, -1, -1) / 255
    inputs = torch.randn(2, 16, 16, 16), torch.tensor([0, 999]), torch.randn(2, 1, 64)
    down, middle = network(*inputs, hint)
    assert not any(value.any() for value in (*down, middle))
    features = network.controlnet_cond_embedding(hint)
    assert 0.1 < (features - features.mean((2, 3), keepdim=True)).std() < 2


def test_control_fits_the_skip_connections_of_aa_mini():
    network = PictureControlNet(AA_MINI_EDGES)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    latents, context = torch.randn(3, 16, 16, 16), torch.randn(3, 1, 64)
    down, middle = network(latents, torch.tensor([5, 6, 7]), context, torch.rand(3, 3, 128, 128))
    denoiser = UNet(replace(AA_MINI.unet, motion=None))
    prepared = denoiser.prepare(context)
    plain, added = (
        denoiser(latents[:, :, None], torch.tensor([5, 6, 7]), prepared, **more)
        for more in ({}, {"down_residuals": down, "mid_residual": middle})
    )
    assert plain.shape == added.shape
    assert not torch.allclose(plain, added)
