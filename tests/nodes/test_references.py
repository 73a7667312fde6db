"""Several reference pictures in the host: strengths in its attention."""

from types import SimpleNamespace

import pytest
import torch

KINDS = ("basic", "sub_quad", "split", "pytorch", "sage", "flash")


@pytest.fixture
def known_attention(pack, monkeypatch):
    """Return a function that makes the host use one of its attention functions."""
    import comfy.ldm.modules.attention as attention

    host = pack("nodes.comfyui.host")

    def use(kind):
        # SageAttention and FlashAttention need packages of their own: they may not be called.
        refusing = SimpleNamespace(__name__=f"attention_{kind}")
        chosen = getattr(attention, f"attention_{kind}", refusing)
        monkeypatch.setattr(host, "attention", chosen if kind in KINDS[:4] else refusing)
        monkeypatch.setattr(attention, "SDP_BATCH_LIMIT", 4)
        return host

    return use


@pytest.mark.parametrize("rows", [1, 6], ids=["one bias", "a bias per row"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_attention_of_the_host_heeds_a_bias(known_attention, kind, rows):
    host = known_attention(kind)
    query = torch.randn(6, 2, 5, 8)
    key, value = torch.randn(2, 6, 2, 9, 8).unbind()
    bias = torch.randn(rows, 1, 1, 9)
    bias[0, 0, 0, -1] = -torch.inf
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, bias)
    found = host.plain_attention(query, key, value, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
