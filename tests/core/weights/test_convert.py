import json
import struct
from collections import Counter
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from animate_anyone.__main__ import main
from animate_anyone.errors import WeightsError
from animate_anyone.weights.bundle import save_weights, write_bundle
from animate_anyone.weights.convert import convert
from animate_anyone.weights.load import load_models, resolve_preset
from animate_anyone.weights.presets import preset_from_metadata
from animate_anyone.weights.read import read_weights
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sets.table import presets
from animate_anyone.weights.sources import open_parts


def test_a_bundle_holds_every_used_tensor_in_the_requested_precision(published, tmp_path):
    out = tmp_path / "deep" / "moore.safetensors"
    preset = convert([published], out, dtype="fp16")
    assert preset.name == "moore"
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    stored = load_file(out)
    original = {
        f"{part}.{key}": tensor
        for part, name in (
            ("denoiser", "denoising_unet"),
            ("denoiser", "motion_module"),
            ("reference_net", "reference_unet"),
            ("pose_guider", "pose_guider"),
        )
        for key, tensor in load_file(published / f"{name}.safetensors").items()
    }
    assert len(original) - len(stored) == 20  # the dead tail of ReferenceNet
    for key, tensor in stored.items():
        expected = original[key] if key.endswith(".pe") else original[key].half()
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, expected), key
    weights = read_weights(out)
    assert weights.metadata["licence"] == presets()["moore"].licence
    assert preset_from_metadata(weights.metadata) == preset


def test_the_command_converts_a_whole_set_that_then_loads(mini_folder, tmp_path):
    out = tmp_path / "mini.safetensors"
    assert main(["convert", str(mini_folder), "--out", str(out), "--licence", "my own"]) == 0
    models, original = load_models(out), load_models(mini_folder)
    assert models.preset == replace(AA_MINI, licence="my own")
    frames = torch.rand(1, 3, 40, 24)
    for name in ("autoencoder", "image_encoder"):
        expected = getattr(original, name).encode(frames)
        assert torch.allclose(getattr(models, name).encode(frames), expected, atol=0.02)
    assert models.image_encoder.network.config.num_attention_heads == 4
    converted = models.denoiser.state_dict()
    for key, tensor in original.denoiser.state_dict().items():
        assert torch.equal(converted[key], tensor)


def test_metadata_holds_what_shapes_cannot_show(published, tmp_path):
    out = tmp_path / "own.safetensors"
    convert([published], out, preset="musepose", dtype="bf16")
    found = preset_from_metadata(open_parts(out).metadata)
    assert found.name == "musepose"
    assert found.schedule == presets()["musepose"].schedule
    assert found.unet.motion.max_frames == 32


def test_outputs_never_replace_inputs(public_folder):
    path = public_folder / "pose_guider.safetensors"
    before = path.read_bytes()
    files = sorted(public_folder.iterdir())
    with pytest.raises(WeightsError, match="one of the inputs"):
        convert(files, path)
    assert path.read_bytes() == before


def test_a_damaged_set_leaves_no_file(public_folder, tmp_path):
    path = public_folder / "pose_guider.safetensors"
    tensors = load_file(path)
    tensors["conv_in.weight"][0, 0, 0, 0] = float("nan")
    save_file(tensors, path)
    out = tmp_path / "out" / "set.safetensors"
    with pytest.raises(WeightsError, match=r"conv_in\.weight has 1 of 432 values"):
        convert([public_folder], out)
    assert list(out.parent.iterdir()) == []


def test_a_full_disk_is_reported_and_leaves_no_file(tmp_path, small_disk):
    out = tmp_path / "set.safetensors"
    with pytest.raises(WeightsError, match=r"cannot be written .*some space"), small_disk(8192):
        save_weights(out, {"a": torch.ones(1_000_000)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["set.pth", "set"])
def test_output_is_safetensors(tmp_path, name):
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        save_weights(tmp_path / name, {"a": torch.ones(1)})


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_the_safetensors_library_reads_written_files(tmp_path, dtype):
    tensors = {
        "matrix": torch.randn(3, 4).t(),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(5).bfloat16(),
        "count": torch.arange(4),
        "flag": torch.tensor([True, False]),
    }
    path = tmp_path / "file.safetensors"
    save_weights(path, tensors, AA_MINI, dtype)
    stored = load_file(path)
    for key, tensor in tensors.items():
        expected = tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
        assert stored[key].dtype == expected.dtype
        assert torch.equal(stored[key], expected)
    assert preset_from_metadata(read_weights(path).metadata) == AA_MINI
    header = struct.unpack("<Q", path.read_bytes()[:8])[0]
    assert header % 8 == 0
    assert "__metadata__" in json.loads(path.read_bytes()[8 : 8 + header])


@pytest.fixture
def counted(monkeypatch):
    """Return how often each file was opened and each tensor read, as `open_parts` does it."""
    opened, fetched = Counter(), Counter()

    def read(path):
        weights = read_weights(path)
        fetch = weights._fetch

        def counting(key):
            fetched[path.name, key] += 1
            return fetch(key)

        opened[path.name] += 1
        weights._fetch = counting
        return weights

    monkeypatch.setattr("animate_anyone.weights.sources.read_weights", read)
    return opened, fetched


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_converting_opens_each_file_and_reads_each_tensor_once(published, tmp_path, counted, dtype):
    convert([published], tmp_path / "set.safetensors", dtype=dtype)
    opened, fetched = counted
    assert opened == dict.fromkeys((path.name for path in published.iterdir()), 1)
    assert set(fetched.values()) == {1}
    assert len(fetched) == len(load_file(tmp_path / "set.safetensors"))


def test_loading_opens_each_file_and_reads_each_tensor_once(published, counted):
    load_models(published)
    opened, fetched = counted
    assert set(opened.values()) == {1}
    assert set(fetched.values()) == {1}


def test_a_bundle_in_its_own_precision_reads_each_tensor_once(published, tmp_path, counted):
    parts = open_parts(published)
    write_bundle(parts, resolve_preset(parts), tmp_path / "set.safetensors")
    assert set(counted[1].values()) == {1}


def test_the_error_for_an_unsupported_dtype_names_it(tmp_path):
    odd = {"steps": torch.zeros(3, dtype=torch.uint16)}
    with pytest.raises(WeightsError, match=r"steps has the dtype torch\.uint16; .*one of F64"):
        save_weights(tmp_path / "set.safetensors", odd)
    assert list(tmp_path.iterdir()) == []
