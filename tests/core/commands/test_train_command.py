"""`train` from the command line: a prepared folder of clips to a weight set, both stages."""

import json
from dataclasses import replace

import pytest
from core.dataset.clips_material import write_character
from safetensors.torch import load_file, save_file

from animate_anyone.__main__ import main
from animate_anyone.dataset.content import content_of
from animate_anyone.dataset.manifest import ClipDataset
from animate_anyone.errors import ConfigError
from animate_anyone.training.loop.checks import CONTENT
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.stages import Choices, source_of, start_of, surroundings_of
from animate_anyone.types import Size
from animate_anyone.weights.load import load_models
from animate_anyone.weights.sources import MINI_FOLDER

VAE = MINI_FOLDER / "autoencoder.safetensors"
SETTINGS = {"steps": 2, "examples": 1, "save_every": 2, "report_every": 1, "validate_every": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a prepared data set: a clip to train on, one to test with, and a short one."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, (name, frames) in enumerate({"train/a": 8, "test/b": 7, "test/c": 3}.items()):
        write_character(folder / "clips", f"{name}.mp4", seed, frames, Size(128, 128))
    done = main(
        [
            "prepare",
            f"--clips={folder / 'clips'}",
            f"--out={folder / 'set'}",
            f"--poses={folder / 'poses'}",
            "--min-frames=3",
            "--size=128x128",
            "--cache=latents",
            "--device=cpu",
        ]
    )
    assert done == 0
    return folder / "set"


def settings(folder, **changes):
    path = folder / "changes.json"
    path.write_text(json.dumps(SETTINGS | changes))
    return f"--config={path}"


def logged(folder, stage):
    lines = (folder / f"stage{stage}" / "log.jsonl").read_text().splitlines()
    return {name: value for line in lines for name, value in json.loads(line).items()}


@pytest.mark.slow
def test_clips_become_a_weight_set_in_both_stages(tmp_path, data):
    run, target = tmp_path / "run", tmp_path / "weights"
    common = [f"--folder={run}", f"--data={data}", "--models=aa-mini", f"--vae={VAE}"]
    common += [
        f"--{name}={MINI_FOLDER / f'pose_{name}.onnx'}" for name in ("detector", "estimator")
    ]
    assert main(["train", "stage1", *common, settings(tmp_path, frames=2)]) == 0
    assert main(["train", "stage2", *common, settings(tmp_path, frames=4)]) == 0
    for stage in (1, 2):
        found = logged(run, stage)
        assert found["step"] == 2
        assert found["validation_psnr"] > 15  # dB: the shipped weights, two steps on
        copied = found["validation_psnr"] - found["validation_gain_psnr"]
        assert 15 < copied < 40  # dB: frames this near to the reference look much like it
        assert 0 < found["validation_pose_error"] < 0.5  # torsos
        assert (run / f"stage{stage}" / "samples" / "samples-00000002.png").exists()
    assert main(["train", "export", f"--folder={run}", f"--out={target}"]) == 0
    trained = load_models(target)
    before = load_file(MINI_FOLDER / "motion_module.safetensors")
    after = load_file(target / "motion_module.safetensors")
    assert any(not before[key].equal(after[key]) for key in before)
    assert trained.preset.name == "aa-mini"


@pytest.mark.slow
def test_a_named_encoder_must_be_that_of_the_cache(tmp_path, data):
    other = tmp_path / "other.safetensors"

    def change(key):
        state = load_file(VAE)
        state[key] += 1
        save_file(state, other)

    choices = Choices(folder=tmp_path, data=data, vae=VAE)
    config = get_recipe("aa-mini", 1)
    assert source_of(choices, config)
    change("decoder.layers.0.bias")  # not a part of the encoder, whose results are cached
    assert source_of(replace(choices, vae=other), config)
    change("encoder.layers.0.bias")
    with pytest.raises(ConfigError, match=r"other\.safetensors, but the latents in .* were cached"):
        source_of(replace(choices, vae=other), config)


@pytest.mark.slow
def test_clips_too_short_to_validate_with_are_left_out(tmp_path, data):
    choices = Choices(folder=tmp_path, data=data, vae=VAE)
    config = replace(get_recipe("aa-mini", 1), validate_every=1)
    around = surroundings_of(choices, config)
    pairs = around.validate.pairs()  # type: ignore[union-attr]
    assert [pair.name for pair in pairs] == ["test/b"]
    long = ClipDataset.open(data).clips
    short = replace(ClipDataset.open(data).manifest, clips=tuple(c for c in long if c.frames == 3))
    short.write(tmp_path)
    with pytest.raises(ConfigError, match=r"none of 1 clips of .* has 6 frames in a row"):
        surroundings_of(replace(choices, data=tmp_path), config)


def test_named_networks_are_stored_with_the_run(tmp_path, data):
    choices = Choices(folder=tmp_path, data=data, models="aa-mini")
    config = get_recipe("aa-mini", 1)
    origin = dict(surroundings_of(choices, config).origin)
    assert origin.pop(CONTENT) == content_of(ClipDataset.open(data))
    assert origin == {"data": str(data), "weights": "aa-mini"}
    drawn = surroundings_of(replace(choices, data=None), config).origin
    assert drawn == {"data": "drawn characters", "weights": "aa-mini"}


@pytest.mark.parametrize("name", ["stable_diffusion", "controlnet_hint"])
def test_stage_2_refuses_settings_that_contradict_stage_1(tmp_path, name):
    (tmp_path / "stage1").mkdir()
    (tmp_path / "stage1" / "weights.safetensors").touch()
    choices = replace(Choices(folder=tmp_path), **{name: tmp_path / "file"})
    with pytest.raises(ConfigError, match=f"{name} got .* for stage 2, but .* stage 1 has trained"):
        start_of(choices, get_recipe("paper", 2))
    assert start_of(choices, get_recipe("paper", 1))
