import pytest
import torch

from animate_anyone.config import PoseGuiderConfig
from animate_anyone.errors import WeightsError
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.weights.assign import assign, load_tensor
from animate_anyone.weights.read import from_tensors

CONFIG = PoseGuiderConfig(channels=(4, 6), out_channels=5)


def guider_weights():
    return {key: tensor.clone() for key, tensor in build_pose_guider(CONFIG).state_dict().items()}


def assigned(tensors, dtype=torch.float32, ignored=()):
    module = build_pose_guider(CONFIG, device="meta")
    assign(module, from_tensors(tensors, "guider.pth"), "a Pose Guider", dtype, "cpu", ignored)
    return module


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_module_on_the_meta_device_takes_the_tensors_of_a_file(dtype):
    tensors = guider_weights()
    module = assigned(tensors, dtype)
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, tensors[key].to(dtype))
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_file_is_not_shared_with_the_module():
    tensors = guider_weights()
    module = assigned(tensors)
    tensors["conv_in.bias"].fill_(7)
    assert not torch.equal(module.conv_in.bias, tensors["conv_in.bias"])


def test_only_named_surplus_is_allowed():
    tensors = guider_weights() | {"tail": torch.ones(1)}
    assigned(tensors, ignored=("tail",))
    with pytest.raises(WeightsError, match=r"1 surplus \(tail\)"):
        assigned(tensors)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    tensors = guider_weights()
    tensors["conv_in.bias"][1:3] = value
    with pytest.raises(WeightsError, match=r"guider\.pth: conv_in\.bias has 2 of 4 values"):
        assigned(tensors)


def test_values_beyond_half_precision_are_refused_in_it_only():
    tensors = guider_weights()
    tensors["conv_in.bias"][0] = 1e6
    assigned(tensors, torch.bfloat16)
    with pytest.raises(WeightsError, match=r"reaches 1e\+06, which torch\.float16 cannot hold"):
        assigned(tensors, torch.float16)


def test_position_tables_keep_their_dtype_and_integers_stay_integers():
    tensors = {"x.pos_encoder.pe": torch.ones(2), "ids": torch.arange(3), "w": torch.ones(2)}
    weights = from_tensors(tensors, "file")
    kinds = {key: load_tensor(weights, key, torch.float16, "cpu").dtype for key in tensors}
    assert kinds == {"x.pos_encoder.pe": torch.float32, "ids": torch.int64, "w": torch.float16}
