"""Blocks with and without savings must compute the same."""

from dataclasses import replace

import pytest
import torch

from animate_anyone.weights.sets.aa_mini import AA_MINI

pytest.importorskip("resource", reason="the benchmark asks the system for its peak memory")

from benchmarks.denoise import PlainBlock, Step, gemm_speed


def test_both_kinds_of_blocks_agree_and_can_be_switched():
    config = replace(AA_MINI.unet, block_out_channels=(16, 32, 32), position_code=0.0)
    with torch.inference_mode():
        step = Step((2, 5, 4), "cpu", torch.float32, config)
        before = step.run()
        plain = step.without_savings().run()
        assert any(isinstance(module, PlainBlock) for module in step.denoiser.modules())
        after = step.with_savings().run()
    torch.testing.assert_close(plain, before, atol=1e-5, rtol=0)
    assert torch.equal(after, before)


def test_the_machine_is_measured(monkeypatch):
    monkeypatch.setattr("benchmarks.denoise.GEMM_SIDE", 64)
    assert gemm_speed() > 0
