import pytest
import torch
from torch import nn

from animate_anyone.errors import WeightsError
from animate_anyone.weights.read import from_tensors
from animate_anyone.weights.report import check_keys, compare_keys, module_shapes

NETWORK = {"a": (1,), "b": (2, 3), "c": (4,)}


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (NETWORK, "all keys fit"),
        ({"a": (1,), "b": (2, 3)}, "1 missing (c)"),
        (NETWORK | {"d": (1,), "e": (1,)}, "2 surplus (d, e)"),
        (NETWORK | {"b": (3, 2)}, "1 of another shape (b is [3, 2], the network has [2, 3])"),
        ({"b": (2, 3), "c": (4,), "x": ()}, "1 missing (a); 1 surplus (x)"),
    ],
)
def test_report_names_every_difference(found, text):
    report = compare_keys(NETWORK, found)
    assert str(report) == text
    assert bool(report) == (found != NETWORK)


def test_long_lists_are_shortened():
    report = compare_keys({f"k{i:02}": () for i in range(20)}, {})
    assert str(report) == "20 missing (k00, k01, k02, k03, k04, k05 and 14 more)"


def test_known_surplus_is_allowed_but_nothing_else():
    found = NETWORK | {"tail": (1,), "other": (1,)}
    assert compare_keys(NETWORK, found, {"tail"}).surplus == ("other",)


def test_check_accepts_modules_and_shapes_alike():
    layer = nn.Linear(2, 3)
    whole = from_tensors(layer.state_dict(), "layer.pth")
    check_keys(layer, whole, "a layer")
    check_keys(module_shapes(layer), whole, "a layer")
    without_bias = from_tensors({"weight": torch.ones(3, 2)}, "layer.pth")
    for network in (layer, module_shapes(layer)):
        with pytest.raises(WeightsError, match=r"layer\.pth is not a layer.*1 missing \(bias\)"):
            check_keys(network, without_bias, "a layer")
