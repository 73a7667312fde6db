"""The small parts of the networks."""

import pytest
import torch

from animate_anyone.networks import layers


@pytest.fixture
def feed_forward(monkeypatch):
    """Return a feed-forward for chunks of 4 tokens, and a list of the tokens of its calls."""
    monkeypatch.setattr(layers, "_CHUNK_BYTES", 1)
    monkeypatch.setattr(layers, "_LEAST_CHUNK", 4)
    network, seen = layers.FeedForward(8, 4, layers.Factory()), []
    network.net[0].register_forward_hook(lambda _, given, __: seen.append(given[0][..., 0].numel()))
    return network, seen


def test_a_feed_forward_takes_a_few_tokens_at_a_time_on_a_cpu(feed_forward):
    network, seen = feed_forward
    x = torch.randn(2, 5, 8).transpose(0, 1)  # not contiguous
    whole = network(x).detach()
    assert seen == [10]
    with torch.no_grad():
        assert torch.allclose(network(x), whole, atol=1e-6)
    assert seen == [10, 4, 4, 2]


def test_weights_that_are_cast_at_every_use_are_used_once(feed_forward):
    network, seen = feed_forward
    cast = network.to(torch.bfloat16)
    with torch.no_grad():
        for layer in (network.net[0].proj, network.net[2]):
            kept = layer.weight.data, layer.bias.data
            layer.forward = lambda x, w=kept: torch.nn.functional.linear(x, *(p.float() for p in w))
        cast(torch.randn(1, 10, 8))
    assert seen == [10]
