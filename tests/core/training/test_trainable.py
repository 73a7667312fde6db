"""Training of parts by name and of a LoRA: what changes, what is written, and that it resumes."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from animate_anyone.errors import ConfigError, InputError, WeightsError
from animate_anyone.places import owned
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.export import export
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.networks import build_networks
from animate_anyone.training.sources.shards import Shards, write_shard
from animate_anyone.types import Size
from animate_anyone.weights.lora import add_lora, parse_lora
from plain_encoders import MeanAutoencoder

SMALL = TrainingConfig(
    steps=2, examples=1, frames=2, warm_up=1, save_every=1, report_every=2, mixed_precision="no",
    learning_rate=0.01,
)  # fmt: skip
LORA = replace(SMALL, lora=2, lora_alpha=4.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    coder = MeanAutoencoder()
    for running in (False, True):
        size = {"clips": 1, "frames": 3, "consecutive": running, "size": Size(32, 32)}
        write_shard(folder / f"shard-{running}", coder, seed=1, **size)
    return folder


def start(networks):
    """Give every layer an effect, always the same one."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in networks.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))


@pytest.fixture
def train(small, data):
    def run(config, folder, begin=start):
        trainer = Trainer(config, folder, small.preset, Surroundings(start=begin))
        trainer.run(Shards(data, consecutive=config.stage == 2))
        return trainer

    return run


@pytest.fixture
def base(small):
    """Return the networks of a stage before training."""

    def built(config=SMALL):
        plain = replace(config, lora=0)
        networks = build_networks(small.preset, plain, torch.Generator().manual_seed(config.seed))
        start(networks)
        return networks.state_dict()

    return built


def moved(folder, before, stage=1):
    after = load_file(folder / f"stage{stage}" / "weights.safetensors")
    assert after.keys() == before.keys()
    return {name for name in after if not torch.equal(after[name], before[name])}


PARTS = {
    "attention": ("denoiser.", ".attentions."),
    "reference": ("reference_net.", ""),
    "pose_guider image_encoder": (("pose_guider.", "image_encoder."), ""),
    "reference_net.*.to_v.*": ("reference_net.", ".to_v."),
}


@pytest.mark.parametrize("names", PARTS)
def test_a_run_trains_what_is_named(tmp_path, train, base, names):
    start_of_name, inside = PARTS[names]
    train(replace(SMALL, steps=1, train=names), tmp_path)
    changed = moved(tmp_path, base())
    assert changed
    assert all(name.startswith(start_of_name) and inside in name for name in changed)


WRONG = {
    "nobody": ({"train": "atention"}, r"'atention'.*Did you mean 'attention'"),
    "no text": ({"train": ["attention"]}, r"a text of names with commas"),
    "other stage": ({"train": "temporal"}, r"'temporal', but the networks of this stage have no"),
    "no such": ({"train": "denoiser.x*"}, r"'denoiser\.x\*', but .* correct the pattern"),
    "reference": ({"train": "reference", "lora": 2}, r"reaches the denoiser alone"),
    "no layer": ({"train": "denoiser.*norm*", "lora": 2}, r"no linear layer and no convolution"),
    "variant": ({"variant": "clip", "lora": 2}, r"no loader reads such a LoRA"),
}


@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_trained_is_refused(tmp_path, small, changes, words):
    with pytest.raises(ConfigError, match=words):
        Trainer(replace(SMALL, **changes), tmp_path, small.preset, Surroundings(start=start))


def test_a_lora_needs_weights_to_start_from(tmp_path, small):
    with pytest.raises(ConfigError, match=r"without weights to start from.*--models"):
        Trainer(LORA, tmp_path, small.preset)


def test_a_lora_added_to_the_base_gives_the_trained_networks(tmp_path, train, base, small):
    trainer = train(LORA, tmp_path)
    assert len(trainer.parameters) == 2 * len(load_file(tmp_path / "stage1/lora.safetensors")) / 3
    before = base()
    changed = moved(tmp_path, before)
    assert changed
    assert all(name.startswith("denoiser.") and ".attentions." in name for name in changed)
    assert not any(name.endswith(("attn2.to_q.weight", "attn2.to_k.weight")) for name in changed)

    networks = build_networks(small.preset, SMALL, torch.Generator())
    merged = load_file(tmp_path / "stage1/weights.safetensors")
    for strength, wanted in ((0.0, before), (1.0, merged)):
        networks.load_state_dict(before)
        count = add_lora(networks.denoiser, tmp_path / "stage1/lora.safetensors", strength)
        assert count == len(changed)
        for name, value in networks.state_dict().items():
            assert torch.allclose(value, wanted[name], rtol=0, atol=1e-6 if strength else 0), name


@pytest.mark.slow
def test_a_lora_run_resumes_exactly(tmp_path, train):
    train(LORA, tmp_path / "whole")
    train(replace(LORA, steps=1, decay_from=0.99), tmp_path / "parts")
    train(replace(LORA, decay_from=0.99), tmp_path / "parts")
    train(replace(LORA, decay_from=0.99), tmp_path / "through")
    for name in ("lora", "weights"):
        whole, parts = (
            load_file(tmp_path / run / f"stage1/{name}.safetensors") for run in ("through", "parts")
        )
        assert all(torch.equal(whole[key], parts[key]) for key in whole)
    with pytest.raises(ConfigError, match="lora was 2 and is 4"):
        train(replace(LORA, lora=4), tmp_path / "whole")


