"""Conditions of rows with and without the picture, and their gradients."""

import pytest
import torch

from animate_anyone.networks import condition

PICTURES = torch.rand(2, 3, 3, 48, 32)  # two clips of three frames


@pytest.fixture
def scene(tiny):
    models = tiny.models()
    width = models.preset.unet.cross_attention_dim
    return models, torch.randn(3, 4, 6, 4), torch.randn(3, 1, width)


def said(models, prepared, rows):
    noisy = torch.randn(1, 4, 2, 6, 4, generator=torch.Generator().manual_seed(0))
    steps = torch.full((rows,), 500)
    return models.denoiser(noisy.expand(rows, -1, -1, -1, -1), steps, prepared)


@torch.no_grad()
def test_each_row_has_the_condition_that_it_has_alone(scene):
    models, latents, tokens = scene
    attends = (True, False, True)
    features = condition.seen_features(models.reference_net, latents, tokens, attends)
    together = said(
        models, condition.prepare_condition(models.denoiser, tokens, features, attends), 3
    )
    for row in (0, 2):
        own = models.reference_net.reference_features(latents[[row]], tokens[[row]])
        alone = said(models, models.denoiser.prepare(tokens[[row]], own), 1)
        torch.testing.assert_close(together[[row]], alone, atol=1e-5, rtol=0)
    nothing = said(models, models.denoiser.prepare(torch.zeros_like(tokens[:1])), 1)
    torch.testing.assert_close(together[[1]], nothing, atol=1e-5, rtol=0)


@torch.no_grad()
def test_one_token_and_one_reference_serve_all_rows(scene):
    models, latents, tokens = scene
    features = condition.seen_features(models.reference_net, latents[:1], tokens[:1], (True,))
    attends = (False, False, True, True)
    prepared = condition.prepare_condition(models.denoiser, tokens[:1], features, attends)
    rows = said(models, prepared, 4)
    assert prepared.attends == attends
    assert torch.allclose(rows[0], rows[1], atol=1e-6)
    assert torch.allclose(rows[2], rows[3], atol=1e-6)
    assert not torch.allclose(rows[1], rows[2], atol=1e-3)


def test_reference_net_does_not_run_if_no_row_attends(scene, monkeypatch):
    models, latents, tokens = scene
    features = models.reference_net.reference_features(latents, tokens)
    monkeypatch.setattr(models.reference_net, "reference_features", None)  # must not be called
    none = (False,) * 3
    assert condition.seen_features(models.reference_net, latents, tokens, none) is None
    single = [feature[:1] for feature in features]
    assert condition.prepare_condition(models.denoiser, tokens, single, none).reference is None


def test_gradients_reach_only_the_rows_that_attend(scene):
    models, latents, tokens = scene
    latents.requires_grad_(True)
    tokens.requires_grad_(True)
    keep = (True, False, True)
    features = condition.seen_features(models.reference_net, latents, tokens, keep)
    said(
        models, condition.prepare_condition(models.denoiser, tokens, features, keep), 3
    ).square().sum().backward()
    for leaf in (latents, tokens):
        assert leaf.grad is not None
        assert [bool(row.any()) for row in leaf.grad] == [True, False, True]


def test_pose_features_are_those_of_each_frame(scene):
    guider = scene[0].pose_guider
    clips = condition.pose_features(guider, PICTURES)
    assert clips.shape == (2, 8, 3, 6, 4)
    torch.testing.assert_close(clips[1, :, 2], guider(PICTURES[1, [2]])[0], atol=1e-6, rtol=0)
    assert torch.equal(
        condition.as_clips(guider(PICTURES[0]))[0], guider(PICTURES[0]).transpose(0, 1)
    )
