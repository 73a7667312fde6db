"""Setting up a stage from files and folders, and the named recipes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from animate_anyone.errors import ConfigError, InputError
from animate_anyone.training.config import scheduled
from animate_anyone.training.networks import build_networks, load_stage1
from animate_anyone.training.recipes import departures, get_recipe
from animate_anyone.training.stages import Choices, source_of, start_of, surroundings_of
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.table import get_preset
from animate_anyone.weights.sources import MINI_FOLDER


def networks(stage: int):
    config = get_recipe("aa-mini", stage)
    return build_networks(AA_MINI, config, torch.Generator().manual_seed(1))


def test_the_papers_recipe_has_the_settings_of_section_4_1():
    first, second = (get_recipe("paper", stage) for stage in (1, 2))
    assert (first.steps, first.examples, first.frames) == (30_000, 64, 1)
    assert (second.steps, second.examples, second.frames) == (10_000, 4, 24)
    assert {first.learning_rate, second.learning_rate} == {1e-5}
    assert not first.train_image_encoder
    guider = get_preset(first.preset).pose_guider
    assert (guider.form, guider.channels) == ("paper", (16, 32, 64, 128))


def test_one_card_accumulates_the_papers_batches():
    for stage in (1, 2):
        paper, card = get_recipe("paper", stage), get_recipe("24gb", stage)
        assert (card.examples, card.frames, card.steps) == (
            paper.examples,
            paper.frames,
            paper.steps,
        )
        assert card.accumulate == card.examples
        assert card.optimizer == "adamw8bit"
        assert card.gradient_checkpointing


def test_one_card_reports_and_saves_by_time_because_its_steps_are_long():
    for stage in (1, 2):
        card = get_recipe("24gb", stage)
        assert (card.report_minutes, card.save_minutes) == (5, 30)
        assert get_recipe("paper", stage).report_minutes == 0


def test_the_papers_recipe_says_where_it_differs_from_the_text():
    config = get_recipe("paper", 1)
    preset = get_preset(config.preset)
    line = departures("paper", scheduled(preset, config).schedule)
    for word in ("v_prediction (equation 1: epsilon)", "zero_snr true", "beta_schedule linear"):
        assert word in line
    text = {"prediction_type": "epsilon", "zero_snr": False, "beta_schedule": "scaled_linear"}
    assert departures("paper", scheduled(preset, replace(config, **text)).schedule) == ""
    assert departures("aa-mini", preset.schedule) == ""


def test_settings_of_examples_are_checked():
    config = get_recipe("aa-mini", 2)
    with pytest.raises(ConfigError, match="most_stride got 2, below least_stride 3"):
        replace(config, least_stride=3)
    with pytest.raises(ConfigError, match=r"least_crop got 0\.0; it is a share"):
        replace(config, least_crop=0.0)


def test_unknown_recipes_are_refused():
    with pytest.raises(ConfigError, match="recipe got 'papper'; choose one of aa-mini, paper"):
        get_recipe("papper", 1)


def test_a_weight_set_together_with_other_files_is_refused(tmp_path):
    choices = Choices(folder=tmp_path, models="aa-mini", animatediff=Path("mm.ckpt"))
    with pytest.raises(ConfigError, match="together with other starting weights"):
        start_of(choices, get_recipe("aa-mini", 1))


def test_without_files_a_stage_starts_from_random_weights_or_stage_1(tmp_path):
    assert start_of(Choices(folder=tmp_path), get_recipe("aa-mini", 2)) is None


def test_the_error_for_missing_examples_says_how_to_make_them(tmp_path):
    with pytest.raises(InputError, match="holds no shard of single frames"):
        source_of(Choices(folder=tmp_path), get_recipe("aa-mini", 1))
    with pytest.raises(InputError, match=r"manifest\.json.*prepare"):
        source_of(Choices(folder=tmp_path, data=tmp_path), get_recipe("aa-mini", 1))


def test_validation_without_its_networks_is_refused_before_training(tmp_path):
    config = get_recipe("24gb", 1)
    with pytest.raises(ConfigError, match="without vae and image_encoder"):
        surroundings_of(Choices(folder=tmp_path), config)
    assert surroundings_of(Choices(folder=tmp_path), replace(config, validate_every=0))


def test_an_image_encoder_beside_one_that_is_trained_is_refused(tmp_path):
    """Validation would use it, though another one is trained."""
    choices = Choices(folder=tmp_path, image_encoder=tmp_path / "clip.safetensors")
    config = replace(get_recipe("aa-mini", 1), validate_every=0)
    with pytest.raises(ConfigError, match=r"image_encoder got .*train_image_encoder is true"):
        surroundings_of(choices, config)


def test_stage_2_keeps_the_weights_that_stage_1_trained(tmp_path):
    first = networks(1)
    (tmp_path / "stage1").mkdir()
    save_file(first.state_dict(), tmp_path / "stage1" / "weights.safetensors")
    second = networks(2)
    start = start_of(Choices(folder=tmp_path, models="aa-mini"), get_recipe("aa-mini", 2))
    assert start is not None
    start(second)
    assert torch.equal(second.denoiser.conv_in.weight, first.denoiser.conv_in.weight)
    motion = load_file(MINI_FOLDER / "motion_module.safetensors")
    own = second.denoiser.state_dict()
    assert all(torch.equal(own[key], value.float()) for key, value in motion.items())


def test_stage_1_of_other_networks_is_refused(tmp_path):
    state = networks(1).state_dict()
    del state["denoiser.conv_in.weight"]
    (tmp_path / "stage1").mkdir()
    save_file(state, tmp_path / "stage1" / "weights.safetensors")
    with pytest.raises(ConfigError, match="does not fit these networks"):
        load_stage1(networks(2), tmp_path)


def test_networks_without_temporal_layers_have_no_second_stage():
    config = get_recipe("aa-mini", 2)
    preset = replace(AA_MINI, unet=replace(AA_MINI.unet, motion=None))
    with pytest.raises(ConfigError, match="has no temporal layers to train"):
        build_networks(preset, config, torch.Generator()).train_stage(config)
