"""Several reference pictures beside each other, each with a strength."""

import pytest
import torch

from animate_anyone.errors import InputError
from animate_anyone.networks import condition
from animate_anyone.networks.attention import sdpa
from animate_anyone.training.networks import plain_attention
from animate_anyone.training.variants import build_variant


@pytest.fixture
def scene(tiny):
    with torch.no_grad():
        yield Scene(tiny.models())


class Scene:
    """A denoiser, its ReferenceNet, and three pictures, the last of another size."""

    def __init__(self, models):
        self.models, self.net = models, models.reference_net
        self.tokens = torch.randn(3, 1, 1, models.preset.unet.cross_attention_dim)
        sizes = ((6, 4), (6, 4), (3, 5))
        self.latents = [torch.randn(1, 4, *size) for size in sizes]
        pairs = zip(self.latents, self.tokens, strict=True)
        self.pictures = [self.net.reference_features(*pair) for pair in pairs]

    def said(self, references, rows=2, token=0, attends=None, **extra):
        attends = attends or (False,) * (rows - 1) + (True,)
        prepared = condition.prepare_condition(
            self.models.denoiser, self.tokens[token], references, attends
        )
        noisy = torch.randn(1, 4, 2, 6, 4, generator=torch.Generator().manual_seed(0))
        steps = torch.full((rows,), 500)
        return self.models.denoiser(noisy.expand(rows, -1, -1, -1, -1), steps, prepared, **extra)

    def joined(self, numbers, strengths=None):
        return condition.join_references([self.pictures[i] for i in numbers], strengths)


def close(a, b, limit=1e-5):
    torch.testing.assert_close(a, b, atol=limit, rtol=0)


def test_a_single_picture_in_full_is_exactly_what_it_was(scene):
    seen = []

    def watched(*args):
        seen.append(len(args))
        return sdpa(*args)

    joined = scene.joined([0], [1])
    assert joined.bias is None
    assert all(a is b for a, b in zip(joined.features, scene.pictures[0], strict=True))
    assert torch.equal(scene.said(joined, attention=watched), scene.said(scene.pictures[0]))
    assert set(seen) == {3}, "no mask is passed, so the kernels are the same"


@pytest.mark.parametrize("attention", [sdpa, plain_attention])
def test_a_picture_twice_at_half_strength_counts_once(scene, attention):
    one = scene.said(scene.joined([0]), attention=attention)
    close(scene.said(scene.joined([0, 0], [0.5, 0.5]), attention=attention), one)
    twice = scene.said(scene.joined([0], [2]), attention=attention)
    close(scene.said(scene.joined([0, 0]), attention=attention), twice)
    assert (twice - one).abs().max() > 1e-3


def test_strength_zero_equals_leaving_out(scene):
    assert torch.equal(
        scene.said(scene.joined([0, 1, 2], [0.5, 0, 2])), scene.said(scene.joined([0, 2], [0.5, 2]))
    )
    # and a very small one comes near
    close(scene.said(scene.joined([0, 1], [1, 1e-7])), scene.said(scene.joined([0])))


def test_order_matters_only_through_the_token(scene):
    one = scene.said(scene.joined([0, 2], [0.7, 1.5]))
    close(scene.said(scene.joined([2, 0], [1.5, 0.7])), one)
    assert (scene.said(scene.joined([2, 0], [1.5, 0.7]), token=2) - one).abs().max() > 1e-3


def test_every_picture_is_seen(scene):
    results = [
        scene.said(scene.joined(numbers)) for numbers in ([0], [1], [0, 1], [0, 2], [0, 1, 2])
    ]
    for i, one in enumerate(results):
        close(one[0], results[0][0])  # the row without the reference
        for other in results[:i]:
            assert (one[1] - other[1]).abs().max() > 1e-3


