"""Our numbers match the golden ones, and the comparison fails when a number is changed."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from animate_anyone.__main__ import main
from animate_anyone.errors import ConfigError, WeightsError
from animate_anyone.parity import checks
from animate_anyone.parity.command import verdict
from animate_anyone.parity.golden import GoldenFolder


@pytest.fixture
def copied(golden, tmp_path):
    folder = tmp_path / "golden"
    shutil.copytree(golden, folder)
    return folder


@pytest.fixture(scope="module")
def scene(golden):
    """Return networks, inputs and features, which are the same in every copy of the folder."""
    with torch.inference_mode():
        return checks.make_scene(GoldenFolder(golden))


def change(folder, name, key):
    """Add a little to one number of a stored tensor."""
    tensors = load_file(folder / f"{name}.safetensors")
    tensors[key].reshape(-1)[0] += 1e-3
    save_file(tensors, folder / f"{name}.safetensors")


def failures(groups):
    return [group.name for group in groups if not group.passed]


@pytest.mark.slow
def test_all_numbers_are_those_of_the_public_implementation(golden, capsys):
    assert main(["parity", str(golden), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    names = {group["name"] for group in report["groups"]}
    assert names >= {"context windows", "reference features", "v_cfg_pair", "final_latents"}
    assert sum(group["tensors"] for group in report["groups"]) > 480


@pytest.mark.parametrize(
    ("name", "key", "check"),
    [
        ("outputs", "v_ref", "check_forwards"),
        ("outputs", "pose_features", "check_features"),
        ("reference_banks", "bank/mid_block.attentions.0.transformer_blocks.0", "check_features"),
        ("trace", "trace/mid_block", "check_trace"),
    ],
)
def test_a_changed_number_fails(copied, scene, name, key, check):
    change(copied, name, key)
    with torch.inference_mode():
        failed = failures(getattr(checks, check)(GoldenFolder(copied), scene))
    assert len(failed) == 1


def test_a_changed_table_or_window_fails(copied):
    change(copied, "ddim", "toy/4/x_after")
    change(copied, "ddim", "alphas_cumprod")
    rows = json.loads((copied / "context_windows.json").read_text())
    rows[7]["windows"][0][0] += 1
    (copied / "context_windows.json").write_text(json.dumps(rows))
    folder = GoldenFolder(copied)
    assert failures(checks.check_schedule(folder)) == ["ddim tables", "ddim toy/4"]
    assert failures(checks.check_windows(folder)) == ["context windows"]


def test_an_error_above_its_limit_gives_exit_code_1(copied, capsys, monkeypatch):
    (copied / "context_windows.json").write_text(
        (copied / "context_windows.json").read_text().replace("[[0]]", "[[1]]", 1)
    )
    monkeypatch.setattr(checks, "compare", checks.check_windows)
    assert main(["parity", str(copied)]) == 1
    assert "ABOVE THE LIMIT" in capsys.readouterr().out


def keep(folder, name, keys):
    """Remove all tensors of a file except these."""
    tensors = load_file(folder / f"{name}.safetensors")
    save_file({key: tensors[key] for key in keys}, folder / f"{name}.safetensors")


def test_a_folder_that_stores_some_windows_and_steps_is_compared_by_those(copied, monkeypatch):
    computed = load_file(copied / "sampling.safetensors")
    monkeypatch.setattr(checks, "_sample", lambda *_: computed)  # another test computes them
    keep(
        copied, "sampling", ["timesteps", "window_v_step0/1", "guided_v/3", "latents_after_step/2"]
    )
    found = list(checks.check_sampling(GoldenFolder(copied), scene=None))
    groups = {group.name: group for group in found}
    assert failures(found) == ["final_latents"]
    assert verdict(groups["final_latents"]) == "NOTHING STORED"
    assert groups["window_v_step0"].tensors == 1
    assert groups["window_v_step0"].absent == ("window_v_step0/0", "window_v_step0/2")
    assert verdict(groups["guided_v"]) == "ok; absent: guided_v/0, guided_v/1, guided_v/2"


def test_a_folder_that_stores_some_forwards_and_tables_is_compared_by_those(copied, scene):
    bank = "bank/mid_block.attentions.0.transformer_blocks.0"
    keep(copied, "outputs", ["v_noref", "pose_features"])
    keep(copied, "reference_banks", [bank])
    keep(copied, "ddim", ["alphas_cumprod", "prev_timesteps/30", "timesteps/4", "betas"])
    (copied / "context_windows.json").write_text("[]")
    folder = GoldenFolder(copied)
    with torch.inference_mode():
        features = list(checks.check_features(folder, scene))
        forwards = list(checks.check_forwards(folder, scene))
    assert failures(features) == []
    assert [group.tensors for group in features] == [1, 1]
    assert len(features[1].absent) == 15
    assert failures(forwards) == ["v_noref_nopose", "v_ref", "v_ref_nomotion", "v_cfg_pair"]
    schedule = list(checks.check_schedule(folder))
    assert failures(schedule) == ["ddim toy"]
    assert [group.tensors for group in schedule] == [1, 1, 2, 0]
    assert failures(checks.check_windows(folder)) == ["context windows"]


def test_a_stored_number_that_is_not_computed_is_a_failure(copied, scene):
    tensors = load_file(copied / "trace.safetensors")
    save_file({**tensors, "trace/no_such_block": torch.zeros(1)}, copied / "trace.safetensors")
    with torch.inference_mode():
        (group,) = checks.check_trace(GoldenFolder(copied), scene)
    assert not group.passed
    assert verdict(group) == "STORED, BUT NOT COMPUTED: trace/no_such_block"


def test_not_a_number_does_not_pass():
    assert not checks.Group("v", float("nan"), 1.0, 1).passed
    lost = {"v": torch.full((2,), float("nan")), "w": torch.zeros(2)}
    assert not checks._group("v", lost, {"v": torch.zeros(2), "w": torch.zeros(2)}, 1.0).passed
    assert not checks._group("v", {}, {}, 1.0).passed


def test_a_truncated_or_missing_file_is_named(copied, capsys):
    path = copied / "trace.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"trace\.safetensors"):
        GoldenFolder(copied).read("trace")
    assert main(["parity", str(copied / "nowhere")]) == 2
    assert "config.json" in capsys.readouterr().err


def test_a_network_that_we_do_not_have_is_refused(copied):
    config = json.loads((copied / "config.json").read_text())
    config["unet_config"]["act_fn"] = "gelu"
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="act_fn got 'gelu'"):
        GoldenFolder(copied).unet()