@pytest.mark.slow
def test_both_stages_become_one_lora(tmp_path, train, base, small):
    train(LORA, tmp_path / "run")
    again = replace(LORA, stage=2, lora=3, train="temporal,attention")
    train(again, tmp_path / "run", None)
    assert export(tmp_path / "run", tmp_path / "out").keys() == {"lora.safetensors"}
    networks = build_networks(small.preset, again, torch.Generator().manual_seed(0))
    trained = load_file(tmp_path / "run/stage2/weights.safetensors")
    # The temporal layers began at random, so only what stage 1 knows is compared.
    networks.load_state_dict({**trained, **{k: v for k, v in base().items() if k in trained}})
    lora = load_file(tmp_path / "out/lora.safetensors")
    spatial = {k: v for k, v in lora.items() if "motion_modules" not in k}
    save_file(spatial, tmp_path / "spatial.safetensors")
    add_lora(networks.denoiser, tmp_path / "spatial.safetensors")
    for name, value in networks.state_dict().items():
        assert torch.allclose(value, trained[name], atol=1e-6), name
    assert any("motion_modules" in key for key in lora)


def test_a_lora_beside_trained_weights_is_exported_whole(
    tmp_path, train, small, monkeypatch, caplog
):
    monkeypatch.setattr("animate_anyone.training.export.get_preset", lambda _: small.preset)
    train(replace(SMALL, steps=1), tmp_path / "run")
    train(replace(LORA, stage=2, steps=1), tmp_path / "run", None)
    caplog.set_level("INFO")
    assert "denoising_unet.safetensors" in export(tmp_path / "run", tmp_path / "out")
    assert "which a LoRA does not hold" in caplog.text
    assert "of an earlier export" not in caplog.text
    shutil.rmtree(tmp_path / "run/stage2")
    with (
        owned(tmp_path / "out"),
        pytest.raises(InputError, match="out, in which another process is working"),
    ):
        export(tmp_path / "run", tmp_path / "out")
    export(tmp_path / "run", tmp_path / "out")
    assert "motion_module.safetensors is of an earlier export, since this run" in caplog.text


def test_files_that_are_no_fitting_lora_are_refused(tmp_path, small):
    denoiser = small.models().denoiser
    layer = "lora_unet_conv_in"
    up, down = torch.ones(8, 1, 1, 1), torch.ones(1, 4, 3, 3)
    cases = {
        "half": {f"{layer}.lora_up.weight": up},
        "strange": {f"{layer}.hada_w1_a": up},
        "elsewhere": {"lora_unet_conv_away.lora_up.weight": up},
        "size": {f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down[:, :2]},
        "text only": {"lora_te_text_model.alpha": up},
        "rank 0": {f"{layer}.lora_up.weight": up[:, :0], f"{layer}.lora_down.weight": down[:0]},
        "two ranks": {
            f"{layer}.lora_up.weight": up,
            f"{layer}.lora_down.weight": down.repeat(2, 1, 1, 1),
        },
        "no matrix": {f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down.flatten()},
        "nan": {f"{layer}.lora_up.weight": up * torch.nan, f"{layer}.lora_down.weight": down},
        "alpha": {
            **{f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down},
            f"{layer}.alpha": torch.ones(2),
        },
    }
    before = denoiser.conv_in.weight.clone()
    for name, tensors in cases.items():
        save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / f"{name}.safetensors")
        with pytest.raises(WeightsError, match="lora got"):
            add_lora(denoiser, tmp_path / f"{name}.safetensors")
    assert torch.equal(denoiser.conv_in.weight, before)
    path = tmp_path / "half.safetensors"
    assert parse_lora(f"{path}:-0.5") == (path, -0.5)
    assert parse_lora(str(path)) == (path, 1.0)
    for wrong in ("x", "nan", "inf"):
        with pytest.raises(InputError, match="after the colon stands its strength"):
            parse_lora(f"{path}:{wrong}")


def test_settings_that_are_newer_than_a_checkpoint_are_compared(tmp_path, train):
    import json

    train(SMALL, tmp_path)
    facts = next((tmp_path / "stage1/checkpoints").glob("step-00000002/checkpoint.json"))
    values = json.loads(facts.read_text())
    del values["config"]["noise_offset"], values["config"]["train"]
    facts.write_text(json.dumps(values))
    train(SMALL, tmp_path)
    for name, value, before in (("noise_offset", 0.1, "0.0"), ("train", "attention", "''")):
        with pytest.raises(ConfigError, match=f"{name} was {before} and is"):
            train(replace(SMALL, **{name: value}), tmp_path)


def test_a_rank_that_gains_nothing_is_told_and_one_that_never_fits_refused(small, caplog):
    def build(rank):
        networks = build_networks(small.preset, SMALL, torch.Generator())
        return networks.train_stage(replace(SMALL, lora=rank))

    build(8)
    assert not caplog.text
    build(9)
    assert "lora got the rank 9, but the shorter side" in caplog.text
    assert "a rank of 8 can learn the same" in caplog.text
    with pytest.raises(InputError, match=r"lora got the rank 10000000000; .* smaller rank"):
        build(10**10)
    with pytest.raises(ConfigError, match="lora got -1; it must be 0 or more"):
        build(-1)
