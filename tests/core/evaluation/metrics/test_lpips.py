"""LPIPS against torchmetrics' own, with networks that were never trained."""

import hashlib
from pathlib import Path

import pytest
import torch

from animate_anyone.errors import InputError, WeightsError
from animate_anyone.evaluation.metrics.lpips import BACKBONES, LpipsNetwork, load_lpips, lpips


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
