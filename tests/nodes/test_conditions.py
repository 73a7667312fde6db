"""What is told or refused of a conditioning whose image token another node has changed."""

import logging

import pytest
import torch

TOKEN = torch.tensor([[[1.0, -2.0, 3.0]]])
OTHER = torch.tensor([[[0.0, 1.0, 1.0]]])
ZERO = torch.zeros_like(TOKEN)
NEGATIVE = {"attends": False, "half": "negative"}
POSITIVE = {"attends": True, "half": "positive"}


@pytest.fixture
def seen(pack, caplog):
    """Return a function that returns whether a half sees the reference, and what was logged."""
    caplog.set_level(logging.WARNING)

    def run(context, token=TOKEN, **half):
        answer = pack("nodes.sampler.conditions").sees_reference(token, context, **half)
        return answer, " ".join(caplog.messages)

    return run


@pytest.mark.parametrize(
    ("context", "half", "answer"),
    [
        (TOKEN, POSITIVE, True),
        (0.5 * TOKEN, POSITIVE, True),
        (TOKEN.repeat(2, 1, 1), POSITIVE, True),
        (ZERO, POSITIVE, True),
        (ZERO, NEGATIVE, False),
        (ZERO, {"attends": True, "half": "negative"}, False),
        (TOKEN, {"attends": True, "half": "negative"}, True),
    ],
    ids=["as it was", "scaled", "repeated", "zeroed", "negative", "zeroed positive", "another's"],
)
def test_tokens_without_a_word(seen, context, half, answer):
    assert seen(context, **half) == (answer, "")


def test_a_reference_whose_own_token_is_zero_is_seen_in_any_half(seen):
    assert seen(ZERO, token=ZERO, attends=True, half="negative") == (True, "")


@pytest.mark.parametrize("half", [POSITIVE, NEGATIVE], ids=["positive", "negative"])
def test_a_mixed_token_is_told(seen, half):
    answer, told = seen(0.5 * TOKEN + 0.5 * OTHER, **half)
    assert answer == half["attends"]
    assert told.startswith(f"{half['half']} has another image token than its reference")


def test_joined_tokens_are_refused_but_for_texts(seen):
    with pytest.raises(ValueError, match="positive got 2 image tokens, its reference has 1"):
        seen(torch.cat([TOKEN, OTHER], dim=1), **POSITIVE)
    answer, told = seen(torch.cat([TOKEN, OTHER.repeat(1, 77, 1)], dim=1), **POSITIVE)
    assert answer
    assert "77 tokens of a text by ConditioningConcat" in told
