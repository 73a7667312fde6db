import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from animate_anyone.errors import PackageError, WeightsError
from animate_anyone.torch_version import version_of
from animate_anyone.weights.read import Weights, from_tensors, read_weights

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b.bias": torch.ones(3)}


class Code:
    """A pickle that would write a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt", ".bin"])
def test_both_kinds_of_file_give_shapes_and_tensors(tmp_path, suffix):
    path = tmp_path / f"file{suffix}"
    if suffix == ".safetensors":
        save_file(TENSORS, path, {"preset": "moore"})
    else:
        torch.save(TENSORS, path)
    weights = read_weights(path)
    assert weights.shapes == {"a.weight": (2, 3), "b.bias": (3,)}
    assert all(torch.equal(weights[key], TENSORS[key]) for key in TENSORS)
    assert weights.metadata == ({"preset": "moore"} if suffix == ".safetensors" else {})


@pytest.mark.parametrize(
    "value",
    [
        TENSORS,
        {"state_dict": TENSORS, "epoch": 3},
        {"global_step": 7, "state_dict": {f"module.{key}": t for key, t in TENSORS.items()}},
        {f"module._orig_mod.{key}": tensor for key, tensor in TENSORS.items()},
    ],
    ids=["plain", "container", "container and prefix", "two prefixes"],
)
def test_containers_and_prefixes_are_removed(tmp_path, value):
    torch.save(value, tmp_path / "file.pth")
    assert set(read_weights(tmp_path / "file.pth")) == set(TENSORS)


def test_files_in_the_old_torch_format_are_read(tmp_path):
    torch.save(TENSORS, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_weights(tmp_path / "old.pth")["a.weight"], TENSORS["a.weight"])


def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"a": torch.ones(1), "b": Code(trap)}, tmp_path / "file.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Code(trap), protocol=2))
    for name in ("file.pth", "bare.pth"):
        with pytest.raises(WeightsError, match="possibly code"):
            read_weights(tmp_path / name)
    assert not trap.exists()


@pytest.fixture
def torch_of(monkeypatch):
    """Return a function that makes the installed torch report another version."""

    def pretend(version):
        monkeypatch.setattr(torch, "__version__", version)

    return pretend


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
@pytest.mark.parametrize("version", ["2.4.0", "2.5.1+cu124"])
def test_a_torch_that_may_run_code_in_a_pickle_refuses_pickles(tmp_path, torch_of, suffix, version):
    trap = tmp_path / "trap"
    torch.save({"a": torch.ones(1), "b": Code(trap)}, tmp_path / f"file{suffix}")
    save_file(TENSORS, tmp_path / "file.safetensors")
    torch_of(version)
    with pytest.raises(WeightsError, match=r"CVE-2025-32434.*2\.6 or newer.*safetensors") as told:
        read_weights(tmp_path / f"file{suffix}")
    assert f"file{suffix} is a pickle" in str(told.value)
    assert version in str(told.value)
    assert not trap.exists()
    assert set(read_weights(tmp_path / "file.safetensors")) == set(TENSORS)


@pytest.mark.parametrize("version", ["2.6.0", "2.11.0+cpu", "3.0.0a0+git1234"])
def test_newer_torch_opens_plain_state_dicts(tmp_path, torch_of, version):
    torch.save(TENSORS, tmp_path / "file.pth")
    torch_of(version)
    assert set(read_weights(tmp_path / "file.pth")) == set(TENSORS)


def test_a_torch_that_is_too_old_is_refused_at_the_first_file(tmp_path, torch_of):
    save_file(TENSORS, tmp_path / "file.safetensors")
    torch_of("2.3.1")
    with pytest.raises(PackageError, match=r"torch got version 2\.3; .* needs 2\.4 or newer"):
        read_weights(tmp_path / "file.safetensors")


@pytest.mark.parametrize("version", ["", "nightly", "2"])
def test_versions_without_two_numbers_are_refused(version):
    with pytest.raises(PackageError, match="does not begin with two numbers"):
        version_of(version)


def test_dtypes_are_known_without_reading(tmp_path):
    tensors = {"half": torch.ones(2).half(), "flag": torch.tensor([True])}
    save_file(tensors, tmp_path / "file.safetensors")
    weights = read_weights(tmp_path / "file.safetensors").renamed({"half": "a", "flag": "b"})
    weights._fetch = None
    assert (weights.dtype_of("a"), weights.dtype_of("b")) == (torch.float16, torch.bool)
    told = Weights("no header", {"a": (1,)}, lambda _: torch.ones(1, dtype=torch.int8))
    assert told.dtype_of("a") == torch.int8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"", "is empty"),
        ("a.safetensors", b"GIF89a", "not a whole safetensors file"),
        ("a.safetensors", (2).to_bytes(8, "little") + b"[]", "no readable safetensors header"),
        ("a.safetensors", (2).to_bytes(8, "little") + b"{}", "holds no tensors"),
        ("a.pth", b"PK\x03\x04 not a zip", "cannot be read as a PyTorch file"),
        ("a.onnx", b"x", "weight files end in"),
    ],
)
def test_damaged_files_say_what_is_wrong(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth.*not a file"):
        read_weights(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 3}, torch.ones(2)])
def test_files_without_named_tensors_are_refused(tmp_path, value):
    torch.save(value, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"holds (no tensors|a list|a Tensor)"):
        read_weights(tmp_path / "file.pth")


@given(cut=st.integers(1, len(save(TENSORS)) - 1))
def test_every_truncation_of_safetensors_is_reported(tmp_path_factory, cut):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(save(TENSORS)[:cut])
    with pytest.raises(WeightsError, match=r"truncated|not a whole|damaged"):
        read_weights(path)


@given(fraction=st.floats(0.01, 0.99))
def test_every_truncation_of_a_pth_file_is_reported(tmp_path_factory, fraction):
    whole = tmp_path_factory.getbasetemp() / "whole.pth"
    if not whole.exists():
        torch.save(TENSORS, whole)
    data = whole.read_bytes()
    path = whole.with_name("cut.pth")
    path.write_bytes(data[: max(1, int(len(data) * fraction))])
    with pytest.raises(WeightsError, match=r"cut\.pth"):
        read_weights(path)


def test_views_rename_cut_and_merge_without_reading():
    weights = from_tensors(TENSORS, "one")
    part = weights.part("a.")
    assert set(part) == {"weight"}
    assert torch.equal(part["weight"], TENSORS["a.weight"])
    assert set(weights.without({"b.bias"})) == {"a.weight"}
    merged = weights.updated(from_tensors({"b.bias": torch.zeros(1)}, "two"))
    assert merged.source == "one + two"
    assert merged.shapes["b.bias"] == (1,)
    assert torch.equal(merged["b.bias"], torch.zeros(1))
    with pytest.raises(KeyError):
        part["a.weight"]
