"""The measurements for a card, at toy size on the CPU."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("resource", reason="the benchmark asks the system for its peak memory")


from animate_anyone.networks.unet import UNet
from animate_anyone.types import Size
from benchmarks import gpu
from benchmarks.speed import random_networks


@pytest.fixture
def plan():
    return gpu.Plan(device=torch.device("cpu"), **gpu.TOY | {"size": Size(16, 24)})


def test_sections_give_their_figures(plan):
    with torch.inference_mode():
        assert gpu.machine(plan)["tflops"] > 0
        step = gpu.one_step(replace(plan, clips=(1,)), "fp8", 1.0)
        assert step["pair_ms"] > step["pair_cached_ms"] > 0
        assert step["estimated_working_mb"] > 0
        models = random_networks(plan.width, plan.device, torch.bfloat16)
        found = gpu.clip(replace(plan, steps=3), models, 1, "interval, cache 3")
        assert found["seconds"] > 0
        assert found["estimated_mb"] > 0


def test_fp8_stores_weights_in_a_byte_and_computes_in_the_dtype_of_the_input(plan):
    layer = gpu.Fp8Linear(4, 3, dtype=torch.bfloat16)
    layer.weight.data = layer.weight.data.to(torch.float8_e4m3fn)
    x = torch.randn(2, 4, dtype=torch.bfloat16)
    assert layer.weight.itemsize == 1
    expected = torch.nn.functional.linear(x, layer.weight.to(torch.bfloat16), layer.bias)
    assert torch.equal(layer(x), expected)


def test_a_section_that_fails_or_comes_too_late_says_why(plan):
    def fails():
        raise RuntimeError("no room\nand more")

    done = gpu.Measurements(plan.device, minutes=1)
    done.take("first", fails)
    done.end = 0.0
    done.take("second", dict)
    assert done.results == {
        "first": {"left_out": "RuntimeError: no room"},
        "second": {"left_out": "the time was used up; see --minutes"},
    }


def test_blocks_are_compiled_one_by_one(tiny):
    network = UNet(tiny.preset.unet)
    gpu.compile_blocks(network, "eager")
    compiled = [name for name, module in network.named_modules() if module._compiled_call_impl]
    assert {len(name.split(".")) for name in compiled} == {3, 4}  # blocks, no layers, no levels
    assert "mid_block.attentions.0" in compiled


def test_training_of_both_stages_is_measured(plan):
    assert gpu.training_step(plan, 2)["example_ms"] > 0


def test_without_a_card_it_says_what_to_do(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "no CUDA device was found; --toy" in capsys.readouterr().err