def test_rows_of_training_have_their_own_numbers_of_pictures(scene):
    latents = [torch.cat([part, -part, part + 1]) for part in scene.latents]
    tokens = [token.expand(3, -1, -1) for token in scene.tokens]
    strengths = [[1, 1, 0], [0, 0, 0], [1, 0, 0.5]]
    keep = (True, False, True)
    calls = []

    class Watched:
        def reference_features(self, latents, tokens):
            calls.append(len(latents))
            return scene.net.reference_features(latents, tokens)

    found = condition.seen_references(Watched(), latents, tokens, keep, strengths)
    assert calls == [2, 1, 1], "a picture that a row leaves out is not computed"
    together = scene.said(found, rows=3, attends=keep)
    for row, numbers in ((0, [0, 1]), (2, [0, 2])):
        alone = condition.join_references(
            [scene.net.reference_features(latents[j][[row]], tokens[j][[row]]) for j in numbers],
            [strengths[row][j] for j in numbers],
        )
        close(together[[row]], scene.said(alone, rows=1))
    assert condition.seen_references(Watched(), latents, tokens, (False,) * 3) is None


def test_gradients_reach_the_pictures_that_a_row_sees(tiny):
    scene = Scene(tiny.models())
    latents = [part.detach().expand(2, -1, -1, -1).clone() for part in scene.latents]
    for part in latents:
        part.requires_grad_(True)
    tokens = [token.expand(2, -1, -1) for token in scene.tokens]
    found = condition.seen_references(
        scene.net, latents, tokens, (True, True), [[1, 1, 0], [1, 0, 1]]
    )
    scene.said(found, attends=(True, True)).square().sum().backward()
    got = [[bool(row.any()) for row in part.grad] for part in latents]
    assert got == [[True, True], [True, False], [False, True]]
    assert all(part.grad.isfinite().all() for part in latents)


def test_half_precision_takes_strengths(scene):
    scene.models.denoiser.to(torch.bfloat16)
    scene.tokens = scene.tokens.bfloat16()
    scene.latents = [part.bfloat16() for part in scene.latents]
    prepared = condition.prepare_condition(
        scene.models.denoiser, scene.tokens[0], scene.joined([0, 1], [0.5, 2]), (True,)
    )
    noisy = torch.zeros(1, 4, 2, 6, 4, dtype=torch.bfloat16)
    assert scene.models.denoiser(noisy, torch.full((1,), 500), prepared).isfinite().all()


@pytest.mark.parametrize(
    ("numbers", "strengths", "message"),
    [
        ([0] * 9, None, "reference got 9 pictures; one to 8 pictures"),
        ([], None, "reference got 0 pictures"),
        ([0, 1], [1], "strengths got 1 values for 2 reference pictures"),
        ([0, 1], [1, -0.5], r"strengths got 1, -0.5; each must be a finite number of 0 or more"),
        ([0, 1], [1, float("nan")], "strengths got 1, nan"),
        ([0, 1], [float("inf"), 1], "strengths got inf, 1"),
        ([0, 1], [0, 0.0], "strengths got 0, 0; 0 leaves a picture out, and none would be left"),
    ],
)
def test_what_cannot_be_used_is_named(scene, numbers, strengths, message):
    with pytest.raises(InputError, match=message):
        scene.joined(numbers, strengths)


def test_features_of_other_networks_are_named(scene):
    fewer = scene.pictures[0][:-1]
    wide = [torch.cat([part, part], dim=2) for part in scene.pictures[0]]
    for other in (fewer, wide):
        with pytest.raises(InputError, match=r"for picture 2 and of .* for picture 1; all must"):
            condition.join_references([scene.pictures[0], other])
    with pytest.raises(InputError, match=r"reference got features of .* channels; this network"):
        scene.said(wide)
    with pytest.raises(InputError, match="reference got 6 feature maps; this network has 7"):
        scene.said(fewer)


def test_a_variant_with_a_hint_takes_one_picture(tiny):
    unet = tiny.preset.unet
    _, encoder = build_variant("controlnet", unet, sdpa)
    latents, token = torch.randn(2, 1, 4, 6, 4), torch.zeros(1, 1, unet.cross_attention_dim)
    keep = (True,)
    assert condition.seen_references(encoder, latents[:1], [token], keep) is not None
    with pytest.raises(InputError, match="this variant of the networks takes one picture"):
        condition.seen_references(encoder, latents, [token, token], keep)
