"""A weight set is one record: a set added to the table appears everywhere."""

import hashlib
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from animate_anyone.__main__ import main
from animate_anyone.errors import ConfigError, DownloadError
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.unet import UNet
from animate_anyone.weights.hub.download import download, fetch, ignore_progress
from animate_anyone.weights.load import resolve_preset
from animate_anyone.weights.presets import preset_from_metadata
from animate_anyone.weights.report import module_shapes
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.record import HubFile, WeightSet
from animate_anyone.weights.sets.table import SETS, get_preset, get_set, presets, published
from animate_anyone.weights.sources import open_parts

STRANGE = "notes from the author (1).dat"  # a file that nothing here has a name for
CONTENT = b"read me first"


@pytest.fixture
def added(monkeypatch):
    """Add a weight set whose layout no other has, with one file that has no role."""
    unet = replace(AA_MINI.unet, layers_per_block=2, attention_levels=(False, True, True))
    preset = replace(AA_MINI, name="added", title="Added on the fly", unet=unet, licence="CC0")
    file = HubFile(
        repository="someone/added",
        path=f"docs/{STRANGE}",
        to=STRANGE,
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    one = WeightSet.of(preset, "hub", (file,))
    monkeypatch.setitem(SETS, one.name, one)
    return one


def help_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_an_added_set_is_a_preset_by_its_name(added):
    assert list(presets())[-1] == "added"
    assert get_preset("added") is added.preset
    assert preset_from_metadata({"preset": "added"}) is added.preset
    with pytest.raises(ConfigError, match="Did you mean 'added'"):
        get_preset("aded")


@pytest.mark.parametrize("command", ["download", "convert", "animate"])
def test_commands_offer_an_added_set(added, capsys, command):
    assert "added" in help_of(command, capsys)


def test_an_added_set_is_detected_by_its_shapes(added, tmp_path):
    unet, reference = added.preset.unet, added.preset.unet.reference()
    networks = {
        "a": UNet(unet, device="meta"),
        "b": UNet(reference, device="meta"),
        "c": build_pose_guider(added.preset.pose_guider, device="meta"),
    }
    for name, network in networks.items():
        shapes = module_shapes(network)
        tensors = {key: torch.zeros(shape).half() for key, shape in shapes.items()}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    assert resolve_preset(open_parts(tmp_path)) == added.preset


def test_a_file_of_an_unusual_name_is_fetched_under_it(added, tmp_path, monkeypatch):
    def get(file, part, progress):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(CONTENT)

    monkeypatch.setattr(fetch, "__defaults__", (ignore_progress, get))
    assert main(["download", "added", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [STRANGE]


def test_names_lead_to_their_own_record():
    assert all(one.name == name for name, one in SETS.items())
    assert all(SETS[name].preset is preset for name, preset in presets().items())
    assert set(published()) == {name for name, one in SETS.items() if one.source == "hub"}
    with pytest.raises(ConfigError, match=r"weight set got 'dwpos'.*Did you mean 'dwpose'"):
        get_set("dwpos")


def test_sets_share_files_of_the_same_source_under_one_name():
    owners = {}
    for one in SETS.values():
        for file in one.files:
            if file.shared_name:
                assert owners.setdefault(file.shared_name, file) == file


@pytest.mark.parametrize("source", ["pack", "own", "hub"])
def test_the_error_for_a_set_without_files_says_why(added, monkeypatch, tmp_path, source):
    monkeypatch.setitem(SETS, "added", replace(added, files=(), source=source))
    assert "added" not in published()
    with pytest.raises(DownloadError, match=r"weight set got 'added'.*Published sets are moore"):
        download("added", tmp_path)
